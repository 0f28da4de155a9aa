"""The box's own folders: the way of a file from the drop folder through work/ into out/, done/ or quarantine/.

Every picture in hand has a room, work/E000123-0001/, with the original under its own (cleaned) name: the one place, readable by
the owner only, where number and name meet before done/ and quarantine/. A room that exists is work that is not over; the journal
says what is left to do, and every step here may be repeated after a crash at any point.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from appliance import config
from appliance.daemon.journal import Number
from appliance.daemon.sources import taking
from appliance.daemon.sources.settling import Stamp
from appliance.daemon.sources.tree import Entry, Held, Inbox, Left, NotNow, user_name
from appliance.errors import BadConfig, BadFile
from appliance.system import files
from appliance.system.faults import BoxTrouble, describe

log = logging.getLogger(__name__)

NEUTRAL_NS = 946_684_800 * 10**9
"""Time of change and access of every result and its folder: 2000-01-01 00:00 UTC. When a picture was taken, or came, is not told."""

ENDINGS = {
    "jpeg": ("jpg", "jpeg"),
    "png": ("png",),
    "bmp": ("bmp", "dib"),
    "tiff": ("tif", "tiff"),
    "dicom": ("dcm", "dic"),
    "mp4": ("mp4", "m4v"),
}
"""Name endings a result may have, by format; the first is the usual one."""

ALL_ENDINGS = tuple(dict.fromkeys(itertools.chain(*ENDINGS.values())))

MODES = {"inbox": 0o755, "out": 0o755, "done": 0o700, "quarantine": 0o700, "state": 0o711}
"""Rights of a folder that the box makes; state/ lets the page's user through to status.json, and no further."""

OURS = frozenset({"done", "quarantine", "state"})
"""Folders that the box alone may open up; in inbox and out the users rule."""

CHOICE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG})
"""Errors of making a folder that another choice of it mends; any other is the disk's and may pass."""

UNFINISHED = ".anonbox"
"""The folder in out/ for results that are not whole yet, the owner's only, where the file system has no files without a name."""

NAMELESS = getattr(os, "O_TMPFILE", 0)
"""open(2)'s flag for a file without a name, 0 where Python does not know it."""

WITHOUT_NAMELESS = frozenset({errno.ENOTSUP, errno.EISDIR, errno.EINVAL})
"""Errors of file systems that have no files without a name."""

PLACING_TRIES = 100
"""Times that a result is given its name while somebody moves its folder away at that very moment."""

REASON, ORIGINAL = "reason.json", "original"
"""What a folder in quarantine/ holds: the reason, and the file under this name and its ending."""

KNOWN_ENDINGS = frozenset(
    {*itertools.chain(*ENDINGS.values()), "jpe", "gif", "webp", "heic", "dcm", "mp4", "mov", "avi", "mpg", "ts", "mkv", "pdf"}
)
"""Endings that a refused file keeps; any other may be a part of a name."""

_TEMPORARY = re.compile(r"\.E[0-9]+-[0-9]+\.part", re.ASCII)
_DIGITS = re.compile(r"[0-9]{4,}", re.ASCII)
_EXAM = re.compile(r"E([0-9]{6,})(-[0-9]{4,})?", re.ASCII)


class NumberTaken(Exception):
    """Another picture's result or original has this number already: the journal is older than the folders, or somebody put it there."""


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
                taking.copy_in(held, room, largest_copy)
                if not taking.remove_source(room, lambda *_: held.remove()):
                    raise OSError(errno.EACCES, os.strerror(errno.EACCES)) from error
                taking.forget_source(room)
        except (OSError, NotNow):
            self.empty(number)
            raise
        except BoxTrouble as trouble:
            self.empty(number)
            raise (trouble.__cause__ or trouble) from None

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
        if self.original(number) is None or not taking.remove_source(room, self._remove_taken):
            return False
        taking.forget_source(room)
        return True

    def _remove_taken(self, entry: Entry, stamp: Stamp) -> None:
        try:
            with self.inbox.hold(entry, stamp) as held:
                held.remove()
        except Left as left:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES)) from left

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

    def renumber(self, number: Number, new: Number) -> None:
        """Carry a picture on under another number."""
        self._room(number).rename(self._room(new))
        files.fsync_folder(self.work)

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
        """A new file for the result, for reading and writing. It has no name, so whoever watches out/ sees whole results only."""
        try:
            return os.open(self.out, os.O_RDWR | NAMELESS | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in WITHOUT_NAMELESS:
                raise
        self.drop_target(number)
        files.make_folder(self.out / UNFINISHED, 0o700)
        return os.open(self._target(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def drop_target(self, number: Number) -> None:
        self._target(number).unlink(missing_ok=True)

    def place(self, number: Number, target: int, picture_format: str) -> None:
        """Give the finished file its name in out/. Atomic; durable only after settle_result; once more does no harm.

        Raises NumberTaken when another file has that name: it is another picture's result, and stays.
        """
        os.utime(target, ns=(NEUTRAL_NS, NEUTRAL_NS))
        os.fchmod(target, 0o644)
        os.fsync(target)
        result = self.out / number.folder / f"{number.name}.{self._ending(number, picture_format)}"
        others = self._results(number)
        try:
            if others and others != [result]:
                raise FileExistsError
            self._name(number, target, result)
        except FileExistsError as error:
            if not files.is_same(target, others[0] if others else result):
                raise NumberTaken from error
            self.drop_target(number)
        with suppress(OSError):  # it is in use, or was never there
            (self.out / UNFINISHED).rmdir()

    def _name(self, number: Number, target: int, result: Path) -> None:
        """Raises FileExistsError when there is a file of that name."""
        for _ in range(PLACING_TRIES):
            with suppress(FileNotFoundError):
                return self._link(number, target, result)
            if self._link_with_folder(number, target, result):
                return
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _link(self, number: Number, target: int, result: Path) -> None:
        """Into a folder that is there. Raises FileNotFoundError when it is not, FileExistsError when it has a file of that name."""
        folder = os.open(result.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if self._target(number).exists():
                files.rename_new(self._target(number), result)
            else:  # with a folder's descriptor Python calls linkat(2), which can follow; without one link(2), which cannot
                os.link(f"/proc/self/fd/{target}", result.name, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)

    def _link_with_folder(self, number: Number, target: int, result: Path) -> bool:
        """Its folder comes into out/ with the result in it, so that whoever takes folders away never takes an empty one; False when
        there is such a folder after all, or somebody moved away what was being made."""
        stage = self.out / UNFINISHED / number.id
        has_name = self._target(number).exists()
        try:
            files.make_folder(self.out / UNFINISHED, 0o700)
            files.make_folder(stage, 0o755)
            self._link(number, target, stage / result.name)
            os.utime(stage, ns=(NEUTRAL_NS, NEUTRAL_NS))
            files.rename_new(stage, result.parent)
        except (FileExistsError, FileNotFoundError):
            with suppress(FileNotFoundError):
                if has_name:
                    (stage / result.name).rename(self._target(number))
                else:
                    (stage / result.name).unlink()
            with suppress(FileNotFoundError):
                stage.rmdir()
            return False
        return True

    def settle_result(self, number: Number) -> None:
        """Make the result's name durable and the folder's time neutral. A result that was fetched meanwhile is somebody else's."""
        with suppress(FileNotFoundError):
            folder = self._open_results(number)
            try:
                os.utime(folder, ns=(NEUTRAL_NS, NEUTRAL_NS))
                files.fsync_folder(".", parent=folder)
            finally:
                os.close(folder)
        files.fsync_folder(self.out)

    def has_result(self, number: Number) -> bool:
        return bool(self._results(number))

    def _results(self, number: Number) -> list[Path]:
        """What has this number in out/, under whichever ending; looked for by name, because a folder may hold thousands."""
        paths = (self.out / number.folder / f"{number.name}.{ending}" for ending in ALL_ENDINGS)
        return [path for path in paths if path.exists()]

    def clear_targets(self) -> None:
        """Remove what a crash left unfinished in out/; earlier versions left it in out/ itself."""
        for name in filter(_TEMPORARY.fullmatch, _names(self.out)):
            (self.out / name).unlink()
        if (self.out / UNFINISHED).is_dir():
            shutil.rmtree(self.out / UNFINISHED)

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
            self._put(number, name, self.done / number.folder, f"{number.name}-{name}")

    def refuse(self, number: Number, reason: BadFile, at: float) -> None:
        """Move the original into quarantine/ under a neutral name; the reason beside it alone knows its own. at : Unix seconds."""
        name = self.original(number)
        folder = self._refusal(number)
        if name is not None or not (folder / REASON).exists():
            document = {"number": str(number), "code": reason.code, "reason": reason.reason, "at": at, "name": name}
            files.write_whole(folder / REASON, json.dumps(document, indent=1).encode())  # first: its name is known nowhere else
        if name is not None:
            self._put(number, name, folder, f"{ORIGINAL}{_known_ending(name)}")

    def _refusal(self, number: Number) -> Path:
        """The folder of a refused picture, made if need be; beside one that another picture has under this number."""
        files.make_folder(self.quarantine / number.folder, 0o700)
        for name in _numbered(number.name):
            folder = self.quarantine / number.folder / name
            files.make_folder(folder, 0o700)
            if all(self._is_copy(number, folder / other) for other in _names(folder) if other.startswith(ORIGINAL)):
                return folder
        raise AssertionError

    def _is_copy(self, number: Number, path: Path) -> bool:
        """Whether a file is this picture's original, moved already or, across file systems, copied before a crash."""
        name = self.original(number)
        if name is None:
            return True
        try:
            file = self.open_original(number)
        except BadFile:
            return False
        try:
            return files.is_same(file, path)
        finally:
            os.close(file)

    def _put(self, number: Number, name: str, folder: Path, wanted: str) -> None:
        """Move the original into a folder, under the first free name like the wanted one."""
        source = self._room(number) / name
        with suppress(PermissionError):  # another user's file; the folder around it is the owner's only
            if not source.is_symlink():
                source.chmod(0o600)
        for free in _numbered(wanted):
            with suppress(FileExistsError):
                return files.move(source, folder / free, self._moving(number))

    def clear_moving(self, number: Number) -> None:
        """Remove what a crash left of a move of this original to another file system."""
        for folder in (self.done / number.folder, *self._refusals(number)):
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

    def forget_refused(self, number: Number) -> None:
        """Remove a refused original and its reason from quarantine/."""
        for folder in self._refusals(number):
            for name in _names(folder):
                (folder / name).unlink()
            folder.rmdir()
        with suppress(OSError):
            (self.quarantine / number.folder).rmdir()  # fails while it holds others

    def _refusals(self, number: Number) -> list[Path]:
        exam = self.quarantine / number.folder
        return [exam / name for name in _names(exam) if name == number.name or name.startswith(f"{number.name}-")]

    def highest_picture(self, exam: int) -> int:
        """The highest number that any folder shows in an examination; 0 when none does."""
        folder = Number(exam, 0).folder
        names = [name for place in (self.out, self.done, self.quarantine) for name in _names(place / folder)]
        names += [name.partition("-")[2] for name in _names(self.work) if name.startswith(f"{folder}-")]
        return max((int(found[0]) for found in map(_DIGITS.match, names) if found), default=0)

    def highest_exam(self) -> int:
        """The highest examination number any folder shows."""
        names = (name for folder in (self.out, self.done, self.quarantine, self.work) for name in _names(folder))
        return max((int(found[1]) for found in map(_EXAM.fullmatch, names) if found), default=0)

    def _devices(self) -> list[int]:
        return [folder.stat().st_dev for folder in (self.out, self.done, self.quarantine, self.state)]

    def _room(self, number: Number) -> Path:
        return self.work / number.id

    def _target(self, number: Number) -> Path:
        return self.out / UNFINISHED / self._moving(number)

    def _moving(self, number: Number) -> str:
        """The hidden name of a file of this picture that is not whole yet, in any folder: two lanes never share one."""
        return f".{number.id}.part"


def _known_ending(name: str) -> str:
    ending = name.rpartition(".")[2].lower()
    return f".{ending}" if ending in KNOWN_ENDINGS else ""


def _numbered(name: str) -> Iterator[str]:
    """name, name-2, name-3 and so on, before its ending."""
    stem, dot, ending = name.rpartition(".")
    yield name
    yield from (f"{stem}-{number}{dot}{ending}" if dot else f"{name}-{number}" for number in itertools.count(2))


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
