"""The pictures in hand: those that run in the lanes, and those that wait for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from appliance.daemon.failures import Trouble
from appliance.daemon.lane import Job, Lane

MOST_APART = 50
"""Pictures that wait to run alone do not hold up the others, up to so many."""


class InHand:
    """waiting : jobs that no lane has; wake : called from a lane's thread when it is done. All times are monotonic seconds."""

    def __init__(self, lane: Lane, lanes: int, waiting: list[Job], wake: Callable[[], None]) -> None:
        self._lane, self._lanes, self._wake = lane, lanes, wake
        self._threads = ThreadPoolExecutor(lanes + 1, "lane")  # and the one for what runs alone
        self._running: dict[Future[None], Job] = {}
        self.waiting = waiting

    def __len__(self) -> int:
        return len(self._running) + len(self.waiting)

    def ended(self) -> Iterator[tuple[Job, BaseException | None]]:
        """The jobs whose lanes are done, each with what went wrong."""
        for future in [future for future in self._running if future.done()]:
            yield self._running.pop(future), future.exception()

    def again(self, job: Job) -> None:
        """Have a job carried once more, before the others that are due."""
        self.waiting.insert(0, job)

    def dispatch(self, now: float, age: float, keep: bool, incomplete_s: float) -> None:
        """Give jobs to free lanes; those that have to run alone have one of their own and wait for one another."""
        for job in self.due(now):
            beside = sum(other.alone == job.alone for other in self._running.values())
            if beside >= (1 if job.alone else self._lanes):
                continue
            self.waiting.remove(job)
            job.started_at = now
            future = self._threads.submit(self._lane.carry, job, age, keep, incomplete_s)
            self._running[future] = job
            future.add_done_callback(lambda _: self._wake())

    def due(self, now: float) -> list[Job]:
        return [job for job in self.waiting if job.not_before <= now]

    def active(self, now: float) -> int:
        """Jobs that run or could; those that wait for their next try do not count."""
        return len(self._running) + len(self.due(now))

    def room(self, now: float) -> int:
        """How many more to take: never more than two a lane ahead, without MOST_APART that wait to run alone."""
        apart = sum(job.alone for job in [*self._running.values(), *self.due(now)])
        return 2 * self._lanes - (self.active(now) - min(apart, MOST_APART))

    def is_overdue(self, now: float, longest_s: float) -> bool:
        return any(now - max(job.started_at, job.heard_at) > longest_s for job in self._running.values())

    def troubles(self) -> set[Trouble]:
        return {job.trouble for job in [*self.waiting, *self._running.values()]}

    def close(self) -> bool:
        """Stop the lanes; whether all have. One that hangs ends with the process."""
        hanging = any(not future.done() for future in self._running)
        self._threads.shutdown(wait=not hanging, cancel_futures=True)
        return not hanging
