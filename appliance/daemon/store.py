"""The box's own folders: the way of a file from the drop folder through work/ into out/, done/ or quarantine/.

Every picture in hand has a room, work/E000123-0001/, with the original under its own (cleaned) name: the one place, readable by
the owner only, where number and name meet before done/ and quarantine/. A room that exists is work that is not over; the journal
says what is left to do, and every step here may be repeated after a crash at any point.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from appliance import config
from appliance.daemon.journal import Number
from appliance.daemon.sources.settling import Stamp
from appliance.daemon.sources.tree import TO_LEAVE, Entry, Held, Inbox, Left, NotNow, user_name
from appliance.errors import BadConfig, BadFile
from appliance.system import files
from appliance.system.faults import describe

log = logging.getLogger(__name__)

NEUTRAL_NS = 946_684_800 * 10**9
"""Time of change and access of every result and its folder: 2000-01-01 00:00 UTC. When a picture was taken, or came, is not told."""

ENDINGS = {"jpeg": ("jpg", "jpeg"), "png": ("png",), "bmp": ("bmp", "dib"), "tiff": ("tif", "tiff")}
"""Name endings a result may have, by format; the first is the usual one."""

MODES = {"inbox": 0o755, "out": 0o755, "done": 0o700, "quarantine": 0o700, "state": 0o711}
"""Rights of a folder that the box makes; state/ lets the page's user through to status.json, and no further."""

OURS = frozenset({"done", "quarantine", "state"})
"""Folders that the box alone may open up; in inbox and out the users rule."""

CHOICE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG})
"""Errors of making a folder that another choice of it mends; any other is the disk's and may pass."""

_TEMPORARY = re.compile(r"\.E[0-9]+-[0-9]+\.part", re.ASCII)
_EXAM = re.compile(r"E([0-9]{6,})(-[0-9]{4,})?", re.ASCII)
_COPY, _SOURCE = ".copy", ".source"


class Box:
    """The folders, open for one daemon: a second one over the same state/ is refused."""

    def __init__(self, folders: config.Folders) -> None:
        """Make and check the folders. Raises BadConfig naming the key, the folder, the user and what to do; OSError: the disk fails."""
        self.out, self.done, self.quarantine, self.state = folders.out, folders.done, folders.quarantine, folders.state
        self.work = self.state / "work"
        _refuse_overlap(folders)
        for key, mode in MODES.items():
            _prepare(f"folders.{key}", getattr(folders, key), mode)
            if key in OURS:
                _narrow(f"folders.{key}", getattr(folders, key), mode)
        _prepare("folders.state", self.work, 0o700)
        _narrow("folders.state", self.work, 0o700)
        self.inbox = Inbox(folders.inbox)
        self._known_devices = self._devices()
        self._lock = _lock(self.state)

    def close(self) -> None:
        """Let another daemon have the folders."""
        os.close(self._lock)

    def free_bytes(self) -> int:
        """Free space, the smaller of out/ and state/. Raises OSError ENODEV when a disk was taken from under a folder since the start."""
        if self._devices() != self._known_devices:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return min(status.f_bavail * status.f_frsize for status in (os.statvfs(self.out), os.statvfs(self.state)))

    def secret(self) -> bytes:
        """The key that hides folder names in the journal: 32 random bytes, made once."""
        path = self.state / "key"
        with suppress(FileNotFoundError):
            key = path.read_bytes()
            if len(key) == 32:
                return key
        key = secrets.token_bytes(32)
        files.write_whole(path, key)
        return key

    # drop folder -> work/

    def take(self, held: Held, number: Number, largest_copy: int) -> None:
        """Move a file into its room. Afterwards it is there whole, or still in the drop folder and an OSError or NotNow is raised.

        largest_copy : bytes; a larger file is not copied from another file system (OSError EFBIG)
        """
        room = self._room(number)
        room.mkdir(mode=0o700)
        try:
            try:
                os.rename(held.entry.name, room / files.safe_name(held.entry.name), src_dir_fd=held.parent)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy_in(held, room, largest_copy)
        except (OSError, NotNow):
            self.empty(number)
            raise

    def _copy_in(self, held: Held, room: Path, largest: int) -> None:
        """From another file system: the rename of the copy is the moment of taking; what comes after is finished at the next start."""
        if held.stamp.size > largest:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        files.write_whole(room / _SOURCE, json.dumps([*held.entry, *held.stamp]).encode())
        with open(room / _COPY, "xb") as target:
            files.copy(held.file, target.fileno())
            os.fsync(target.fileno())
        if not held.is_unchanged():
            raise NotNow
        (room / _COPY).rename(room / files.safe_name(held.entry.name))
        files.fsync_folder(room)
        held.remove()
        (room / _SOURCE).unlink()

    def take_copy(self, copy: Path, name: str, number: Number) -> Stamp:
        """Move a file that is whole, in work/ and nobody's room, into this picture's room, durably; how it looks there."""
        room = self._room(number)
        original = room / files.safe_name(name)
        room.mkdir(mode=0o700)
        try:
            copy.rename(original)
            self.settle(number)
        except OSError:
            with suppress(OSError):
                original.rename(copy)
            room.rmdir()
            raise
        return Stamp.of(original.stat())

    def finish_take(self, number: Number) -> bool:
        """After a crash: whether the file was taken; if it was copied, its source is removed from the drop folder now.

        A source that is seen there and cannot be removed was not taken; with its copy the picture would come out twice.
        """
        room = self._room(number)
        source = room / _SOURCE
        if self.original(number) is None:
            return False
        if source.exists():
            folder, name, *stamp = json.loads(source.read_bytes())
            with suppress(NotNow, Left), self.inbox.hold(Entry(folder, name), Stamp(*stamp)) as held:
                try:
                    held.remove()
                except OSError as error:
                    if error.errno in TO_LEAVE:
                        return False
                    raise
            source.unlink()
        return True

    def settle(self, number: Number) -> None:
        """Make the taking durable. Until then a power cut may put the file back into the drop folder."""
        files.fsync_folder(self._room(number))
        files.fsync_folder(self.work)

    def rooms(self) -> list[Number]:
        return sorted(filter(None, map(Number.parse, _names(self.work))))

    def original(self, number: Number) -> str | None:
        """The name of the original in its room; None when it is not there."""
        return next((name for name in _names(self._room(number)) if not name.startswith(".")), None)

    def open_original(self, number: Number) -> int:
        """A descriptor for reading. Raises BadFile when it is not a plain file, because somebody swapped it in the drop folder."""
        name = self.original(number)
        if name is None:
            raise BadFile("unreadable", "the file vanished while it was in work")
        try:
            file = os.open(self._room(number) / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise BadFile("unreadable", f"the file cannot be opened: {os.strerror(error.errno or 0)}") from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise BadFile("unreadable", "not a regular file")
        return file

    def leave(self, number: Number) -> None:
        """Give the empty room back: the picture is through."""
        with suppress(FileNotFoundError):
            self._room(number).rmdir()

    def empty(self, number: Number) -> None:
        """Remove the room with all that is in it: the original too, unless it was moved on."""
        room = self._room(number)
        # Dot names last: a copy that lost its .source would be taken for a second file.
        for name in sorted(_names(room), key=lambda name: name.startswith(".")):
            (room / name).unlink()
        self.leave(number)

    # work/ -> out/

    def open_target(self, number: Number) -> int:
        """A new hidden file in out/ for the result, for reading and writing."""
        self.drop_target(number)
        return os.open(self._target(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def drop_target(self, number: Number) -> None:
        self._target(number).unlink(missing_ok=True)

    def place(self, number: Number, target: int, picture_format: str) -> None:
        """Give the finished file its name in out/. Atomic; durable only after settle_result."""
        os.utime(target, ns=(NEUTRAL_NS, NEUTRAL_NS))
        os.fchmod(target, 0o644)
        os.fsync(target)
        files.make_folder(self.out / number.folder, 0o755)
        folder = self._open_results(number)
        try:
            os.replace(self._target(number), f"{number.name}.{self._ending(number, picture_format)}", dst_dir_fd=folder)
        finally:
            os.close(folder)

    def settle_result(self, number: Number) -> None:
        """Make the result's name durable and the folder's time neutral."""
        folder = self._open_results(number)
        try:
            os.utime(folder, ns=(NEUTRAL_NS, NEUTRAL_NS))
            files.fsync_folder(".", parent=folder)
        finally:
            os.close(folder)
        files.fsync_folder(self.out)

    def has_result(self, number: Number) -> bool:
        return any(name.startswith(f"{number.name}.") for name in _names(self.out / number.folder))

    def clear_targets(self) -> None:
        """Remove what a crash left unfinished in out/."""
        for name in _names(self.out):
            if _TEMPORARY.fullmatch(name):
                (self.out / name).unlink()

    def _ending(self, number: Number, picture_format: str) -> str:
        endings = ENDINGS[picture_format]
        own = (self.original(number) or "").rpartition(".")[2].lower()
        return own if own in endings else endings[0]

    def _open_results(self, number: Number) -> int:
        return os.open(self.out / number.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    # work/ -> done/ or quarantine/

    def keep(self, number: Number) -> None:
        """Move the original into done/, readable by the owner only; nothing to do when it is there already."""
        name = self.original(number)
        if name is not None:
            files.make_folder(self.done / number.folder, 0o700)
            self._put(number, name, self.done / number.folder / f"{number.name}-{name}")

    def refuse(self, number: Number, reason: BadFile, at: float) -> None:
        """Move the original into quarantine/, with the reason beside it. at : Unix seconds."""
        files.make_folder(self.quarantine / number.folder, 0o700)
        folder = self.quarantine / number.folder / number.name
        files.make_folder(folder, 0o700)
        name = self.original(number)
        if name is not None:
            # A file that is itself called reason.json must not take the reason's place.
            self._put(number, name, folder / ("_reason.json" if name == "reason.json" else name))
        document = {"number": str(number), "code": reason.code, "reason": reason.reason, "at": at}
        files.write_whole(folder / "reason.json", json.dumps(document, indent=1).encode())

    def _put(self, number: Number, name: str, target: Path) -> None:
        source = self._room(number) / name
        with suppress(PermissionError):  # another user's file; the folder around it is the owner's only
            if not source.is_symlink():
                source.chmod(0o600)
        files.move(source, target, self._moving(number))

    def clear_moving(self, number: Number) -> None:
        """Remove what a crash left of a move of this original to another file system."""
        for folder in (self.done / number.folder, self.quarantine / number.folder / number.name):
            with suppress(FileNotFoundError, NotADirectoryError):
                (folder / self._moving(number)).unlink()

    def kept(self) -> Iterator[Number]:
        """The numbers of all originals in done/."""
        for folder in _names(self.done):
            for name in _names(self.done / folder):
                number = Number.parse(f"{folder}/{name.partition('-')[0]}")
                if number is not None:
                    yield number

    def forget_kept(self, number: Number) -> None:
        """Remove an original from done/."""
        folder = self.done / number.folder
        for name in _names(folder):
            if name.startswith(f"{number.name}-"):
                (folder / name).unlink()
        with suppress(OSError):
            folder.rmdir()  # fails while it holds others

    def highest_exam(self) -> int:
        """The highest examination number any folder shows."""
        names = (name for folder in (self.out, self.done, self.quarantine, self.work) for name in _names(folder))
        return max((int(found[1]) for found in map(_EXAM.fullmatch, names) if found), default=0)

    def _devices(self) -> list[int]:
        return [folder.stat().st_dev for folder in (self.out, self.done, self.quarantine, self.state)]

    def _room(self, number: Number) -> Path:
        return self.work / number.id

    def _target(self, number: Number) -> Path:
        return self.out / self._moving(number)

    def _moving(self, number: Number) -> str:
        """The hidden name of a file of this picture that is not whole yet, in any folder: two lanes never share one."""
        return f".{number.id}.part"


def _names(folder: Path) -> list[str]:
    """The names in a folder; none when there is no such folder."""
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _prepare(key: str, folder: Path, mode: int) -> None:
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            files.make_folder(folder, mode)
    except OSError as error:
        if error.errno not in CHOICE:
            raise
        problem = f"{folder} cannot be made by user {user_name()} ({error.strerror}): make it and give it to this user"
        raise BadConfig(key, problem) from error
    if not folder.is_dir():
        raise BadConfig(key, f"{folder} is not a folder: move what is there away, or choose another")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise BadConfig(key, f"{folder} cannot be written by user {user_name()}: give this user the rights, or choose another folder")


def _narrow(key: str, folder: Path, mode: int) -> None:
    """Take rights beyond `mode` away from a folder of ours that something else made; never give any."""
    status = folder.stat()
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o777 & ~mode:
        try:
            folder.chmod(stat.S_IMODE(status.st_mode) & (mode | 0o7000))
        except OSError as error:  # a file system without rights
            log.warning("%s stays open to other users: %s", key, describe(error))


def _refuse_overlap(folders: config.Folders) -> None:
    """A folder inside another would make the box eat its own results."""
    real = {key: Path(os.path.realpath(getattr(folders, key))) for key in MODES}
    for key, folder in real.items():
        for other, above in real.items():
            if key != other and folder.is_relative_to(above):
                raise BadConfig(f"folders.{key}", f"{folder} lies in folders.{other}, {above}: choose a folder of its own")


def _lock(state: Path) -> int:
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise BadConfig("folders.state", f"{state} is in use by another AnonBox: stop that one, or choose another folder") from error
    return lock
