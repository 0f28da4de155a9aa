"""The daemon: one loop that takes pictures from the drop folder, has them redacted in lanes, and says how it is doing.

`turn(now)` does all there is to do at one moment and never waits; `run()` calls it when something happened or something is due.
Signal handlers only set flags.
"""

from __future__ import annotations

import logging
import math
import queue
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import FrameType

from appliance.config import Config
from appliance.daemon.journal import Journal
from appliance.daemon.lane import LONGEST_WAIT_S, Job, Lane, is_ours, reconsider
from appliance.daemon.recovery import recover
from appliance.daemon.reporter import Board, View
from appliance.daemon.shares import Shares
from appliance.daemon.sources.drop_folder import Collector
from appliance.daemon.sources.sticks import Sticks
from appliance.daemon.state import Seen, as_state, decide
from appliance.daemon.store import Box
from appliance.errors import BadConfig, BadFile
from appliance.redactor import Redactor
from appliance.status.snapshot import Share, State, Stick
from appliance.system.clock import Age, boot_id
from appliance.system.faults import describe
from appliance.system.systemd import notify, reloading, watchdog_s
from appliance.system.watch import Watcher

log = logging.getLogger(__name__)

STOP_S = 10.0
"""Pictures in hand have so long to finish when the daemon stops."""

OVERDUE_S = 60.0
"""Beyond limits.job_s the redactor may need so long to give up and start anew; a job that takes longer hangs."""

TIDY_S = 60.0
"""How often the retention is looked after and the clocks are noted."""

TIDY_AT_ONCE = 200
"""Originals removed from done/ in one turn at most, so that the turn stays short."""

SWEEP_PAUSE = 10.0
"""Pauses between sweeps that events ask for, in durations of a sweep: a tenth of a core at most goes into listing."""

SWEEP_PAUSE_S = 0.2

AT_RUN_TIME = ("intake", "page", "signal")
"""Sections of the configuration that may change without a restart of this process; page and signals read their own."""


class Daemon:
    """Everything of one running box. The redactor is ready before and closed afterwards by whoever made it."""

    def __init__(
        self,
        config: Config,
        redactor: Redactor,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        board: Board | None = None,
    ) -> None:
        """Open the folders and recover what the last run left.

        clock : Unix seconds, monotonic : seconds; board : one that shows why it could not be opened before
        Raises BadConfig when a folder cannot be used, sqlite3.Error or OSError when the disk fails.
        """
        self._config, self._redactor, self._clock, self._monotonic = config, redactor, clock, monotonic
        now, wall = monotonic(), clock()
        with ExitStack() as undo:
            self._box = Box(config.folders)
            undo.callback(self._box.close)
            self._board = board or Board(self._box.state / "status.json", redactor.info, wall)
            if self._board.is_blank:
                self._board.post(View("Starting"), None, now, wall)
            self._journal = Journal(self._box.state / "journal.sqlite")
            undo.callback(self._journal.close)
            self._age = Age(self._journal.last_mark(), boot_id(), now, wall)
            if self._age.rebooted:
                self._journal.close_examinations()  # how long the box was off is not known for sure: never mix two patients
            self._jobs = recover(self._box, self._journal, self._age.at(now), now)
            self._journal.write_mark(self._age.mark(now, wall))
            self._collector = Collector(self._box, self._journal, config)
            self._sticks = Sticks(config.usb, self._box, self._journal, lambda: self._wake.put(None))
            self._shares = Shares(config, self._box, self._journal, monotonic)
            undo.pop_all()
        self._lane = Lane(self._box, self._journal, redactor, clock, monotonic)
        self._threads = ThreadPoolExecutor(redactor.lanes, "lane")
        self._running: dict[Future[None], Job] = {}
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # may be filled from a signal handler
        self._event = threading.Event()
        self._watcher = Watcher(self._on_event)
        self._stopping = self._reread = self._closed = False
        self._sweep_at = self._pause_until = self._tidy_at = self._hold_until = self._ping_at = now
        self._swept_at = self._lost_at = -math.inf
        self._free = 0
        self._losses = 0
        self._inbox_fault = self._loss = ""
        self._fault: tuple[State, str] | None = None

    def run(self, reload: Callable[[], Config]) -> int:
        """Turn until SIGTERM or SIGINT; the exit code. Main thread only. reload : reads the configuration again, for SIGHUP"""
        with ExitStack() as undo:
            undo.callback(self.close)
            self._shares.start()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                undo.callback(signal.signal, number, signal.signal(number, self.on_signal))
            self.turn(self._monotonic())
            notify("READY=1")
            stop_by: float | None = None
            while True:
                now = self._monotonic()
                if self._reread:
                    self._reread = False
                    self._reload(reload)
                self.turn(now)
                if self._stopping and stop_by is None:
                    stop_by = now + STOP_S
                    log.info("stopping, %d pictures in hand", len(self._running) + len(self._due(now)))
                    notify("STOPPING=1")
                if stop_by is not None and (now >= stop_by or not (self._running or self._due(now))):
                    return 0
                self._wait(now, stop_by)

    def turn(self, now: float) -> None:
        """Do all that is due at `now` (monotonic seconds), without waiting. Only a crash of the program itself raises."""
        try:
            self._collect(now)
            self._dispatch(now)  # at once: what was claimed ahead need not wait for a sweep
            self._free = self._box.free_bytes()
            self._sticks.look(now)
            self._sweep(now)
            self._tidy(now)
            if not self._stopping:
                self._claim(now)
            self._dispatch(now)
            self._fault = None
        except Exception as error:  # noqa: BLE001 the one place: whatever it is, pictures in hand go on and the next turn tries again
            self._fault = as_state(error)
        self._show(now)

    def close(self) -> None:
        """Stop watching and working, show "Stopped" and let go of the folders; harmless when repeated.

        A lane that still hangs keeps the folders locked until the process ends, so that no second daemon meets it.
        """
        if self._closed:
            return
        self._closed = True
        self._watcher.close()
        self._sticks.close()
        self._shares.close()
        hanging = any(not future.done() for future in self._running)
        self._threads.shutdown(wait=not hanging, cancel_futures=True)
        now, wall = self._monotonic(), self._clock()
        with suppress(OSError, sqlite3.Error):
            self._journal.write_mark(self._age.mark(now, wall))
            self._board.post(View("Stopped", free_bytes=self._free), self._journal, now, wall)
        self._journal.close()
        if not hanging:
            self._box.close()

    def _collect(self, now: float) -> None:
        """Take back the jobs whose lanes are done; those that failed are considered anew."""
        for future in [future for future in self._running if future.done()]:
            job = self._running.pop(future)
            error = future.exception()
            if error is None:
                self._losses = self._losses if job.refusal else 0  # carrying a file to quarantine says nothing of the redactor
                self._board.settled(job.done, job.refusal is not None, now, self._clock())
            elif not isinstance(error, Exception):
                raise error
            else:
                self._count_losses(job, error, now)
                reconsider(job, error, now, self._config.intake.incomplete_s)
                self._jobs.insert(0, job)

    def _count_losses(self, job: Job, error: Exception, now: float) -> None:
        """A redactor that keeps failing gets growing pauses, or it would carry the whole drop folder into quarantine."""
        if is_ours(job, error):
            return
        if isinstance(error, BadFile):
            self._losses = 0
        elif job.started_at >= self._lost_at:  # what it had in its lanes when it was lost is lost with it, and is one loss
            self._losses, self._lost_at = self._losses + 1, now
            if self._losses > 1:
                self._hold_until = now + min(2.0 ** (self._losses - 2), LONGEST_WAIT_S)
                self._loss = describe(error)

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at and not (self._event.is_set() and now >= self._pause_until):
            return
        if self._collector.is_ready and now < self._swept_at + self._config.intake.sweep_s:
            return  # there is enough to do, and to list thousands of files at every event would cost a tenth of the rate
        self._swept_at = now
        self._event.clear()
        began = self._monotonic()
        try:
            self._collector.sweep(now)
        except OSError as error:
            self._inbox_fault = f"The drop folder (folders.inbox) cannot be read: {describe(error)}; it goes on when it is back."
        else:
            self._inbox_fault = ""
            if self._config.intake.watch:
                inbox = self._box.inbox.path
                self._watcher.follow(frozenset(inbox / folder for folder in self._collector.swept), now)
        self._pause_until = now + max(SWEEP_PAUSE_S, SWEEP_PAUSE * (self._monotonic() - began))
        self._sweep_at = max(self._collector.next_due(now), self._pause_until)

    def _tidy(self, now: float) -> None:
        """Remove originals whose retention is over, and note how far the clocks are."""
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_S  # first, so that an error below does not stop the pictures
        keep_s = self._config.intake.keep_originals_days * 86400
        for number in self._journal.kept_since(self._age.at(now) - keep_s, TIDY_AT_ONCE):
            self._box.forget_kept(number)
            self._journal.finished(number)
        self._journal.write_mark(self._age.mark(now, self._clock()))

    def _claim(self, now: float) -> None:
        """Take new files, never more than two a lane ahead; those that wait for their next try do not count."""
        if self._is_short or now < self._hold_until:
            return
        for _ in range(2 * self._redactor.lanes - len(self._running) - len(self._due(now))):
            age = self._age.at(now)
            job = self._collector.take(now, age) or self._sticks.take(age, self._config.intake.examination_idle_s)
            if job is None:
                return
            self._jobs.append(job)

    def _dispatch(self, now: float) -> None:
        """Give jobs to free lanes; one that has to be alone waits for the others to end, and they for it."""
        if now < self._hold_until:
            return
        keep = self._config.intake.keep_originals_days > 0
        for job in self._due(now):
            company = self._running.values()
            if len(company) >= self._redactor.lanes or (company and (job.alone or any(other.alone for other in company))):
                return
            self._jobs.remove(job)
            job.started_at = now
            future = self._threads.submit(self._lane.carry, job, self._age.at(now), keep)
            self._running[future] = job
            future.add_done_callback(lambda _: self._wake.put(None))

    def _due(self, now: float) -> list[Job]:
        return [job for job in self._jobs if job.not_before <= now]

    @property
    def _is_short(self) -> bool:
        return self._free < self._config.intake.min_free_mib << 20

    def _is_overdue(self, now: float) -> bool:
        return any(now - job.started_at > self._config.limits.job_s + OVERDUE_S for job in self._running.values())

    def _show(self, now: float) -> None:
        """Say how it is: to the page, and to systemd, whose watchdog hears only of turns that did their work."""
        sticks, shares = self._sticks.views(now), self._shares.views(now)
        state, detail = self._fault or decide(self._seen(now, sticks, shares))
        collector = self._collector
        working = len(self._running) + len(self._jobs)
        view = View(state, detail, collector.waiting, working, collector.left + self._shares.left, self._free, sticks, shares)
        with suppress(sqlite3.Error):
            if self._board.post(view, self._journal, now, self._clock()):
                notify(f"STATUS={state}. {detail}")
        period_s = watchdog_s()
        if period_s is not None and now >= self._ping_at and self._fault is None and not self._is_overdue(now):
            self._ping_at = now + period_s
            notify("WATCHDOG=1")

    def _seen(self, now: float, sticks: tuple[Stick, ...], shares: tuple[Share, ...]) -> Seen:
        return Seen(
            inbox_fault=self._inbox_fault,
            clash=self._shares.clash,
            is_overdue=self._is_overdue(now),
            losses=self._losses,
            loss=self._loss,
            is_short=self._is_short,
            min_free_mib=self._config.intake.min_free_mib,
            is_lost=self._journal.lost,
            is_busy=bool(self._running or self._jobs or self._collector.is_ready or self._sticks.is_reading),
            sticks={stick.state for stick in sticks},
            shares={share.state for share in shares},
            troubles={job.trouble for job in [*self._jobs, *self._running.values()]},
        )

    def _reload(self, reload: Callable[[], Config]) -> None:
        reloading()
        try:
            config = reload()
        except BadConfig as error:
            log.error("%s; the configuration stays as it was", error)
        else:
            self._adopt(config)
        notify("READY=1")

    def _adopt(self, config: Config) -> None:
        """Take over what may change at run time, and say what may not."""
        fixed = [name for name in vars(config) if name not in AT_RUN_TIME and getattr(config, name) != getattr(self._config, name)]
        for name in fixed:
            log.warning("configuration: [%s] changed and needs a restart", name)
        kept = {name: getattr(self._config, name) for name in fixed}
        self._config = self._collector.config = Config(**{**vars(config), **kept})
        self._shares.adopt(self._config)
        if not config.intake.watch:
            self._watcher.close()
        log.info("configuration read again")

    def _wait(self, now: float, stop_by: float | None) -> None:
        """Wait until something happens or the next thing is due."""
        times = [self._sweep_at, self._tidy_at, self._hold_until, self._board.due_at(), self._sticks.due_at()]
        times += [job.not_before for job in self._jobs]
        if self._event.is_set():
            times.append(self._pause_until)
        if watchdog_s() is not None:
            times.append(self._ping_at)
        if stop_by is not None:
            times.append(stop_by)
        timeout = min((moment - now for moment in times if moment > now), default=1.0)
        with suppress(queue.Empty):
            self._wake.get(timeout=max(timeout, 1.0) if self._fault else timeout)
            while True:
                self._wake.get_nowait()

    def _on_event(self) -> None:
        self._event.set()
        self._wake.put(None)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM, SIGINT and SIGHUP while the daemon runs; before, whoever caught one may pass it on."""
        if number == signal.SIGHUP:
            self._reread = True
        else:
            self._stopping = True
        self._wake.put(None)
