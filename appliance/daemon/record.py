"""The record: what was done lately, for the page. Pure bookkeeping; it lives on in status.json, so that a restart does not lose it."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

from appliance.status.snapshot import Batch, Done, Hour, Snapshot

NEWEST = 50
"""Pictures listed."""

MINUTES = 60

FEWEST = 5
"""Time left is told once so many pictures of the batch are through."""

WINDOW = 60
"""The rate is that of so many last pictures, so that it follows when pictures become larger or the box stood still."""


@dataclass
class _Minute:
    """What became of pictures in one minute; took_ms holds every picture's until the minute is over, then median and slowest."""

    done: int = 0
    refused: int = 0
    took_ms: list[int] = field(default_factory=list)
    median_ms: int | None = None
    slowest_ms: int | None = None

    def add(self, took_ms: int) -> None:
        self.done += 1
        self.took_ms.append(took_ms)
        self.median_ms, self.slowest_ms = round(statistics.median(self.took_ms)), max(self.took_ms)


class Record:
    """What was done lately. now : monotonic seconds, clock : Unix seconds

    newest : published, newest first
    """

    def __init__(self, last: Snapshot | None = None) -> None:
        """Go on where an earlier run's snapshot ended."""
        self._newest: deque[Done] = deque(last.newest if last else (), NEWEST)
        self._minutes: dict[int, _Minute] = {}
        self._batch_done = 0
        self._finished: deque[float] = deque(maxlen=WINDOW)
        self._batch_since: float | None = None
        if last and last.hour:
            hour = last.hour
            columns = zip(hour.done, hour.refused, hour.median_ms, hour.slowest_ms)
            first = hour.minute - len(hour.done) + 1
            self._minutes = {first + i: _Minute(done, refused, [], *took) for i, (done, refused, *took) in enumerate(columns)}

    @property
    def newest(self) -> tuple[Done, ...]:
        return tuple(self._newest)

    def published(self, done: Done | None, now: float, clock: float) -> None:
        """A picture is out; None when an earlier run redacted it and nothing is known of it but that."""
        self._batch_done += 1
        self._finished.append(now)
        if done is not None:
            self._newest.appendleft(done)
            self._minute(clock).add(done.took_ms)
        else:
            self._minute(clock).done += 1

    def refused(self, now: float, clock: float) -> None:
        self._batch_done += 1
        self._finished.append(now)
        self._minute(clock).refused += 1

    def _minute(self, clock: float) -> _Minute:
        return self._minutes.setdefault(int(clock // 60), _Minute())

    def hour(self, clock: float) -> Hour:
        """The last hour; minutes outside it, which a clock that was put right leaves, are forgotten."""
        last = int(clock // 60)
        self._minutes = {at: minute for at, minute in self._minutes.items() if last - MINUTES < at <= last}
        minutes = [self._minutes.get(at, _Minute()) for at in range(last - MINUTES + 1, last + 1)]
        return Hour(
            last,
            done=tuple(minute.done for minute in minutes),
            refused=tuple(minute.refused for minute in minutes),
            median_ms=tuple(minute.median_ms for minute in minutes),
            slowest_ms=tuple(minute.slowest_ms for minute in minutes),
        )

    def batch(self, pending: int, now: float) -> Batch | None:
        """How far the work is that began when the box last had nothing to do; None when it has nothing to do. pending : pictures"""
        if not pending:
            self._batch_since = None
            return None
        if self._batch_since is None:
            self._batch_since, self._batch_done = now, 0
            self._finished.clear()
        count = len(self._finished)
        since = self._batch_since if count < WINDOW else self._finished[0]
        left_s = pending * (now - since) / count if count >= FEWEST else None
        return Batch(self._batch_done, self._batch_done + pending, left_s)
