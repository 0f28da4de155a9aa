"""What becomes of a picture whose carrying failed: tried again, alone, later, or refused. Decided here and nowhere else."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from appliance.errors import BadFile, MustRunAlone, RedactorDown
from appliance.system.faults import describe, is_full

Trouble = Literal["", "space", "disk"]

TRIES = 3
"""Times a picture may lose the engine before it is refused."""


@dataclass(frozen=True)
class Decision:
    """refusal : it goes to quarantine, for this reason; else it is carried again
    wait_s : after this time; None: later each time
    alone : in a redactor of its own; is_loss : the redactor was lost; trouble : what on our side it waits for
    """

    refusal: BadFile | None = None
    wait_s: float | None = 0.0
    alone: bool = False
    is_loss: bool = False
    trouble: Trouble = ""


def decide(error: Exception, *, is_carried: bool, growing_s: float, losses: int) -> Decision:
    """A fault of the file ends in quarantine, one of ours never does.

    is_carried : the redactor was done with the picture, so whatever failed is ours
    growing_s : how long a cut-off file may still be growing, seconds; losses : how often it lost the redactor before
    """
    if isinstance(error, BadFile):
        return Decision(wait_s=growing_s) if error.code == "incomplete" and growing_s > 0 else Decision(refusal=error)
    if is_carried or isinstance(error, OSError | sqlite3.Error):
        return Decision(wait_s=None, trouble="space" if is_full(error) else "disk")
    if isinstance(error, RedactorDown):
        return Decision(wait_s=None)
    if isinstance(error, MustRunAlone):
        return Decision(alone=True)
    if losses + 1 >= TRIES:
        return Decision(refusal=BadFile("crash", f"the redactor failed {TRIES} times on this picture"), is_loss=True)
    return Decision(alone=True, is_loss=True)


def say(error: Exception, decision: Decision, losses: int) -> str:
    """One line for the log; "" where the outcome says it."""
    if isinstance(error, MustRunAlone):
        return f"runs alone: {error}"
    if decision.is_loss:
        return f"lost the redactor, try {losses + 1} of {TRIES}: {describe(error)}"
    return "" if isinstance(error, BadFile) else f"waits: {describe(error)}"
