"""Files and folders that survive a power cut: the few operations every station shares."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from appliance.system.faults import ours

CHUNK = 1 << 20
"""Bytes copied at once."""

LONGEST_NAME = 240
"""Bytes of a kept name; file systems allow 255, the rest is for a number in front."""

FORBIDDEN = frozenset('<>:"/\\|?*')
"""Characters that Windows and its shares refuse."""


def fsync_folder(path: Path | str, *, parent: int | None = None) -> None:
    """Make the names in a folder durable. A file system that cannot (EINVAL) is forgiven, every other error is raised."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(folder)


def make_folder(path: Path, mode: int) -> None:
    """Make a folder, durably and with exactly these rights; one that is there stays as it is."""
    try:
        path.mkdir(mode)
    except FileExistsError:
        return
    path.chmod(mode)  # mkdir's mode is cut by the umask
    fsync_folder(path.parent)


def copy(source: int, target: int, beat: Callable[[], object] = lambda: None) -> None:
    """Copy what is left of one file descriptor to another; beat : called for each piece that was read, a sign of life"""
    while chunk := os.read(source, CHUNK):
        beat()
        write_all(target, chunk)


def bring(source: int, path: Path, beat: Callable[[], object] = lambda: None) -> None:
    """A whole, durable copy, in a file of the box, of what somebody else's stick or share holds.

    beat : as for `copy`
    Raises OSError when the source cannot be read, BoxTrouble when the box cannot be written.
    """
    with ours():
        target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        while chunk := os.read(source, CHUNK):
            beat()
            with ours():
                write_all(target, chunk)
        with ours():
            os.fsync(target)
    finally:
        os.close(target)


def write_all(target: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(target, view) :]


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file at once: after a crash it is there whole, or as it was before."""
    temporary = path.with_name(f".{path.name}.part")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_folder(path.parent)


def move(source: Path, target: Path, temporary: str) -> None:
    """Move a file, durably; across file systems by a copy that is whole before the source goes. May be repeated after a crash.

    temporary : name of the copy beside the target until it is whole; no other move may use it at the same time
    """
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        if stat.S_ISREG(source.lstat().st_mode):
            _move_copy(source, target, target.with_name(temporary))
        else:
            source.unlink()  # a link or a pipe that somebody put in the file's place holds nothing to copy, and a pipe would hang
    fsync_folder(target.parent)


def _move_copy(source: Path, target: Path, temporary: Path) -> None:
    temporary.unlink(missing_ok=True)  # what a crash left
    try:
        with open(source, "rb", opener=_no_follow) as here, open(temporary, "xb", opener=_owner_only) as there:
            copy(here.fileno(), there.fileno())
            os.fsync(there.fileno())
        os.replace(temporary, target)
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk half a copy is in the way of the others
        raise
    fsync_folder(target.parent)
    source.unlink()


def safe_name(name: str) -> str:
    """A file's own name made harmless to look at and to store: no control or direction characters, no odd bytes, not too long.

    The ending stays when it is short, because people recognise a file by it.
    """
    clean = "".join(letter if letter.isprintable() and letter not in FORBIDDEN else "_" for letter in name)
    stem, dot, ending = clean.rpartition(".")
    if not dot or len(ending.encode()) > 16:
        stem, dot, ending = clean, "", ""
    room = LONGEST_NAME - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + ending


def _no_follow(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
