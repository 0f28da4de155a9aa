"""The daemon: one loop that takes pictures from its sources, has them redacted in lanes, and says how it is doing.

`turn(now)` does all there is to do at one moment and never waits; `run()` calls it when something happened or something is due.
Signal handlers only set flags.
"""

from __future__ import annotations

import logging
import queue
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType

from appliance.config import Config
from appliance.daemon.backoff import Backoff
from appliance.daemon.headers import Headers
from appliance.daemon.in_hand import InHand
from appliance.daemon.journal import Journal
from appliance.daemon.lane import Lane, reconsider
from appliance.daemon.parts import Host, Part, PartView, Places, together
from appliance.daemon.recovery import recover
from appliance.daemon.reporter import Board, View
from appliance.daemon.sinks.share import ShareSink
from appliance.daemon.sources import Source
from appliance.daemon.sources.drop_folder import DropFolder
from appliance.daemon.sources.share import ShareSource
from appliance.daemon.sources.sticks import Sticks
from appliance.daemon.state import Seen, as_state, decide
from appliance.daemon.store import Box
from appliance.errors import BadConfig
from appliance.redactor import Redactor
from appliance.status.snapshot import State
from appliance.system.clock import Age, boot_id
from appliance.system.systemd import notify, reloading, watchdog_s

log = logging.getLogger(__name__)

SOURCES: tuple[Callable[[Host], Source], ...] = (DropFolder, Sticks, ShareSource)
"""In the order in which they are asked for the next picture."""

STOP_S = 10.0
"""Pictures in hand have so long to finish when the daemon stops."""

OVERDUE_S = 60.0
"""Beyond limits.job_s without a sign of life the redactor may need so long to give up and start anew; then the job hangs."""

TIDY_S = 60.0
"""How often the retention is looked after and the clocks are noted."""

DAY_S = 86400.0

TIDY_AT_ONCE = 200
"""Originals removed from done/ in one turn at most, so that the turn stays short."""

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
        places: Places = Places(),  # noqa: B008 frozen
    ) -> None:
        """Open the folders and recover what the last run left.

        clock : Unix seconds, monotonic : seconds; board : one that shows why it could not be opened before
        Raises BadConfig when a folder cannot be used, sqlite3.Error or OSError when the disk fails.
        """
        self._redactor, self._clock, self._monotonic = redactor, clock, monotonic
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # may be filled from a signal handler
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
            jobs = recover(self._box, self._journal, self._age.at(now), now)
            self._journal.write_mark(self._age.mark(now, wall))
            self._host = Host(config, self._box, self._journal, monotonic, lambda: self._wake.put(None), places)
            self._sources = [source(self._host) for source in SOURCES]
            self._parts: list[Part] = [*self._sources, ShareSink(self._host)]
            undo.pop_all()
        headers = Headers(self._box.state / "uids", config, self._box.secret())
        lane = Lane(self._box, self._journal, redactor, headers, clock, monotonic)
        self._hand = InHand(lane, redactor.lanes, jobs, self._host.wake)
        self._backoff = Backoff()
        self._stopping = self._reread = self._closed = False
        self._tidy_at = self._ping_at = now
        self._free = 0
        self._fault: tuple[State, str] | None = None

    def run(self, reload: Callable[[], Config]) -> int:
        """Turn until SIGTERM or SIGINT; the exit code. Main thread only. reload : reads the configuration again, for SIGHUP"""
        with ExitStack() as undo:
            undo.callback(self.close)
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
                    log.info("stopping, %d pictures in hand", self._hand.active(now))
                    notify("STOPPING=1")
                if stop_by is not None and (now >= stop_by or not self._hand.active(now)):
                    return 0
                self._wait(now, stop_by)

    def turn(self, now: float) -> None:
        """Do all that is due at `now` (monotonic seconds), without waiting. Only a crash of the program itself raises."""
        try:
            self._collect(now)
            self._dispatch(now)  # at once: what was claimed ahead need not wait for a sweep
            self._free = self._box.free_bytes()
            for part in self._parts:
                part.look(now)
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
        for part in self._parts:
            part.close()
        is_over = self._hand.close()
        now, wall = self._monotonic(), self._clock()
        with suppress(OSError, sqlite3.Error):
            self._journal.write_mark(self._age.mark(now, wall))
            self._board.post(View("Stopped", free_bytes=self._free), self._journal, now, wall)
        self._journal.close()
        if is_over:
            self._box.close()

    def _collect(self, now: float) -> None:
        """Take back the jobs whose lanes are done; those that failed are considered anew."""
        for job, error in self._hand.ended():
            if error is None:
                self._backoff.passed(job)
                self._board.settled(job.done, job.refusal is not None, now, self._clock())
            elif not isinstance(error, Exception):
                raise error
            else:
                self._backoff.failed(job, error, now)
                reconsider(job, error, now, self._host.config.intake.incomplete_s)
                self._hand.again(job)

    def _tidy(self, now: float) -> None:
        """Remove originals whose retention is over, and note how far the clocks are."""
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_S  # first, so that an error below does not stop the pictures
        age, intake = self._age.at(now), self._host.config.intake
        for number in self._journal.kept_since(age - intake.keep_originals_days * DAY_S, TIDY_AT_ONCE):
            self._box.forget_kept(number)
            self._journal.finished(number)
        for number in self._journal.refused_since(age - intake.keep_refused_days * DAY_S, TIDY_AT_ONCE):
            self._box.forget_refused(number)
            self._journal.discarded(number)
        oldest = self._journal.oldest_refusal()
        self._board.next_discard_at = None if oldest is None else self._clock() + oldest + intake.keep_refused_days * DAY_S - age
        self._journal.write_mark(self._age.mark(now, self._clock()))

    def _claim(self, now: float) -> None:
        """Take the next pictures, from the first source that has one."""
        if self._is_short or now < self._backoff.until:
            return
        for _ in range(self._hand.room(now)):
            age = self._age.at(now)
            job = next((job for source in self._sources if (job := source.take(now, age))), None)
            if job is None:
                return
            self._hand.waiting.append(job)

    def _dispatch(self, now: float) -> None:
        intake = self._host.config.intake
        if now >= self._backoff.until:
            self._hand.dispatch(now, self._age.at(now), intake.keep_originals_days > 0, intake.incomplete_s)

    @property
    def _is_short(self) -> bool:
        return self._free < self._host.config.intake.min_free_mib << 20

    def _is_overdue(self, now: float) -> bool:
        return self._hand.is_overdue(now, self._host.config.limits.job_s + OVERDUE_S)

    def _show(self, now: float) -> None:
        """Say how it is: to the page, and to systemd, whose watchdog hears only of turns that did their work."""
        parts = together([part.view(now) for part in self._parts])
        state, detail = self._fault or decide(self._seen(now, parts))
        view = View(state, detail, parts.waiting, len(self._hand), parts.left, self._free, parts.sticks, parts.shares)
        with suppress(sqlite3.Error):
            if self._board.post(view, self._journal, now, self._clock()):
                notify(f"STATUS={state}. {detail}")
        period_s = watchdog_s()
        if period_s is not None and now >= self._ping_at and self._fault is None and not self._is_overdue(now):
            self._ping_at = now + period_s
            notify("WATCHDOG=1")

    def _seen(self, now: float, parts: PartView) -> Seen:
        return Seen(
            inbox_fault=parts.fault,
            clash=parts.clash,
            is_overdue=self._is_overdue(now),
            losses=self._backoff.losses,
            loss=self._backoff.loss,
            is_short=self._is_short,
            min_free_mib=self._host.config.intake.min_free_mib,
            loss_of_journal=self._journal.loss,
            is_busy=bool(len(self._hand)) or parts.is_busy,
            sticks={stick.state for stick in parts.sticks},
            shares={share.state for share in parts.shares},
            troubles=self._hand.troubles(),
        )

    def _reload(self, reload: Callable[[], Config]) -> None:
        reloading()
        try:
            self._host.config = _adopted(self._host.config, reload())
        except BadConfig as error:
            log.error("%s; the configuration stays as it was", error)
        else:
            log.info("configuration read again")
        notify("READY=1")

    def _wait(self, now: float, stop_by: float | None) -> None:
        """Wait until something happens or the next thing is due."""
        times = [self._tidy_at, self._backoff.until, self._board.due_at(), *(part.due_at() for part in self._parts)]
        times += [job.not_before for job in self._hand.waiting]
        if watchdog_s() is not None:
            times.append(self._ping_at)
        if stop_by is not None:
            times.append(stop_by)
        timeout = min((moment - now for moment in times if moment > now), default=1.0)
        with suppress(queue.Empty):
            self._wake.get(timeout=max(timeout, 1.0) if self._fault else timeout)
            while True:
                self._wake.get_nowait()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM, SIGINT and SIGHUP while the daemon runs; before, whoever caught one may pass it on."""
        if number == signal.SIGHUP:
            self._reread = True
        else:
            self._stopping = True
        self._wake.put(None)


def _adopted(before: Config, config: Config) -> Config:
    """`config`, but for what may not change at run time, which stays and is told."""
    fixed = [name for name in vars(config) if name not in AT_RUN_TIME and getattr(config, name) != getattr(before, name)]
    for name in fixed:
        log.warning("configuration: [%s] changed and needs a restart", name)
    return Config(**{**vars(config), **{name: getattr(before, name) for name in fixed}})
