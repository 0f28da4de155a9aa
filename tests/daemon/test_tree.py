from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.daemon.sources import tree as module
from appliance.daemon.sources.settling import Stamp
from appliance.daemon.sources.tree import Entry, Inbox, Left, NotNow, natural


@pytest.fixture
def box(home: Path) -> Inbox:
    return Inbox(home)


def put(home: Path, name: str, content: bytes = b"x") -> Path:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_finds_files_at_any_depth(home: Path, box: Inbox) -> None:
    for name in ("a.jpg", "one/b.jpg", "one/two/three/c.jpg"):
        put(home, name)
    (home / "x.jpg").mkdir()
    sweep = box.sweep()
    assert set(sweep.files) == {Entry("", "a.jpg"), Entry("one", "b.jpg"), Entry("one/two/three", "c.jpg")}
    assert sweep.files[Entry("one", "b.jpg")] == Stamp.of((home / "one/b.jpg").stat())
    assert set(sweep.empty) == {"x.jpg"}
    assert sorted(sweep.folders) == ["", "one", "one/two", "one/two/three", "x.jpg"]
    assert not sweep.left


@pytest.mark.parametrize(
    "name",
    [".hidden.jpg", ".Trashes/a.jpg", "Thumbs.db", "desktop.ini", ".DS_Store", "a.jpg.part", "a.TMP", "a.partial", "a.crdownload",
     "a.filepart", "~$a.doc", "System Volume Information/a", "$RECYCLE.BIN/a.jpg", "FOUND.000/a.jpg", "._a.jpg"],
)  # fmt: skip
def test_ignores_what_is_no_delivery(home: Path, box: Inbox, name: str) -> None:
    put(home, name)
    sweep = box.sweep()
    assert not sweep.files and not sweep.left


def test_leaves_what_is_no_plain_file(home: Path, box: Inbox) -> None:
    (home / "link.jpg").symlink_to("/etc/passwd")
    (home / "tree").symlink_to("/")
    os.mkfifo(home / "fifo")
    put(home, "a.jpg").with_name("b.jpg").hardlink_to(home / "a.jpg")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home / "socket"))
        sweep = box.sweep()
    assert not sweep.files
    assert sweep.left == {module.LINK: 2, module.SPECIAL: 2, module.HARD_LINK: 2}
    assert sweep.folders == [""]


def test_survives_hostile_names(home: Path, box: Inbox) -> None:
    for name in (b"\xff\xfe.jpg", b"a\nb.jpg", b"x" * 251 + b".jpg", "\u202egpj.exe".encode()):
        Path(os.fsdecode(os.fsencode(home) + b"/" + name)).write_bytes(b"x")
    entries = list(box.sweep().files)
    assert len(entries) == 4
    assert len(sorted(entries, key=natural)) == 4
    with box.hold(entries[0], box.sweep().files[entries[0]]):
        pass


def test_does_not_dive_for_ever(home: Path, box: Inbox) -> None:
    (home / "/".join("d" * (module.DEEPEST + 2))).mkdir(parents=True)
    assert box.sweep().left == {module.TOO_DEEP: 1}


def test_a_drop_folder_that_is_gone_is_an_error(home: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Inbox(home / "gone").sweep()


def test_order_is_the_natural_one() -> None:
    names = ["b/IMG_2.jpg", "IMG_10.jpg", "IMG_9.jpg", "b/img_1.jpg", "2/x", "a10/1", "a9/2", "IMG_.jpg"]
    entries = [Entry(*name.rpartition("/")[::2]) for name in names]
    assert ["/".join(filter(None, entry)) for entry in sorted(entries, key=natural)] == [
        "IMG_9.jpg", "IMG_10.jpg", "IMG_.jpg", "2/x", "a9/2", "a10/1", "b/img_1.jpg", "b/IMG_2.jpg",
    ]  # fmt: skip


def test_holds_only_what_was_seen(home: Path, box: Inbox) -> None:
    path = put(home, "one/a.jpg")
    entry, stamp = next(iter(box.sweep().files.items()))
    with box.hold(entry, stamp) as held:
        assert os.read(held.file, 9) == b"x"
        assert held.is_unchanged()
        path.write_bytes(b"longer")
        assert not held.is_unchanged()
        with pytest.raises(NotNow):
            held.remove()
    with pytest.raises(NotNow), box.hold(entry, stamp):
        pass
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(NotNow), box.hold(entry, stamp):
        pass
    (home / "one").rename(home / "two")
    (home / "one").symlink_to("two")
    with pytest.raises(NotNow), box.hold(entry, stamp):
        pass


def test_no_right_to_read_or_to_take_away_is_said(home: Path, box: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home, "a.jpg")
    entry, stamp = next(iter(box.sweep().files.items()))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(Left, match="cannot be taken away: give user"), box.hold(entry, stamp):
        pass
    really_open = os.open

    def refuse(path: str, flags: int, *rest: object, **more: object) -> int:
        if path == "a.jpg":
            raise PermissionError(13, "no", path)
        return really_open(path, flags, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Left, match="no read permission: give user"), box.hold(entry, stamp):
        pass


def test_sees_another_writer(home: Path, box: Inbox) -> None:
    path = put(home, "a.jpg")
    entry, stamp = next(iter(box.sweep().files.items()))
    assert box.leases_tell
    with box.hold(entry, stamp) as held:
        assert not held.is_written()
        with open(path, "ab"):
            assert held.is_written()
        script = f"import sys; f = open({str(path)!r}, 'ab'); print(flush=True); sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None and writer.stdin is not None
            writer.stdout.readline()
            assert held.is_written()
            writer.stdin.close()
        assert not held.is_written()


def test_removes_only_empty_folders(home: Path, box: Inbox) -> None:
    put(home, "one/a.jpg")
    (home / "one/empty").mkdir()
    box.remove_folder("one/empty")
    box.remove_folder("one")
    box.remove_folder("gone/far")
    assert [path.name for path in (home / "one").iterdir()] == ["a.jpg"]


def test_knows_file_systems() -> None:
    assert module.file_system(Path("/proc/self")) == "proc"
    assert module.user_name()
