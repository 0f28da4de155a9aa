"""What the page shows of a snapshot: pure functions from values to words and shapes, in the reader's language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appliance.status.snapshot import Hour, Refused, Share, Snapshot, Stick
from appliance.web.charts import Chart, latency, throughput
from appliance.web.texts import Said, Words

MEANING: Mapping[str, str] = {
    "Starting": "The box is getting ready.",
    "Ready": "Drop pictures into the folder.",
    "Working": "Pictures are being de-identified.",
    "Safe to remove": "You can pull the stick.",
    "Waiting for space": "The disk is nearly full. Make room; the box goes on by itself.",
    "Waiting for share": "The network folder cannot be reached. Nothing is lost; the box goes on by itself when it is back.",
    "Needs attention": "Somebody must look after the box.",
    "Stopped": "The box was shut down. Nothing is lost; it goes on when it is started again.",
    "No connection": "This page cannot reach the box. Is it switched on, and are you on its network?",
}
"""Every headline and what it means for the person in front of the box, when there is nothing more exact to say."""

HEALTHY = ("Ready", "Working", "Safe to remove", "Waiting for space", "Waiting for share")
"""The box does its work, or will go on with it by itself."""

ADVICE: Mapping[str, tuple[str, str]] = {
    "unsupported": ("Not a picture this box handles", "Export it as JPEG, PNG, BMP or TIFF and drop it again."),
    "damaged": ("Damaged file", "Export or copy the picture from its source again."),
    "incomplete": ("Cut-off file", "Copy it again and let the copy finish before you pull the stick or close the connection."),
    "too-large": ("Larger than this box accepts", "Export it smaller, or ask for a higher limit in the box's configuration."),
    "text-left": ("Text may be left", "Somebody must look at this picture. Do not pass it on: it may still show a name."),
    "not-faithful": ("The result failed its check", "Drop it again. If it fails again, report its number to whoever looks after the box."),
    "timeout": ("Took too long", "Drop it again when the box is idle. If it fails again, export it smaller."),
    "crash": ("Broke the reader", "The file is probably malformed. Export the picture from its source again."),
    "unreadable": ("Could not be read", "Check the file's permissions and the stick or share it came from, then copy it again."),
}
"""A refusal's code (errors.BAD_FILE_CODES) → its title, and what a person can do."""

UNKNOWN_REFUSAL = ("Refused", "Report its number to whoever looks after the box.")

STICK: Mapping[str, str] = {
    "reading": "Being read. Do not pull it.",
    "working": "{done} of {total}. Do not pull it.",
    "safe to remove": "Safe to remove.",
    "pulled too early": "Pulled too early: {done} of {total}. Plug it in again; nothing is lost.",
    "writing results": "Results are being written onto it. Do not pull it.",
    "results do not fit": "Not all results fit onto it. They are on the box; you can pull the stick.",
    "results not written": "Results could not be written onto it. They are on the box.",
    "cannot be read": "Cannot be read. Try another stick, or format it as FAT32, exFAT or ext4.",
}
"""snapshot.StickState → what it means."""

SHARE: Mapping[tuple[str, str], str] = {
    ("in", "connected"): "Drop folder on the network: connected.",
    ("in", "away"): "Drop folder on the network: not reachable.",
    ("out", "connected"): "Results folder on the network: connected.",
    ("out", "away"): "Results folder on the network: not reachable.",
}


@dataclass(frozen=True)
class Glance:
    """The one state a glance tells. headline : in English, as programs know it; detail : what it means, in the reader's language"""

    headline: str
    detail: Said

    @property
    def slug(self) -> str:
        """Names its colour and its shape."""
        return self.headline.lower().replace(" ", "-")


def glance(snapshot: Snapshot, t: Words) -> Glance:
    """The daemon's own state; what it means is said with the numbers of the stick in work, where there is one."""
    if snapshot.state == "Working" and not snapshot.detail:
        by_state = {stick.state: stick for stick in reversed(snapshot.sticks)}
        busy = next((by_state[state] for state in ("working", "writing results", "reading") if state in by_state), None)
        if busy is not None:
            return Glance(snapshot.state, Said(stick_text(busy, t, named=True), t.language))
    return Glance(snapshot.state, t.said(snapshot.detail or MEANING[snapshot.state]))


def stick_text(stick: Stick, t: Words, named: bool = False) -> str:
    text = t(STICK.get(stick.state, stick.state), done=t.count(stick.done), total=t.count(stick.total))
    return f"{t('Stick {number}', number=stick.number)}: {text}" if named else text


def stick_notes(stick: Stick, t: Words) -> list[str]:
    """What else there is to know of a stick."""
    notes = [
        (stick.already_done, "Done before: {count}."),
        (stick.unreadable, "Unreadable: {count}. The stick may be worn."),
    ]
    told = [t(text, count=t.count(count)) for count, text in notes if count]
    kinds = ", ".join(f"{t.count(count)} × {t(kind)}" for kind, count in stick.not_released.items())
    return told + ([t("Not released, and still on the stick: {kinds}.", kinds=kinds)] if kinds else [])


def share_text(share: Share, t: Words) -> str:
    return t(SHARE.get((share.folder, share.state), share.state))


@dataclass(frozen=True)
class RefusalGroup:
    """The refusals of one kind: its title, what to do, and reason → entries, newest first."""

    title: str
    advice: str
    reasons: Mapping[str, tuple[Refused, ...]]

    @property
    def count(self) -> int:
        return sum(len(entries) for entries in self.reasons.values())


def grouped(refused: Iterable[Refused]) -> list[RefusalGroup]:
    """Group refusals by code, then by reason; the kind that happened last comes first."""
    codes: defaultdict[str, defaultdict[str, list[Refused]]] = defaultdict(lambda: defaultdict(list))
    for entry in refused:
        codes[entry.code][entry.reason].append(entry)
    return [
        RefusalGroup(*ADVICE.get(code, UNKNOWN_REFUSAL), {reason: tuple(entries) for reason, entries in reasons.items()})
        for code, reasons in codes.items()
    ]


def facts(snapshot: Snapshot, t: Words, now: float) -> dict[str, str]:
    """This box: title → text, in order; what is not known is left out. now : Unix seconds"""
    engine, trusted = snapshot.engine, snapshot.clock_trusted
    shown = {
        t("Last report"): t("{time} ago", time=t.span(now - snapshot.written_at)),
        t("Running since"): t.clock(snapshot.started_at) if snapshot.started_at else "",
        t("Free disk"): t.size(snapshot.free_bytes),
        t("Clock"): "" if trusted is None else t(CLOCK[trusted]),
        t("Engine"): f"{engine.name}, {engine.precision}" if engine else "",
        t("Model"): engine.model if engine else "",
        t("Device"): engine.device if engine else "",
        t("Runs"): t(engine.note) if engine else "",
        **(snapshot.health.lines(t) if snapshot.health else {}),
        t("Version"): f"AnonBox {snapshot.version}",
    }
    return {title: text for title, text in shown.items() if text}


CLOCK = {
    True: "Trusted: a time server keeps it.",
    False: "Not trusted: no time server keeps it. Times on this page may be wrong; the pictures do not depend on them.",
}


@dataclass(frozen=True)
class LastHour:
    """The last hour's drawings and what they say in numbers; took is the newest minute's median and slowest, ms, None without pictures."""

    throughput: Chart
    latency: Chart
    done: int
    refused: int
    took: tuple[int, int] | None


def hour(hour: Hour) -> LastHour:
    took = [(median, slowest) for median, slowest in zip(hour.median_ms, hour.slowest_ms) if median is not None and slowest is not None]
    return LastHour(throughput(hour), latency(hour), sum(hour.done), sum(hour.refused), took[-1] if took else None)
