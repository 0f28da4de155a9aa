"""The drop folder as a source: sweeps it and takes what has stood still, in the order people number their pictures."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import threading
from collections import Counter, deque
from typing import NamedTuple

from appliance.daemon.lane import Job
from appliance.daemon.parts import Host, PartView
from appliance.daemon.sources.settling import Stamp, Still, Tracker
from appliance.daemon.sources.tree import TO_LEAVE, TOO_LARGE, UNTAKEABLE, Entry, Left, NotNow, Sweep, natural, user_name
from appliance.system.faults import describe
from appliance.system.watch import Watcher

LEFT_S = 60.0
"""A file that could not be taken is tried again after so long, or when it changed: each try may cost two commits."""


class Stay(NamedTuple):
    """Why a file could not be taken, how it looked then, and when it is tried again (monotonic seconds)."""

    reason: str
    stamp: Stamp
    until: float


SWEEP_PAUSE = 10.0
"""Pauses between sweeps that events ask for, in durations of a sweep: a tenth of a core at most goes into listing."""

SWEEP_PAUSE_S = 0.2


class DropFolder:
    """What is known of the drop folder. All times are monotonic seconds.

    swept : folders of the last sweep, relative
    """

    def __init__(self, host: Host) -> None:
        self._host, self._box, self._journal, self._secret = host, host.box, host.journal, host.box.secret()
        self.swept: list[str] = []
        self._files: Tracker[Entry] = Tracker()
        self._ready: deque[tuple[Entry, Still]] = deque()
        self._left_by_sweep: Counter[str] = Counter()
        self._left_by_claim: dict[Entry, Stay] = {}
        self._emptied: Tracker[str] = Tracker()
        self._taken_from: set[str] = set()
        self._event = threading.Event()
        self._watcher = Watcher(self._on_event)
        self._sweep_at = self._pause_until = self._swept_at = -math.inf
        self._fault = ""

    def view(self, now: float) -> PartView:
        """waiting : files seen and not yet taken, without those that have to stay"""
        left = self._left_by_sweep + Counter(stay.reason for stay in self._left_by_claim.values())
        return PartView(self._fault, "", bool(self._ready), len(self._files) - len(self._left_by_claim), left)

    def due_at(self) -> float:
        if not self._event.is_set():
            return self._sweep_at
        return max(self._pause_until, self._swept_at + self._host.config.intake.sweep_s) if self._ready else self._pause_until

    def close(self) -> None:
        self._watcher.close()

    def look(self, now: float) -> None:
        """Sweep when it is due, or when something happened, but not before the pause is over. now : monotonic seconds"""
        if not self._host.config.intake.watch:
            self._watcher.close()
        if now < self._sweep_at and not (self._event.is_set() and now >= self._pause_until):
            return
        if self._ready and now < self._swept_at + self._host.config.intake.sweep_s:
            return  # there is enough to do, and to list thousands of files at every event would cost a tenth of the rate
        self._swept_at = now
        self._event.clear()
        began = self._host.monotonic()
        try:
            self.sweep(now)
        except OSError as error:
            self._fault = f"The drop folder (folders.inbox) cannot be read: {describe(error)}; it goes on when it is back."
        else:
            self._fault = ""
            if self._host.config.intake.watch:
                self._watcher.follow(frozenset(self._box.inbox.path / folder for folder in self.swept), now)
        self._pause_until = now + max(SWEEP_PAUSE_S, SWEEP_PAUSE * (self._host.monotonic() - began))
        self._sweep_at = max(self.next_due(now), self._pause_until)

    def _on_event(self) -> None:
        self._event.set()
        self._host.wake()

    def sweep(self, now: float) -> None:
        """List the drop folder and sort out what has stood still. Raises OSError when it cannot be listed; all must settle anew then."""
        try:
            found = self._box.inbox.sweep()
        except OSError:
            self._take_in(Sweep(), now)
            raise
        self._take_in(found, now)
        self._remove_emptied(found, now)

    def next_due(self, now: float) -> float:
        """When the next sweep is due if nothing happens."""
        intake = self._host.config.intake
        due = self._files.next_due(now, intake.settle_s)
        return now + intake.sweep_s if due is None else min(due, now + intake.sweep_s)

    def take(self, now: float, age: float) -> Job | None:
        """Take the next file that is ready and stays takeable; None when there is none. age : the box's age, seconds

        Raises OSError or sqlite3.Error when the box itself cannot take anything; the file is then still in the drop folder.
        """
        while self._ready:
            entry, still = self._ready.popleft()
            try:
                job = self._take(entry, still, age)
            except NotNow:
                continue
            except Left as left:
                self._left_by_claim[entry] = Stay(str(left), still.stamp, now + LEFT_S)
                continue
            self._files.drop(entry)
            self._left_by_claim.pop(entry, None)
            self._note_taken_from(entry.folder)
            return job
        return None

    def _take(self, entry: Entry, still: Still, age: float) -> Job:
        inbox = self._box.inbox
        with inbox.hold(entry, still.stamp) as held:
            if inbox.leases_tell and held.is_written():
                raise NotNow
            number = self._journal.claim(self._key(entry.folder), age, self._host.config.intake.examination_idle_s)
            try:
                self._box.take(held, number, self._host.largest)
            except (OSError, NotNow) as error:
                self._journal.forget(number)
                raise _meaning(error) from error
        return Job(number, changed_at=still.since, stamp=still.stamp)

    def _key(self, folder: str) -> bytes:
        """What the journal knows a folder by: without the secret nobody can try names against it."""
        return hashlib.blake2b(os.fsencode(folder), key=self._secret, digest_size=16).digest()

    def _take_in(self, found: Sweep, now: float) -> None:
        self._files.observe(found.files, now)
        self._left_by_sweep, self.swept = found.left + found.ignored, found.folders
        self._left_by_claim = {entry: stay for entry, stay in self._left_by_claim.items() if found.files.get(entry) == stay.stamp}
        stays = {entry for entry, stay in self._left_by_claim.items() if now < stay.until}
        still = self._files.still(now, self._host.config.intake.settle_s)
        ready = [item for item in still.items() if item[0] not in stays]
        self._ready = deque(sorted(ready, key=lambda item: natural(item[0])))

    def _note_taken_from(self, folder: str) -> None:
        if "/" in folder:  # a folder right below the drop folder belongs to a source, which may expect to find it again
            self._taken_from.add(folder)

    def _remove_emptied(self, found: Sweep, now: float) -> None:
        """Remove folders the box emptied itself, no source's own, once empty and still for as long as an examination lasts."""
        self._taken_from.intersection_update(found.folders)
        self._emptied.observe({folder: stamp for folder, stamp in found.empty.items() if folder in self._taken_from}, now)
        for folder in self._emptied.still(now, self._host.config.intake.examination_idle_s):
            self._box.inbox.remove_folder(folder)
            self._note_taken_from(folder.rpartition("/")[0])


def _meaning(error: OSError | NotNow) -> OSError | NotNow | Left:
    """Whether a failed taking is the file's matter, so that it stays and others go on, or the box's."""
    if isinstance(error, NotNow) or error.errno == errno.ENOENT:
        return NotNow()
    if error.errno == errno.EFBIG:
        return Left(TOO_LARGE)
    if error.errno in TO_LEAVE:
        return Left(UNTAKEABLE.format(user=user_name()))
    return error
