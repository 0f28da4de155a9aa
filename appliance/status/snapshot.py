"""The snapshot: all that the status page and `anonbox status` know. Holds counts and numbers, never a file name or a picture."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import appliance
from appliance.status.silhouette import Silhouette
from appliance.system.health import Health
from appliance.types import EngineInfo

State = Literal["Starting", "Ready", "Working", "Safe to remove", "Waiting for space", "Waiting for share", "Needs attention", "Stopped"]
STATES: tuple[State, ...] = get_args(State)

StickState = Literal[
    "reading",
    "working",
    "safe to remove",
    "pulled too early",
    "cannot be read",
    "writing results",
    "results do not fit",
    "results not written",
]
"""reading: its folders are listed · working: done M of N · safe to remove: the box needs it no more · pulled too early: before that, and
nothing of it is lost: it goes on when plugged in again · cannot be read: no file system this box mounts, or a damaged one.
writing results: those of its pictures, or of others' · the last two: they are on the box, and the stick may be pulled."""

ShareState = Literal["connected", "away"]

STALE_S = 15.0
"""A snapshot older than this, by a box that did not say it stopped, means that the daemon hangs or died, seconds."""

FIRST_REPORT_S = 120.0
"""A box that has not written its first snapshot so long after the machine, or the one who looks, was started is not starting any more,
seconds."""


@dataclass(frozen=True)
class Refused:
    """One entry of the quarantine: its number (E000123/0001), the reason's code and sentence, and when (Unix seconds)."""

    number: str
    code: str
    reason: str
    at: float


@dataclass(frozen=True)
class Done:
    """One published picture.

    at : Unix seconds; took_ms : from its turn until it was durable in out/
    height, width : px, of its first page; pages : 1 unless it is a TIFF of several
    removed : the share that was blacked out, 0..1, of all pages; silhouette : of the page that lost most
    """

    number: str
    at: float
    took_ms: int
    height: int
    width: int
    pages: int
    removed: float
    silhouette: Silhouette


@dataclass(frozen=True)
class Batch:
    """The work since the box last had nothing to do: pictures through (published or refused), of how many, and seconds left if known."""

    done: int
    total: int
    left_s: float | None


@dataclass(frozen=True)
class Hour:
    """The last sixty minutes, one entry a minute, oldest first. minute : the last one's, Unix time / 60

    done, refused : pictures; median_ms, slowest_ms : what a published picture took, None when there was none
    """

    minute: int
    done: tuple[int, ...]
    refused: tuple[int, ...]
    median_ms: tuple[int | None, ...]
    slowest_ms: tuple[int | None, ...]


@dataclass(frozen=True)
class Stick:
    """A USB stick that is plugged in, or was pulled too early.

    number : 1 for the first since the box was started; a stick plugged in again keeps its number
    done, total : pictures on it that the box has, durably, and all it found; total is 0 while reading
    already_done : of those done, the ones the box had before the stick was plugged in
    unreadable : pictures that could not be read; the stick is worn, or forbids it
    not_released : kind ("PDF", "text", "thumbnail database", ...) -> number of files that are no pictures, and stay on the stick
    """

    number: int
    state: StickState
    done: int = 0
    total: int = 0
    already_done: int = 0
    unreadable: int = 0
    not_released: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Share:
    """A folder on another machine that the box mounts. folder : which of the box's own it stands for ("in" or "out")"""

    folder: str
    state: ShareState


@dataclass(frozen=True)
class Snapshot:
    """state : one word for a person; detail : one sentence, may be empty
    waiting : files seen in the drop folder and not yet taken; working : taken, not yet published
    batch : how far the work in hand is
    done_today, refused_today, done_ever, refused_ever : pictures; today begins at local midnight
    newest : the last pictures published, newest first
    hour : the last hour, minute by minute
    refused : the newest entries of the quarantine, newest first
    left : reason -> number of things left in the drop folder (a symbolic link, an unreadable file)
    sticks : plugged in, or pulled too early, by number
    shares : mounted from other machines
    images_per_minute : published in the last 60 s
    health : the machine's, at the time of the report
    free_bytes : the smaller of the file systems of out/ and state/
    clock_trusted : whether the clock follows a time server; None when nobody asked
    started_at, written_at : Unix seconds
    final : the daemon ended with this, so it does not grow stale
    """

    state: State
    detail: str = ""
    waiting: int = 0
    working: int = 0
    batch: Batch | None = None
    done_today: int = 0
    refused_today: int = 0
    done_ever: int = 0
    refused_ever: int = 0
    newest: tuple[Done, ...] = ()
    hour: Hour | None = None
    refused: tuple[Refused, ...] = ()
    left: Mapping[str, int] = field(default_factory=dict)
    sticks: tuple[Stick, ...] = ()
    shares: tuple[Share, ...] = ()
    images_per_minute: int = 0
    engine: EngineInfo | None = None
    health: Health | None = None
    free_bytes: int = 0
    clock_trusted: bool | None = None
    version: str = ""
    started_at: float = 0.0
    written_at: float = 0.0
    final: bool = False


def write(path: Path, snapshot: Snapshot) -> None:
    """Replace the snapshot at `path` in one step. Not fsynced: after a power cut the daemon writes a new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(json.dumps(asdict(snapshot), separators=(",", ":")), "utf-8")
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def last(path: Path) -> Snapshot | None:
    """What an earlier run wrote at `path`, however old; None when there is nothing that can be read."""
    try:
        return _parse(path)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read(path: Path, now: float | None = None, up_s: float | None = None) -> Snapshot:
    """Read the snapshot; one that grew stale comes back as "Needs attention", but soon after power-on one of before as "Starting".

    now : Unix seconds; up_s : since the machine was started, seconds
    Raises OSError, ValueError, KeyError, TypeError.
    """
    snapshot = _parse(path)
    age = (time.time() if now is None else now) - snapshot.written_at
    if snapshot.state == "Stopped" or snapshot.final or abs(age) <= STALE_S:
        return snapshot
    up_s = time.clock_gettime(time.CLOCK_BOOTTIME) if up_s is None else up_s
    if up_s < FIRST_REPORT_S and not 0 <= age <= up_s:
        return replace(snapshot, state="Starting", detail="The box has not reported yet.")
    # the clock of a box without a battery jumps; a report from the future says as little about now as an old one
    detail = f"The box has not reported for {age:.0f} s; restart it." if age > 0 else "The box's clock went back; wait, or restart the box."
    return replace(snapshot, state="Needs attention", detail=detail)


def look(path: Path, first_report_due: float, now: float, fault: str = "") -> Snapshot:
    """The snapshot at `path`, or an honest one where there is none; times in Unix seconds.

    fault : why whoever looks cannot know the right path, or what else to show; "" when it can
    """
    if fault:
        return Snapshot("Needs attention", fault, version=appliance.__version__)
    try:
        return read(path, now)
    except FileNotFoundError:
        if now < first_report_due:
            return Snapshot("Starting", "The box has not reported yet.")
        return Snapshot("Needs attention", "The box has never reported; see whether its daemon runs.")
    except OSError as error:
        return Snapshot("Needs attention", f"The box's report cannot be read: {error.strerror}.")
    except (ValueError, KeyError, TypeError):
        return Snapshot("Needs attention", "The box's report is damaged; restart the box.")


def _parse(path: Path) -> Snapshot:
    value: Any = json.loads(path.read_text("utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"snapshot is a {type(value).__name__}, must be an object")
    if value.get("state") not in STATES:
        raise ValueError(f"state is {value.get('state')!r}, must be one of {', '.join(STATES)}")
    value["refused"] = tuple(Refused(**entry) for entry in value["refused"])
    value["sticks"] = tuple(Stick(**entry) for entry in value["sticks"])
    value["shares"] = tuple(Share(**entry) for entry in value["shares"])
    value["newest"] = tuple(Done(**{**entry, "silhouette": Silhouette(**entry["silhouette"])}) for entry in value["newest"])
    value["batch"] = Batch(**value["batch"]) if value["batch"] else None
    value["hour"] = _hour(**value["hour"]) if value["hour"] else None
    value["engine"] = EngineInfo(**value["engine"]) if value["engine"] else None
    value["health"] = Health(**value["health"]) if value.get("health") else None
    return Snapshot(**value)


def _hour(minute: int, **rows: list[Any]) -> Hour:
    return Hour(minute, **{name: tuple(row) for name, row in rows.items()})
