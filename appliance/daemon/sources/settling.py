"""What has stood still: pure bookkeeping over successive sweeps, no I/O and no clock of its own."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Stamp(NamedTuple):
    """What changes when somebody writes to a file or puts another in its place."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class Still(NamedTuple):
    """How something looked at every sweep since `since` (monotonic seconds)."""

    stamp: Stamp
    since: float


class Tracker(Generic[Key]):
    """Remembers since when each thing has looked the same. One dictionary look-up a thing and sweep: thousands are cheap.

    File times are only compared for equality, so a wrong clock, here or on the machine that wrote the file, does not matter.
    """

    def __init__(self) -> None:
        self._seen: dict[Key, Still] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def observe(self, sweep: Mapping[Key, Stamp], now: float) -> None:
        """Take in one complete sweep at `now` (monotonic seconds): what is not in it is forgotten, what changed starts anew."""
        before = self._seen
        self._seen = {}
        for key, stamp in sweep.items():
            old = before.get(key)
            self._seen[key] = old if old is not None and old.stamp == stamp else Still(stamp, now)

    def still(self, now: float, for_s: float) -> dict[Key, Still]:
        """Everything that has looked the same for at least `for_s` seconds."""
        return {key: still for key, still in self._seen.items() if now - still.since >= for_s}

    def next_due(self, now: float, for_s: float) -> float | None:
        """When the next thing will have stood still for `for_s` seconds if nothing changes (monotonic seconds), None: nothing waits."""
        return min((still.since + for_s for still in self._seen.values() if now - still.since < for_s), default=None)

    def drop(self, key: Key) -> None:
        """Forget one thing, because it was taken."""
        self._seen.pop(key, None)
