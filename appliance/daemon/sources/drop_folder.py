"""The collector: sweeps the drop folder and takes what has stood still, in the order people number their pictures."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter, deque
from typing import NamedTuple

from appliance.config import Config
from appliance.daemon.journal import Journal
from appliance.daemon.lane import Job
from appliance.daemon.sources.settling import Stamp, Still, Tracker
from appliance.daemon.sources.tree import TO_LEAVE, UNTAKEABLE, Entry, Left, NotNow, Sweep, natural, user_name
from appliance.daemon.store import Box

LEFT_S = 60.0
"""A file that could not be taken is tried again after so long, or when it changed: each try may cost two commits."""

TOO_LARGE = "larger than limits.file_mib and on another file system: not taken"


class Stay(NamedTuple):
    """Why a file could not be taken, how it looked then, and when it is tried again (monotonic seconds)."""

    reason: str
    stamp: Stamp
    until: float


class Collector:
    """What is known of the drop folder. All times are monotonic seconds.

    swept : folders of the last sweep, relative
    """

    def __init__(self, box: Box, journal: Journal, config: Config) -> None:
        self._box, self._journal, self._secret = box, journal, box.secret()
        self.config = config
        self.swept: list[str] = []
        self._files: Tracker[Entry] = Tracker()
        self._ready: deque[tuple[Entry, Still]] = deque()
        self._left_by_sweep: Counter[str] = Counter()
        self._left_by_claim: dict[Entry, Stay] = {}
        self._emptied: Tracker[str] = Tracker()
        self._taken_from: set[str] = set()

    @property
    def is_ready(self) -> bool:
        """Whether something could be taken now."""
        return bool(self._ready)

    @property
    def waiting(self) -> int:
        """Files seen and not yet taken, without those that have to stay."""
        return len(self._files) - len(self._left_by_claim)

    @property
    def left(self) -> Counter[str]:
        """reason -> number of things that stay in the drop folder."""
        return self._left_by_sweep + Counter(stay.reason for stay in self._left_by_claim.values())

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
        intake = self.config.intake
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
            number = self._journal.claim(self._key(entry.folder), age, self.config.intake.examination_idle_s)
            try:
                self._box.take(held, number, self.config.limits.file_mib << 20)
            except (OSError, NotNow) as error:
                self._journal.forget(number)
                raise _meaning(error) from error
        return Job(number, changed_at=still.since, stamp=still.stamp)

    def _key(self, folder: str) -> bytes:
        """What the journal knows a folder by: without the secret nobody can try names against it."""
        return hashlib.blake2b(os.fsencode(folder), key=self._secret, digest_size=16).digest()

    def _take_in(self, found: Sweep, now: float) -> None:
        self._files.observe(found.files, now)
        self._left_by_sweep, self.swept = found.left, found.folders
        self._left_by_claim = {entry: stay for entry, stay in self._left_by_claim.items() if found.files.get(entry) == stay.stamp}
        stays = {entry for entry, stay in self._left_by_claim.items() if now < stay.until}
        still = self._files.still(now, self.config.intake.settle_s)
        ready = [item for item in still.items() if item[0] not in stays]
        self._ready = deque(sorted(ready, key=lambda item: natural(item[0])))

    def _note_taken_from(self, folder: str) -> None:
        if "/" in folder:  # a folder right below the drop folder belongs to a source, which may expect to find it again
            self._taken_from.add(folder)

    def _remove_emptied(self, found: Sweep, now: float) -> None:
        """Remove folders the box emptied itself, no source's own, once empty and still for as long as an examination lasts."""
        self._taken_from.intersection_update(found.folders)
        self._emptied.observe({folder: stamp for folder, stamp in found.empty.items() if folder in self._taken_from}, now)
        for folder in self._emptied.still(now, self.config.intake.examination_idle_s):
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
