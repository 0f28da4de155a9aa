"""The one state that a box is in: a pure decision over what the daemon sees of itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from appliance.daemon.lane import Trouble
from appliance.status.snapshot import ShareState, State, StickState
from appliance.system.faults import describe, is_full

LOSSES_IN_ROW = 3
"""With so many losses of the redactor in a row, the fault is not one picture's and a person should look."""


@dataclass(frozen=True)
class Seen:
    """What counts for the state, at one moment.

    inbox_fault : why the drop folder cannot be read, a sentence; clash : why somebody must look at a share, likewise
    is_overdue : whether a picture is in work for too long
    losses : of the redactor, in a row; loss : the last one's cause
    is_short : whether less than min_free_mib (MiB) are free
    is_lost : whether the journal was damaged and begun anew
    is_busy : whether there are pictures to take or in work
    sticks, shares, troubles : the states and troubles that there are
    """

    inbox_fault: str
    clash: str
    is_overdue: bool
    losses: int
    loss: str
    is_short: bool
    min_free_mib: int
    is_lost: bool
    is_busy: bool
    sticks: Collection[StickState]
    shares: Collection[ShareState]
    troubles: Collection[Trouble]


def decide(seen: Seen) -> tuple[State, str]:
    """Say what matters most, in this order: somebody must do something, it waits, it works, a stick may go, all is well."""
    if detail := call_for_help(seen):
        return "Needs attention", detail
    if seen.is_short or "space" in seen.troubles:
        return "Waiting for space", f"Less than {seen.min_free_mib} MiB free; make room, it goes on by itself."
    if "away" in seen.shares:
        return "Waiting for share", ""
    if seen.is_lost:
        return "Needs attention", "The journal was damaged and moved aside; numbers go on above the old ones, counts begin anew."
    if seen.is_busy:
        return "Working", ""
    return ("Safe to remove" if set(seen.sticks) == {"safe to remove"} else "Working" if seen.sticks else "Ready"), ""


def call_for_help(seen: Seen) -> str:
    """Say what a person must do something about, the worst first; "" when there is nothing."""
    sticks = seen.sticks
    details = {
        seen.inbox_fault: bool(seen.inbox_fault),
        "A picture has been in work for too long; the redactor hangs.": seen.is_overdue,
        f"The redactor keeps failing: {seen.loss}.": seen.losses >= LOSSES_IN_ROW,
        "A stick was pulled too early; plug it in again: what is missing is read then.": "pulled too early" in sticks,
        "A stick cannot be read; its file system must be FAT32, exFAT or ext4 and whole.": "cannot be read" in sticks,
        "Results do not fit onto a stick; they are on the box. Make room on the stick and plug it in again.": "results do not fit"
        in sticks,
        "Results could not be written onto a stick; they are on the box.": "results not written" in sticks,
        "The disk failed while a result was written; it is tried again.": "disk" in seen.troubles,
        seen.clash: bool(seen.clash),
    }
    return next((detail for detail, holds in details.items() if holds), "")


def as_state(error: Exception, is_short: bool = False) -> tuple[State, str]:
    """State and detail of a box that cannot work because of this error.

    is_short : whether there is hardly room; SQLite then says "disk I/O error" for some of what it cannot write
    """
    if is_full(error) or (is_short and isinstance(error, sqlite3.OperationalError)):
        return "Waiting for space", "A folder of the box is full; make room, it goes on by itself."
    return "Needs attention", f"The box cannot work: {describe(error)}. It is tried again."
