"""Pictures from the hospital's share, as a source."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter, deque
from pathlib import Path
from typing import NamedTuple

from appliance.daemon.lane import Job
from appliance.daemon.parts import Host, PartView
from appliance.daemon.share_worker import ShareEnd, ShareWorker
from appliance.daemon.sources import taking
from appliance.daemon.sources.drop_folder import LEFT_S, Stay
from appliance.daemon.sources.names import BIN
from appliance.daemon.sources.settling import Stamp, Tracker
from appliance.daemon.sources.tree import TOO_LARGE, UNTAKEABLE, Entry, Inbox, Left, NotNow, Sweep, natural, user_name
from appliance.system import files
from appliance.system.faults import ours

ALREADY_DONE = "the box did a file of the same content before: not taken again"
BIN_ON = "recycle bin on the network share: patients' originals stay in it; switch it off or empty it"


class Copy(NamedTuple):
    """A picture, whole in the worker's room and gone from the share: where it was, what the journal knows it by, where it is."""

    entry: Entry
    seen: bytes
    path: Path


class ShareSource(ShareEnd["Fetching"]):
    """The share that pictures are fetched from."""

    def __init__(self, host: Host) -> None:
        super().__init__(Fetching(host) if host.config.shares.inbox else None)
        self._host, self._secret = host, host.box.secret()

    def take(self, now: float, age: float) -> Job | None:
        copy = self.worker.copy if self.worker else None
        if self.worker is None or copy is None:
            return None
        number = self._host.journal.claim(self._key(copy.entry.folder), age, self._host.config.intake.examination_idle_s, copy.seen)
        try:
            stamp = self._host.box.take_copy(copy.path, copy.entry.name, number)
        except OSError:
            self._host.journal.forget(number)
            raise
        self.worker.taken()
        return Job(number, changed_at=-math.inf, stamp=stamp)  # it cannot grow any more

    def _key(self, folder: str) -> bytes:
        """What the journal knows a folder of the share by: a folder is an examination."""
        return hashlib.blake2b(b"share\0" + os.fsencode(folder), key=self._secret, digest_size=16).digest()


class Fetching(ShareWorker):
    """Copies pictures into a room of its own, work/.share/, one ahead of the loop: a whole copy first, then the original goes.

    copy : what the loop may take; it waits until it was
    """

    folder = "in"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._inbox = Inbox(self._point)
        self._secret = host.box.secret()
        self._seen: Tracker[Entry] = Tracker()
        self._stays: dict[Entry, Stay] = {}
        self._pending: deque[tuple[Entry, Stamp]] = deque()
        self._sweep_at = -math.inf
        self._room = host.box.work / ".share"
        self.copy: Copy | None = None
        files.make_folder(self._room, 0o700)

    def view(self, now: float) -> PartView:
        view = super().view(now)
        waiting = len(self._pending) + (self.copy is not None)
        return PartView("", view.clash, waiting > 0, waiting, view.left, (), view.shares)

    def taken(self) -> None:
        """The loop has the copy."""
        self.copy = None
        self._again.set()

    def _round(self, root: int) -> None:
        if self.copy is None:
            self._resume(root)
        if not self._pending or self._monotonic() >= self._sweep_at:
            self._sweep()
        while self._pending and self.copy is None and not self._ended.is_set() and not self._is_short():
            self._try(root, *self._pending.popleft())
            self._alive()

    def _is_short(self) -> bool:
        with ours():
            return self._host.is_short()

    def _sweep(self) -> None:
        found, now = self._inbox.sweep(), self._monotonic()
        self._sweep_at = now + self._host.config.intake.sweep_s
        self._alive()
        self._seen.observe(found.files, now)
        self._stays = {entry: stay for entry, stay in self._stays.items() if stay.stamp == found.files.get(entry) and now < stay.until}
        still = self._seen.still(now, self._host.config.intake.settle_s)
        self._pending = deque((entry, still[entry].stamp) for entry in sorted(still.keys() - self._stays.keys(), key=natural))
        self.left = _left(found) + Counter(stay.reason for stay in self._stays.values())

    def _try(self, root: int, entry: Entry, stamp: Stamp) -> None:
        try:
            if stamp.size > self._host.largest:
                raise Left(TOO_LARGE)
            with self._inbox.hold(entry, stamp) as held:
                taking.copy_in(held, self._room, self._host.largest, self._alive)
            self._hand_over(root)
        except NotNow:
            self._clear()
        except Left as left:
            self._stay(entry, stamp, str(left))

    def _stay(self, entry: Entry, stamp: Stamp, reason: str) -> None:
        # what was done before is not read again and again: it is, once more, after a restart or when it changes
        until = math.inf if reason == ALREADY_DONE else self._monotonic() + LEFT_S
        self._stays[entry] = Stay(reason, stamp, until)
        self.left[reason] += 1

    def _resume(self, root: int) -> None:
        """Carry on with the copy that a crash or a lost connection left behind."""
        source = taking.source_of(self._room)
        try:
            self._hand_over(root)
        except Left as left:
            if source is not None:
                self._stay(*source, str(left))

    def _hand_over(self, root: int) -> None:
        """Take the original away and let the loop have the copy. Raises Left when it stays; what is half is dropped."""
        source, path = taking.source_of(self._room), self._whole()
        if source is None or path is None:
            self._clear()
            return
        with ours():
            seen = self._digest(path)
            is_known = self._journal.number_of(seen) is not None
        if is_known:
            self._clear()
            raise Left(ALREADY_DONE)
        if not taking.remove_source(self._room, lambda entry, stamp: _remove(root, entry, stamp)):
            self._clear()  # with its copy the picture would come out twice
            raise Left(UNTAKEABLE.format(user=user_name()))
        self.copy = Copy(source[0], seen, path)
        self._host.wake()

    def _whole(self) -> Path | None:
        with ours():
            return next((path for path in self._room.iterdir() if not path.name.startswith(".")), None)

    def _clear(self) -> None:
        with ours():
            # dot names last: a copy that lost its note would not be known
            for path in sorted(self._room.iterdir(), key=lambda path: path.name.startswith(".")):
                path.unlink()

    def _digest(self, path: Path) -> bytes:
        """What the journal knows a picture of a share by: its content alone, because a NAS moves what is taken away to another place."""
        digest = hashlib.blake2b(b"share\0", key=self._secret, digest_size=16)
        with path.open("rb") as file:
            while chunk := file.read(files.CHUNK):
                digest.update(chunk)
        return digest.digest()


def _left(found: Sweep) -> Counter[str]:
    """What stays on the share, with the warning that a recycle bin keeps what the box takes away."""
    ignored = Counter({BIN_ON if kind == BIN else kind: count for kind, count in found.ignored.items()})
    return found.left + ignored


def _remove(root: int, entry: Entry, stamp: Stamp) -> None:
    """Take the original away unless it is gone or another took its place; that the share does not answer means neither."""
    path = "/".join(filter(None, entry))
    try:
        if Stamp.of(os.stat(path, dir_fd=root, follow_symlinks=False)) == stamp:
            os.unlink(path, dir_fd=root)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotNow from error
