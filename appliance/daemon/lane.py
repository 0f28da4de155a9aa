"""A lane: carries one picture from its room to where it ends, in a thread of its own; and what becomes of it when that fails."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from appliance.daemon.journal import Journal, Number
from appliance.daemon.sources.settling import Stamp
from appliance.daemon.store import Box
from appliance.errors import BadFile, RedactorDown
from appliance.redactor import Redactor
from appliance.status.silhouette import silhouette
from appliance.status.snapshot import Done
from appliance.system.faults import describe, is_full
from appliance.types import Report

log = logging.getLogger(__name__)

Stage = Literal["claimed", "placed", "published", "refused", "settled"]
"""claimed: the original is in its room · placed: the result has its name in out/ · published: and the journal knows ·
refused: it goes to quarantine · settled: nothing is left to do."""

Trouble = Literal["", "space", "disk"]

TRIES = 3
"""Times a picture may lose the engine before it is refused."""

LONGEST_WAIT_S = 60.0
"""Waits between tries double from a second up to this."""


@dataclass
class Job:
    """One picture in hand. Times are monotonic seconds.

    changed_at : when the original was last seen to change; stamp : how it looked then
    alone : it may have killed the redactor, so nothing else runs beside it
    report : what the redactor did; None when an earlier run did it
    done : the picture as the page lists it, once it is published
    trouble : what on our side it waits for
    """

    number: Number
    changed_at: float
    stamp: Stamp | None = None
    stage: Stage = "claimed"
    refusal: BadFile | None = None
    alone: bool = False
    losses: int = 0
    waits: int = 0
    not_before: float = 0.0
    started_at: float = 0.0
    report: Report | None = None
    done: Done | None = None
    trouble: Trouble = ""

    def wait(self, now: float, longest_s: float = LONGEST_WAIT_S) -> None:
        """Try again later, each time twice as late."""
        self.not_before = now + min(2.0**self.waits, longest_s)
        self.waits = min(self.waits + 1, 10)

    def refuse(self, reason: BadFile) -> None:
        self.stage, self.refusal, self.alone, self.not_before = "refused", reason, False, 0.0


class Lane:
    """What every lane's thread needs. clock : Unix seconds, monotonic : seconds"""

    def __init__(self, box: Box, journal: Journal, redactor: Redactor, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._box, self._journal, self._redactor = box, journal, redactor
        self._clock, self._monotonic = clock, monotonic

    def carry(self, job: Job, age: float, keep: bool) -> None:
        """Carry a job to its end. Each step leaves job.stage where it has to go on, so calling again after an error is right.

        age : the box's age; keep : the original goes to done/ instead of away
        Raises BadFile, DeviceLost, RedactorDown, OSError or sqlite3.Error; `reconsider` knows what each means.
        """
        if job.stage == "claimed":
            self._box.settle(job.number)
            job.report = self._redact(job)
            job.stage = "placed"
        if job.stage == "placed":
            self._box.settle_result(job.number)
            at = self._clock()
            self._journal.published(job.number, at)
            job.stage = "published"
            self._tell(job, at)
        if job.stage == "published":
            self._dispose(job.number, age, keep)
        if job.stage == "refused" and job.refusal is not None:
            at = self._clock()
            self._journal.refused(job.number, job.refusal, at)
            self._box.refuse(job.number, job.refusal, at)
            self._box.leave(job.number)
            log.info("%s refused, %s: %s", job.number, job.refusal.code, job.refusal.reason)
        job.stage = "settled"

    def _tell(self, job: Job, at: float) -> None:
        """Log what was done and keep it for the page."""
        took_ms, report = (self._monotonic() - job.started_at) * 1000, job.report
        log.info("%s published in %.0f ms%s", job.number, took_ms, f", {report.removed_share:.1%} removed" if report else "")
        if report is None:
            return
        for note in report.notes:
            log.info("%s: %s", job.number, note)
        shape = silhouette(max(report.masks, key=lambda mask: mask.share))
        height, width = report.masks[0].size
        job.done = Done(str(job.number), at, round(took_ms), height, width, len(report.masks), round(report.removed_share, 5), shape)

    def _redact(self, job: Job) -> Report:
        source = self._box.open_original(job.number)
        try:
            before = Stamp.of(os.fstat(source))
            if job.stamp != before:
                job.stamp, job.changed_at = before, self._monotonic()
            target = self._box.open_target(job.number)
            try:
                report = self._redactor.redact(source, target, alone=job.alone)
                if Stamp.of(os.fstat(source)) != before:
                    raise BadFile("incomplete", "the file changed while it was read")
                self._box.place(job.number, target, report.format)
            except Exception:
                self._box.drop_target(job.number)
                raise
            finally:
                os.close(target)
        finally:
            os.close(source)
        return report

    def _dispose(self, number: Number, age: float, keep: bool) -> None:
        if keep:
            self._box.keep(number)
            self._journal.kept(number, age)
            self._box.leave(number)
        else:
            self._box.empty(number)
            self._journal.finished(number)


def is_ours(job: Job, error: Exception) -> bool:
    """Whether the box failed, not the file or the redactor: its disk, or anything at all once the redactor was done with the job."""
    return job.stage != "claimed" or isinstance(error, (OSError, sqlite3.Error))


def reconsider(job: Job, error: Exception, now: float, incomplete_s: float) -> None:
    """Decide what becomes of a job whose carrying failed. A fault of the file ends in quarantine, one of ours never does.

    incomplete_s : how long after its last change a cut-off file may still be growing
    """
    job.trouble = ""
    rest_s = job.changed_at + incomplete_s - now
    if isinstance(error, BadFile):
        if error.code == "incomplete" and rest_s > 0:
            job.wait(now, rest_s)
        else:
            job.refuse(error)
    elif is_ours(job, error):
        job.trouble = "space" if is_full(error) else "disk"
        job.wait(now)
        log.warning("%s waits: %s", job.number, describe(error))
    elif isinstance(error, RedactorDown):
        job.wait(now)
        log.warning("%s waits: %s", job.number, describe(error))
    else:
        job.losses += 1
        job.alone = True
        log.warning("%s lost the redactor, try %d of %d: %s", job.number, job.losses, TRIES, describe(error))
        if job.losses >= TRIES:
            job.refuse(BadFile("crash", f"the redactor failed {TRIES} times on this picture"))
