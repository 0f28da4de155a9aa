"""The board: builds the snapshot and writes it, at each change of state and otherwise at most once a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import appliance
from appliance.daemon.journal import Journal
from appliance.daemon.record import Record
from appliance.status import journald, snapshot
from appliance.status.snapshot import Done, Share, Snapshot, State, Stick
from appliance.system import clock as clocks
from appliance.system import health
from appliance.system.faults import describe
from appliance.types import EngineInfo

log = logging.getLogger(__name__)

FASTEST_S = 1.0
SLOWEST_S = 5.0
"""A snapshot is written this often even when nothing changes, well below snapshot.STALE_S."""

NEWEST = 50
"""Entries of the quarantine shown."""


@dataclass(frozen=True)
class View:
    """What the daemon sees of itself at one moment; the fields are the snapshot's."""

    state: State
    detail: str = ""
    waiting: int = 0
    working: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    free_bytes: int = 0
    sticks: tuple[Stick, ...] = ()
    shares: tuple[Share, ...] = ()


class Board:
    """Writes snapshots to `path`; started_at : Unix seconds."""

    def __init__(self, path: Path, engine: EngineInfo, started_at: float) -> None:
        self._path, self._engine, self._started_at = path, engine, started_at
        self._shown: View | None = None
        self._written_at = 0.0
        self._fault = ""
        self._record = Record(snapshot.last(path))

    @property
    def is_blank(self) -> bool:
        """Whether nothing was shown yet."""
        return self._shown is None

    def due_at(self) -> float:
        """When the next snapshot is due if nothing changes, monotonic seconds."""
        return self._written_at + SLOWEST_S

    def post(self, view: View, journal: Journal | None, now: float, clock: float) -> bool:
        """Show this view; whether its state differs from the one before. now : monotonic, clock : Unix seconds"""
        changed = self._shown is None or (view.state, view.detail) != (self._shown.state, self._shown.detail)
        if changed:
            journald.tell(view.state, view.detail)
        elif now - self._written_at < (FASTEST_S if view.working or view != self._shown else SLOWEST_S):
            return False
        self._shown, self._written_at = view, now
        self._write(self._build(view, journal, now, clock))
        return changed

    def settled(self, done: Done | None, is_refused: bool, now: float, clock: float) -> None:
        """A picture has reached its end; done : what there is to list of one that was published"""
        if is_refused:
            self._record.refused(now, clock)
        else:
            self._record.published(done, now, clock)

    def _write(self, shown: Snapshot) -> None:
        fault = ""
        try:
            snapshot.write(self._path, shown)
        except OSError as error:
            fault = describe(error)
            if fault != self._fault:  # once, not at every snapshot
                log.warning("status.json cannot be written: %s", fault)
        self._fault = fault

    def _build(self, view: View, journal: Journal | None, now: float, clock: float) -> Snapshot:
        counts = journal.counts(clock, midnight(clock)) if journal else None
        return Snapshot(
            state=view.state,
            detail=view.detail,
            waiting=view.waiting,
            working=view.working,
            batch=self._record.batch(view.waiting + view.working, now),
            done_today=counts.done_today if counts else 0,
            refused_today=counts.refused_today if counts else 0,
            done_ever=counts.done_ever if counts else 0,
            refused_ever=counts.refused_ever if counts else 0,
            newest=self._record.newest,
            hour=self._record.hour(clock),
            refused=journal.newest_refused(NEWEST) if journal else (),
            left=dict(view.left),
            sticks=view.sticks,
            shares=view.shares,
            images_per_minute=counts.last_minute if counts else 0,
            engine=self._engine,
            health=health.read(),
            free_bytes=view.free_bytes,
            clock_trusted=clocks.is_trusted(),
            version=appliance.__version__,
            started_at=self._started_at,
            written_at=clock,
        )


def midnight(clock: float) -> float:
    """The last local midnight, Unix seconds."""
    day = time.localtime(clock)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))
