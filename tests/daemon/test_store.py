"""The box's own folders: their rights, and moves to other file systems."""

from __future__ import annotations

import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.config import Folders
from appliance.daemon.journal import Journal, Number
from appliance.daemon.recovery import recover
from appliance.daemon.sources.settling import Stamp
from appliance.daemon.sources.tree import Entry
from appliance.daemon.store import Box
from appliance.errors import BadConfig, BadFile
from appliance.system import files

from .test_crash import other_file_systems

NUMBERS = [Number(1, 1), Number(1, 2)]


def box_with_originals(home: Path) -> Box:
    box = Box(Folders(box=home).resolved())
    for number in NUMBERS:
        room = box.work / number.id
        room.mkdir()
        (room / "same.jpg").write_bytes(number.id.encode())
    return box


def kept(box: Box) -> dict[str, bytes]:
    """All there is below done/ and quarantine/, hidden files too, but for the reasons."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for root in (box.done, box.quarantine)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "reason.json"
    }


@pytest.mark.parametrize("refused", [False, True], ids=["done", "quarantine"])
def test_two_lanes_may_move_to_another_disk_at_once(home: Path, monkeypatch: pytest.MonkeyPatch, refused: bool) -> None:
    """Both copies of one examination are begun before either is finished."""
    other_file_systems(monkeypatch)
    box = box_with_originals(home)
    copy, begun = files.copy, threading.Barrier(2, timeout=10)

    def together(source: int, target: int) -> None:
        begun.wait()
        copy(source, target)
        begun.wait()

    monkeypatch.setattr(files, "copy", together)

    def move(number: Number) -> None:
        if refused:
            box.refuse(number, BadFile("damaged", "a test"), 0.0)
        else:
            box.keep(number)

    with ThreadPoolExecutor(2) as lanes:
        list(lanes.map(move, NUMBERS))
    names = ["E000001/0001/same.jpg", "E000001/0002/same.jpg"] if refused else ["E000001/0001-same.jpg", "E000001/0002-same.jpg"]
    assert kept(box) == {name: number.id.encode() for name, number in zip(names, NUMBERS)}
    assert [box.original(number) for number in NUMBERS] == [None, None]
    box.close()


def test_half_a_copy_of_a_crash_goes_at_the_start(home: Path) -> None:
    """Even when the original shall not be kept any more, so that it is not moved again."""
    box = box_with_originals(home)
    journal = Journal(box.state / "journal.sqlite")
    journal.adopt(NUMBERS, "published", 0.0)
    for folder in (box.done / "E000001", box.quarantine / "E000001/0002"):
        folder.mkdir(parents=True)
    (box.done / "E000001/.E000001-0001.part").write_bytes(b"half")
    (box.quarantine / "E000001/0002/.E000001-0002.part").write_bytes(b"half")
    assert [job.stage for job in recover(box, journal, 0.0, 0.0)] == ["published", "published"]
    assert kept(box) == {}
    journal.close()
    box.close()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EBUSY, errno.EIO])
def test_a_copied_file_that_cannot_be_removed_at_the_start_was_not_taken(home: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Killed between its copy and its removal: it stays in the drop folder and does not come out twice; a bad disk is no reason."""
    box = box_with_originals(home)
    journal = Journal(box.state / "journal.sqlite")
    journal.adopt(NUMBERS, "claimed", 0.0)
    path = box.inbox.path / "same.jpg"
    path.write_bytes(b"here")
    source = [*Entry("", "same.jpg"), *Stamp.of(path.stat())]
    (box.work / NUMBERS[0].id / ".source").write_text(json.dumps(source))
    unlink = os.unlink

    def refuse(name: str | Path, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None:
            raise OSError(code, "no")
        unlink(name)

    monkeypatch.setattr(os, "unlink", refuse)
    if code == errno.EIO:
        with pytest.raises(OSError, match="no"):
            recover(box, journal, 0.0, 0.0)
    else:
        assert [job.number for job in recover(box, journal, 0.0, 0.0)] == [NUMBERS[1]]
        assert (box.rooms(), journal.state(NUMBERS[0])) == ([NUMBERS[1]], None)
    assert path.read_bytes() == b"here"
    journal.close()
    box.close()


def test_rights_that_are_too_wide_are_narrowed_and_none_are_given(home: Path) -> None:
    folders = Folders(box=home).resolved()
    before = {"inbox": 0o777, "out": 0o775, "done": 0o755, "quarantine": 0o500 | 0o077 | 0o200, "state": 0o755, "state/work": 0o770}
    after = {"inbox": 0o777, "out": 0o775, "done": 0o700, "quarantine": 0o700, "state": 0o711, "state/work": 0o700}
    paths = {name: folders.state / "work" if name == "state/work" else getattr(folders, name) for name in before}
    for name, mode in before.items():
        paths[name].mkdir()
        paths[name].chmod(mode)
    Box(folders).close()
    assert {name: path.stat().st_mode & 0o777 for name, path in paths.items()} == after
    folders.state.chmod(0o700)
    folders.done.chmod(0o2750)
    Box(folders).close()
    assert folders.state.stat().st_mode & 0o777 == 0o700
    assert folders.done.stat().st_mode & 0o7777 == 0o2700


def test_another_users_folder_keeps_its_rights(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders(box=home).resolved()
    folders.done.mkdir()
    folders.done.chmod(0o770)
    user = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: user + 1)
    Box(folders).close()
    assert folders.done.stat().st_mode & 0o777 == 0o770


def test_a_file_system_without_rights_is_said_and_forgiven(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folders = Folders(box=home).resolved()
    folders.done.mkdir()
    folders.done.chmod(0o777)
    chmod = Path.chmod

    def refuse(path: Path, mode: int) -> None:
        if path == folders.done:
            raise PermissionError(errno.EPERM, "no", path)
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", refuse)
    Box(folders).close()
    assert "folders.done stays open to other users: PermissionError: Operation not permitted" in caplog.text


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, OSError), (errno.EIO, OSError), (errno.EROFS, BadConfig)])
def test_a_disk_that_fails_is_no_matter_of_the_configuration(
    home: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files, "make_folder", fail)
    with pytest.raises(kind):
        Box(Folders(box=home).resolved())
