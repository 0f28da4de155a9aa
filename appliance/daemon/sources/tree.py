"""The drop folder: list it, and take hold of one file in it. Nothing is ever written here, no link is followed.

Every step goes from folder to folder by file descriptor with O_NOFOLLOW, so that nobody can lead the box out of the drop folder
by putting a link in the way between two steps.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import re
import signal
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from appliance.daemon.sources.names import ignored_as
from appliance.daemon.sources.settling import Stamp
from appliance.formats.signatures import HEAD, is_header_alone

DEEPEST = 32
"""Folders below each other that are looked into; each costs an open file while the sweep is inside."""

LINK = "symbolic link: not followed"
SPECIAL = "not a regular file (socket, FIFO or device): not taken"
HARD_LINK = "file with a second name (hard link): not taken"
MOUNTED = "another file system mounted here: not entered"
UNFILLED = "empty, or a header alone: taken once it is filled"
TOO_LARGE = "larger than limits.file_mib: not taken"
TOO_DEEP = f"more than {DEEPEST} folders deep: not entered"
UNREADABLE_FOLDER = "folder that cannot be read: give user {user} the right to read and enter it"
UNREADABLE = "no read permission: give user {user} the right to read it"
UNTAKEABLE = "cannot be taken away: give user {user} the right to write to its folder"

TO_LEAVE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY})
"""Errors of taking a file away that are about the file and its folder; the others go on."""

LEASES_TELL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "vfat", "exfat", "zfs", "overlay"})
"""File systems where a lease knows every writer. NFS and SMB refuse one with the same EAGAIN, whether somebody writes or not."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Entry(NamedTuple):
    """A file in the drop folder: its folder, relative ("" is the drop folder itself), and its name. Never logged."""

    folder: str
    name: str


class NotNow(Exception):
    """The file changed, went away or is being written: a later sweep decides."""


class Left(Exception):
    """The file stays where it is; the text is the reason, for the page."""


@dataclass
class Sweep:
    """files : what may be taken once it stands still
    empty : folders that hold nothing at all
    folders : every folder entered, relative
    ignored : kind -> number of things that are no pictures by their name (hidden, temporary, a recycle bin), in any folder
    left : reason -> number of things that stay where they are
    """

    files: dict[Entry, Stamp] = field(default_factory=dict)
    empty: dict[str, Stamp] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Held:
    """A file in hand: `parent` and `file` are open descriptors of its folder and of itself."""

    entry: Entry
    parent: int
    file: int
    stamp: Stamp

    def is_unchanged(self) -> bool:
        return Stamp.of(os.fstat(self.file)) == self.stamp

    def is_written(self) -> bool:
        """Whether a process of this machine (a Samba server, say) has it open for writing; False also when that cannot be told."""
        with suppress(OSError):
            # Who opens the file in the short time of the lease triggers a signal, by default a deadly one; SIGURG is ignored.
            fcntl.fcntl(self.file, fcntl.F_SETSIG, signal.SIGURG)
        try:
            fcntl.fcntl(self.file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(self.file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        return False

    def remove(self) -> None:
        """Remove the file if it is still the one in hand. Raises NotNow when another took its place."""
        with suppress(FileNotFoundError):
            if Stamp.of(os.stat(self.entry.name, dir_fd=self.parent, follow_symlinks=False)) != self.stamp:
                raise NotNow
            os.unlink(self.entry.name, dir_fd=self.parent)


class Inbox:
    """The drop folder below `path`, which may itself be reached through a link: the owner of the box chose it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.leases_tell = False
        self._device = -1

    def sweep(self) -> Sweep:
        """List everything. Raises OSError when the drop folder itself cannot be listed; what fails below it is counted in `left`."""
        result = Sweep()
        root = os.open(self.path, _FOLDER)
        try:
            device = os.fstat(root).st_dev
            if device != self._device:  # the first sweep, or something was mounted here since
                self._device, self.leases_tell = device, file_system(self.path) in LEASES_TELL
            self._enter(root, "", device, 0, result)
        finally:
            os.close(root)
        return result

    def _enter(self, folder: int, path: str, device: int, depth: int, result: Sweep) -> None:
        result.folders.append(path)
        nothing = True
        with os.scandir(folder) as entries:
            for entry in entries:
                nothing = False
                if kind := ignored_as(entry.name):
                    result.ignored[kind] += 1
                    continue
                try:
                    self._look_at(folder, Entry(path, entry.name), device, depth, result)
                except FileNotFoundError:
                    continue  # gone since it was listed
                except OSError:
                    result.left[_for_user(UNREADABLE_FOLDER)] += 1
        if nothing and path:
            result.empty[path] = Stamp.of(os.fstat(folder))

    def _look_at(self, folder: int, entry: Entry, device: int, depth: int, result: Sweep) -> None:
        status = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            if status.st_dev != device:
                result.left[MOUNTED] += 1
            elif depth == DEEPEST:
                result.left[TOO_DEEP] += 1
            else:
                below = os.open(entry.name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                try:
                    self._enter(below, "/".join(filter(None, entry)), device, depth + 1, result)
                finally:
                    os.close(below)
        elif reason := _why_left(status):
            result.left[reason] += 1
        else:
            result.files[entry] = Stamp.of(status)

    @contextmanager
    def hold(self, entry: Entry, stamp: Stamp) -> Iterator[Held]:
        """Open a file to take it away. Raises NotNow when it no longer looks like `stamp`, Left when it has to stay.

        A program that makes a file first and opens it again to fill it must find it.
        """
        with self.open(entry, stamp) as held:
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=held.parent, effective_ids=True):
                raise Left(_for_user(UNTAKEABLE))
            if is_header_alone(os.pread(held.file, HEAD, 0), stamp.size):
                raise Left(UNFILLED)
            yield held

    @contextmanager
    def open(self, entry: Entry, stamp: Stamp) -> Iterator[Held]:
        """Open a file to read it. Raises NotNow when it no longer looks like `stamp`, Left when it may not be read."""
        parent = self._open_folder(entry.folder)
        try:
            file = _open_file(entry.name, parent)
            try:
                if Stamp.of(os.fstat(file)) != stamp or _why_left(os.fstat(file)):
                    raise NotNow
                yield Held(entry, parent, file, stamp)
            finally:
                os.close(file)
        finally:
            os.close(parent)

    def remove_folder(self, folder: str) -> None:
        """Remove an empty folder; one that is no longer empty, or not ours to remove, stays."""
        above, _, name = folder.rpartition("/")
        with suppress(OSError, NotNow):
            parent = self._open_folder(above)
            try:
                os.rmdir(name, dir_fd=parent)
            finally:
                os.close(parent)

    def _open_folder(self, folder: str) -> int:
        current = os.open(self.path, _FOLDER)
        for name in filter(None, folder.split("/")):
            try:
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
            except OSError as error:
                raise NotNow from error
            finally:
                os.close(current)
            current = below
        return current


def natural(entry: Entry) -> list[list[str | int]]:
    """Sort key in which IMG_2 comes before IMG_10, folder by folder."""
    parts = "/".join(entry).split("/")
    return [[int(piece) if index % 2 else piece for index, piece in enumerate(re.split(r"([0-9]+)", part.casefold()))] for part in parts]


def file_system(path: Path) -> str:
    """The type of the file system that holds `path`, as mountinfo names it ("ext4", "cifs"); "" when unknown."""
    best, kind = "", ""
    real = os.path.realpath(path)
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            before, _, after = line.partition(" - ")
            point = before.split()[4].replace("\\040", " ")
            if len(point) >= len(best) and (real + "/").startswith(point.rstrip("/") + "/"):
                best, kind = point, after.split()[0]
    return kind


def user_name() -> str:
    """Who this process runs as, for messages."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user without an entry in the password file
        return str(os.geteuid())


def _for_user(reason: str) -> str:
    return reason.format(user=user_name())


def _why_left(status: os.stat_result) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        return LINK
    if not stat.S_ISREG(status.st_mode):
        return SPECIAL
    if status.st_nlink > 1:
        return HARD_LINK
    return None if status.st_size else UNFILLED


def _open_file(name: str, parent: int) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except PermissionError as error:
        raise Left(_for_user(UNREADABLE)) from error
    except OSError as error:
        raise NotNow from error
