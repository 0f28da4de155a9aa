"""Folders on other machines that the box mounts (anonbox shares): pictures are fetched from one, results are delivered to the other.

Each has a thread of its own, the only one that touches it: a server that hangs holds up neither the pictures in work nor the watchdog.
Nothing is read or written where nothing is mounted. What is fetched comes into the drop folder, what is delivered leaves out/, and at
every moment a picture is whole at one side at least. That a file is gone from a share never means that anything is to be deleted.
"""

from __future__ import annotations

import errno
import filecmp
import json
import logging
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from appliance.config import Config
from appliance.intake import files
from appliance.intake.collector import LEFT_S, TOO_LARGE, Stay
from appliance.intake.faults import describe
from appliance.intake.folders import NEUTRAL_NS, Box
from appliance.intake.inbox import TO_LEAVE, UNTAKEABLE, Entry, Held, Inbox, Left, NotNow, natural, user_name
from appliance.intake.journal import Journal, Number
from appliance.intake.stability import Stamp, Tracker
from appliance.status.snapshot import Share, ShareState

log = logging.getLogger(__name__)

HANG_S = 30.0
"""A share that answers nothing for so long is away; longer than the mount options let one call last."""

FETCHED = "network"
"""The folder of the drop folder that fetched pictures come into."""

CLASH = "A result on the network share differs from the box's of the same number; move it away there."


class BoxTrouble(Exception):
    """The box's own disk or journal failed or is full: it is tried again, and the share is not to blame."""


@contextmanager
def opened(point: Path) -> Iterator[int]:
    """The top folder of what is mounted at `point`. Raises OSError; ENODEV where nothing is mounted.

    Opened and not only looked at: that is what makes an automount point mount. All further steps go from this descriptor, so that a
    share that is unmounted meanwhile can never turn into the folder below it.
    """
    root = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if device_of(root) == point.parent.stat().st_dev:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        yield root
    finally:
        os.close(root)


def device_of(file: int) -> int:
    return os.fstat(file).st_dev


@contextmanager
def _ours() -> Iterator[None]:
    """What fails inside is the box's own."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise BoxTrouble(describe(error)) from error


class Carrier(threading.Thread):
    """Works on one share, round after round. What it says of itself may be read from any thread."""

    folder: str

    def __init__(self, config: Config, box: Box, journal: Journal, monotonic: Callable[[], float]) -> None:
        super().__init__(name="share", daemon=True)  # a call that hangs in the kernel must not keep the process from ending
        self.config, self._box, self._journal, self._monotonic = config, box, journal, monotonic
        self._point = config.shares.mounts / self.folder
        self._ended = threading.Event()
        self._heard_at = monotonic()
        self.fault = self.clash = ""
        self.left: Counter[str] = Counter()

    def run(self) -> None:
        while not self._ended.is_set():
            self.turn()
            self._ended.wait(self.config.intake.sweep_s)

    def turn(self) -> None:
        """One round, and what came of it."""
        fault = self.fault
        try:
            with opened(self._point) as root:
                self._alive()
                self._round(root)
            fault = ""
        except BoxTrouble as error:
            log.warning("network share, %s: waits for the box: %s", self.folder, error)
        except OSError as error:
            fault = describe(error)
        if fault != self.fault:
            log.warning("network share, %s: %s", self.folder, fault or "is back")
        self.fault = fault
        self._alive()

    def view(self, now: float) -> Share:
        return Share(self.folder, self.state(now))

    def state(self, now: float) -> ShareState:
        """now : monotonic seconds"""
        return "away" if self.fault or now - self._heard_at > HANG_S else "connected"

    def end(self) -> None:
        self._ended.set()

    def _alive(self) -> None:
        self._heard_at = self._monotonic()

    def _round(self, root: int) -> None:
        raise NotImplementedError


class Fetcher(Carrier):
    """Moves pictures from the share into the drop folder: a whole copy first, then the original goes, then the copy gets its name.

    The copy waits in work/.share/ with a note of its source beside it, so that after a crash it is known whether the original went.
    """

    folder = "in"

    def __init__(self, config: Config, box: Box, journal: Journal, monotonic: Callable[[], float]) -> None:
        super().__init__(config, box, journal, monotonic)
        self._inbox = Inbox(self._point)
        self._seen: Tracker[Entry] = Tracker()
        self._stays: dict[Entry, Stay] = {}
        room = box.work / ".share"
        self._note, self._part, self._whole = room / "source.json", room / "copy.part", room / "copy"
        files.make_folder(room, 0o700)

    def _round(self, root: int) -> None:
        with suppress(Left):  # the sweep meets it again
            self._finish(root)
        found, now = self._inbox.sweep(), self._monotonic()
        self._alive()
        self._seen.observe(found.files, now)
        self._stays = {entry: stay for entry, stay in self._stays.items() if stay.stamp == found.files.get(entry) and now < stay.until}
        still = self._seen.still(now, self.config.intake.settle_s)
        for entry in sorted(still.keys() - self._stays.keys(), key=natural):
            if self._ended.is_set() or self._is_short():
                break
            self._try(root, entry, still[entry].stamp)
            self._alive()
        self.left = found.left + Counter(stay.reason for stay in self._stays.values())

    def _is_short(self) -> bool:
        with _ours():
            return self._box.free_bytes() < self.config.intake.min_free_mib << 20

    def _try(self, root: int, entry: Entry, stamp: Stamp) -> None:
        try:
            if stamp.size > self.config.limits.file_mib << 20:
                raise Left(TOO_LARGE)
            with self._inbox.hold(entry, stamp) as held:
                self._bring(held)
            self._finish(root)
        except NotNow:
            pass
        except Left as left:
            self._stays[entry] = Stay(str(left), stamp, self._monotonic() + LEFT_S)

    def _bring(self, held: Held) -> None:
        """A whole, durable copy in the room."""
        with _ours():
            files.write_whole(self._note, json.dumps([*held.entry, *held.stamp]).encode())
            target = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            files.copy(held.file, target, self._alive)
            with _ours():
                os.fsync(target)
        finally:
            os.close(target)
        if not held.is_unchanged():
            raise NotNow
        with _ours():
            self._part.rename(self._whole)
            files.fsync_folder(self._whole.parent)

    def _finish(self, root: int) -> None:
        """Carry the copy in the room to its end, in this run or after a crash. Raises Left when the original cannot be taken away."""
        if not self._note.exists():
            return
        with _ours():
            folder, name, *stamp = json.loads(self._note.read_bytes())
        entry, before = Entry(folder, name), Stamp(*stamp)
        if self._whole.exists():
            try:
                self._remove(root, entry, before)
            except OSError as error:
                if error.errno not in TO_LEAVE:
                    raise
                with _ours():  # with its copy the picture would come out twice
                    self._whole.unlink()
                    self._note.unlink()
                raise Left(UNTAKEABLE.format(user=user_name())) from error
            with _ours():
                files.move(self._whole, self._place(entry), ".network.part")
        with _ours():
            self._part.unlink(missing_ok=True)
            self._note.unlink()

    @staticmethod
    def _remove(root: int, entry: Entry, stamp: Stamp) -> None:
        """Take the original away unless it is gone or another took its place; that the share does not answer means neither."""
        path = "/".join(filter(None, entry))
        with suppress(FileNotFoundError, NotADirectoryError):
            if Stamp.of(os.stat(path, dir_fd=root, follow_symlinks=False)) == stamp:
                os.unlink(path, dir_fd=root)

    def _place(self, entry: Entry) -> Path:
        """A free name in the drop folder; its folder is the share's, because a folder is an examination."""
        folder = self._box.inbox.path
        for part in (FETCHED, *filter(None, entry.folder.split("/"))):
            folder /= files.safe_name(part)
            files.make_folder(folder, 0o700)
        path, number = folder / files.safe_name(entry.name), 2
        while path.exists():
            path, number = folder / f"{number}-{files.safe_name(entry.name)}", number + 1
        return path


class Deliverer(Carrier):
    """Moves results from out/ to the share. A result leaves the box when the share has all of it, and never replaces another one there."""

    folder = "out"

    def _round(self, root: int) -> None:
        clash = ""
        for number, path in self._results():
            if self._ended.is_set():
                return
            if not self._deliver(root, number, path):
                clash = CLASH
            self._alive()
        self.clash = clash

    def _results(self) -> Iterator[tuple[Number, Path]]:
        """What is published, in order; a result that the journal does not know yet is still the lane's."""
        with _ours():
            for folder in sorted(self._box.out.glob("E*")):
                for path in sorted(folder.glob("[0-9]*.*")):
                    number = Number.parse(f"{folder.name}/{path.stem}")
                    if number is not None and self._journal.state(number) in ("published", "kept", "finished"):
                        yield number, path

    def _deliver(self, root: int, number: Number, path: Path) -> bool:
        """Whether the share has this result now; False when another is in its place."""
        with suppress(FileExistsError):
            os.mkdir(number.folder, 0o755, dir_fd=root)
        folder = os.open(number.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        try:
            if not _exists(folder, path.name):
                part = f".{number.id}.part"
                self._write(folder, part, path)
                os.rename(part, path.name, src_dir_fd=folder, dst_dir_fd=folder)
                files.fsync_folder(".", parent=folder)
            self._alive()
            filecmp.clear_cache()  # it takes equal times, and ours are all neutral, for equal files
            if not filecmp.cmp(path, f"/proc/self/fd/{folder}/{path.name}", shallow=False):
                return False
        finally:
            os.close(folder)
        with _ours():
            path.unlink()  # its folder stays: it shows that the number is taken
            files.fsync_folder(path.parent)
        return True

    def _write(self, folder: int, name: str, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o644, dir_fd=folder)
        try:
            with path.open("rb") as source:
                files.copy(source.fileno(), target, self._alive)
            os.utime(target, ns=(NEUTRAL_NS, NEUTRAL_NS))
            os.fsync(target)
        finally:
            os.close(target)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


class Shares:
    """All shares of one running box."""

    def __init__(self, config: Config, box: Box, journal: Journal, monotonic: Callable[[], float]) -> None:
        wanted: dict[type[Carrier], str] = {Fetcher: config.shares.inbox, Deliverer: config.shares.out}
        self.carriers = [kind(config, box, journal, monotonic) for kind, source in wanted.items() if source]

    def start(self) -> None:
        for carrier in self.carriers:
            carrier.start()

    def views(self, now: float) -> tuple[Share, ...]:
        return tuple(carrier.view(now) for carrier in self.carriers)

    def adopt(self, config: Config) -> None:
        """Take over what may change at run time."""
        for carrier in self.carriers:
            carrier.config = config

    @property
    def clash(self) -> str:
        """Why a person has to look at a share; "" when nobody has to."""
        return next((carrier.clash for carrier in self.carriers if carrier.clash), "")

    @property
    def left(self) -> Counter[str]:
        """reason -> number of things that stay on the share."""
        return sum((carrier.left for carrier in self.carriers), Counter())

    def close(self) -> None:
        for carrier in self.carriers:
            carrier.end()
        for carrier in self.carriers:
            if carrier.is_alive():
                carrier.join(2.0)
