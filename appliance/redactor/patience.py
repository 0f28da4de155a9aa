"""How long a job may go on without a word: counted in work, not in time, so that a loaded machine refuses no picture."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_BEATS = 20.0
"""Words that tell no progress buy so many times the limit at most: a redactor that was taken over could go on saying them for ever."""


class Patience:
    """With one job.

    limit_s : of work since the last word, and of time in which the process does nothing at all, seconds
    cpu_s : CPU time that the job's process has used, seconds; busy : how many jobs it works on, which are taken to share it evenly
    """

    def __init__(
        self, limit_s: float, cpu_s: Callable[[], float], busy: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit_s, self._cpu_s, self._busy, self._clock = limit_s, cpu_s, busy, clock
        self._used, self._ticked_at = cpu_s(), clock()
        self._since_word = self._since_progress = 0.0
        self._done = 0

    def hear(self, done: int) -> None:
        """A word came: so many pages or frames are done."""
        self._count()
        self._since_word, self._ticked_at = 0.0, self._clock()
        if done > self._done:
            self._done, self._since_progress = done, 0.0

    def is_over(self) -> bool:
        """Whether it took too long; to be asked every second or so."""
        self._count()
        still_s = self._clock() - self._ticked_at
        return max(self._since_word, self._since_progress / MOST_BEATS, still_s) > self._limit_s

    def _count(self) -> None:
        used = self._cpu_s()
        if used != self._used:
            share = (used - self._used) / max(1, self._busy())
            self._since_word += share
            self._since_progress += share
            self._used, self._ticked_at = used, self._clock()
