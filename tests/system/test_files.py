from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.system import files


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("IMG_0001.JPG", "IMG_0001.JPG"),
        ("Müller Jörg.jpg", "Müller Jörg.jpg"),
        ("a\nb\x1b[2Jc.png", "a_b_[2Jc.png"),
        ("gpj.\u202eexe", "gpj._exe"),
        (os.fsdecode(b"\xff\xfe.jpg"), "__.jpg"),
        ('<b>"x"|?*:\\.bmp', "_b__x______.bmp"),
        ("noending", "noending"),
    ],
)
def test_names_are_made_harmless(name: str, safe: str) -> None:
    assert files.safe_name(name) == safe


@pytest.mark.parametrize("name", ["x" * 251 + ".jpg", "ü" * 125 + ".tiff", "a." + "b" * 253])
def test_long_names_leave_room_and_keep_a_short_ending(name: str) -> None:
    safe = files.safe_name(name)
    assert len(safe.encode()) <= files.LONGEST_NAME
    ending = name.rpartition(".")[2]
    assert len(ending) > 16 or safe.endswith("." + ending)


def test_a_move_across_file_systems_is_a_whole_copy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = home / "source", home / "target"
    source.write_bytes(b"x" * (files.CHUNK + 5))
    replace = os.replace

    def refuse(here: Path, there: Path) -> None:
        if here == source:
            raise OSError(errno.EXDEV, "other file system")
        replace(here, there)

    monkeypatch.setattr(os, "replace", refuse)
    (home / ".part").write_bytes(b"left by a crash, and longer" * files.CHUNK)
    files.move(source, target, ".part")
    assert not source.exists()
    assert target.read_bytes() == b"x" * (files.CHUNK + 5)
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["target"]


def test_a_move_that_fails_leaves_the_source_and_nothing_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = home / "source", home / "target"
    source.write_bytes(b"original")

    def other_file_system(*_: object) -> None:
        raise OSError(errno.EXDEV, "other file system")

    def full(here: int, there: int) -> None:
        os.write(there, b"orig")
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "replace", other_file_system)
    monkeypatch.setattr(files, "copy", full)
    with pytest.raises(OSError, match="full"):
        files.move(source, target, ".part")
    assert {path.name: path.read_bytes() for path in home.iterdir()} == {"source": b"original"}


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd")], ids=["pipe", "link"])
def test_what_holds_nothing_is_not_copied(home: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]) -> None:
    source = home / "source"
    make(source)

    def other_file_system(*_: object) -> None:
        raise OSError(errno.EXDEV, "other file system")

    monkeypatch.setattr(os, "replace", other_file_system)
    files.move(source, home / "target", ".part")
    assert list(home.iterdir()) == []


def test_a_file_system_that_cannot_sync_folders_is_forgiven(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = errno.EINVAL

    def fail(file: int) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr(os, "fsync", fail)
    files.fsync_folder(home)
    code = errno.EIO
    with pytest.raises(OSError, match="no"):
        files.fsync_folder(home)


def test_make_folder_gives_exactly_these_rights(home: Path) -> None:
    before = os.umask(0o077)
    try:
        files.make_folder(home / "a", 0o755)
        files.make_folder(home / "a", 0o700)
    finally:
        os.umask(before)
    assert (home / "a").stat().st_mode & 0o777 == 0o755
