"""A redactor that keeps failing gets growing pauses, or it would carry the whole drop folder into quarantine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from appliance.daemon.failures import TRIES
from appliance.daemon.lane import LONGEST_WAIT_S, Job, is_ours
from appliance.errors import BadFile, MustRunAlone
from appliance.system.faults import describe


@dataclass
class Backoff:
    """losses : of the redactor, in a row; loss : the last one's cause; until : nothing is given to it before (monotonic seconds)"""

    losses: int = 0
    loss: str = ""
    until: float = -math.inf
    _lost_at: float = -math.inf

    def passed(self, job: Job) -> None:
        """A job ended; the refusal of one that lost the redactor says nothing good of it."""
        if job.losses < TRIES:
            self.losses = 0

    def failed(self, job: Job, error: Exception, now: float) -> None:
        if is_ours(job, error) or isinstance(error, MustRunAlone):
            return
        if isinstance(error, BadFile):
            self.losses = 0
        elif job.started_at >= self._lost_at:  # what it had in its lanes when it was lost is lost with it, and is one loss
            self.losses, self._lost_at = self.losses + 1, now
            if self.losses > 1:
                self.until = now + min(2.0 ** (self.losses - 2), LONGEST_WAIT_S)
                self.loss = describe(error)
