"""USB sticks: what systemd mounted read-only below one folder (anonbox-usb@.service) is read, picture by picture, into the box.

stick_reader.py copies ahead, in a thread for each stick; the daemon's turn gives the copies their numbers. What the journal knows by place
and content was there before and is not taken again. A stick is safe to remove when the box has everything on it, durably; the pictures
may still be in work then. That a stick is gone never means that a picture is to be deleted.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.daemon.journal import Number
from appliance.daemon.lane import Job
from appliance.daemon.parts import Host, PartView
from appliance.daemon.sinks.stick import StickSink
from appliance.daemon.sources.stick_reader import COPY, Copy, Plug, Reader
from appliance.status.snapshot import Stick, StickState

LOOK_S = 1.0
"""Sticks that come and go are noticed within so long."""

MOUNTING_S = 10.0
"""A stick's folder where nothing is mounted for so long holds nothing that could be."""

PULLED_S = 600.0
"""A stick pulled too early is shown so long, or until it is back."""

REMOVABLE = ("safe to remove", "results do not fit", "results not written")
"""States in which a stick that is pulled was not pulled too early."""

DEVICE = re.compile(r"[a-z0-9]+", re.ASCII)


@dataclass
class _Plugged:
    """One stick that is plugged in. identity : what it is recognised by; since : monotonic seconds; taken : pictures numbered
    sink : of results, None when this stick gets none
    """

    number: int
    identity: str
    plug: Plug
    since: float
    reader: Reader | None = None
    sink: StickSink | None = None
    held: Copy | None = None
    taken: int = 0

    def next_copy(self) -> Copy | None:
        if self.held is None and self.reader is not None:
            self.held = self.reader.next_copy()
        return self.held

    def state(self, now: float) -> StickState:
        if self.reader is None:
            return "reading" if now - self.since < MOUNTING_S else "cannot be read"
        if self.reader.fault or not (self.reader.finished or self.reader.is_alive()):
            return "cannot be read" if self.plug.is_present() else "pulled too early"
        if self.reader.finished and self.held is None and not self.reader.has_copy:
            return self.sink.state if self.sink else "safe to remove"
        return "reading" if self.reader.total is None else "working"

    def view(self, now: float) -> Stick:
        if self.reader is None:
            return Stick(self.number, self.state(now))
        known, total = self.reader.known, self.reader.total or 0
        counts = self.reader.unreadable, dict(self.reader.not_released)
        return Stick(self.number, self.state(now), self.taken + known, total, known, *counts)


@dataclass
class _Pulled:
    """A stick pulled too early, as it was then, and until when it is shown (monotonic seconds)."""

    stick: Stick
    until: float


class Sticks:
    """All sticks of one running box. All times are monotonic seconds."""

    def __init__(self, host: Host) -> None:
        self._host, self.box, self.journal, self.usb = host, host.box, host.journal, host.config.usb
        self._secret = self.box.secret()
        self.folder = host.places.usb
        self._plugged: dict[str, _Plugged] = {}
        self._pulled: dict[str, _Pulled] = {}
        self._numbers: dict[str, int] = {}
        self._released: set[Number] = set()
        self._look_at = 0.0
        for path in self.box.work.iterdir():
            if COPY.fullmatch(path.name):  # of the last run; the stick still has it, or the journal would know
                path.unlink()

    def view(self, now: float) -> PartView:
        """sticks : by number"""
        plugged = self._plugged.values()
        is_reading = any(stick.reader is not None and stick.reader.is_alive() for stick in plugged)
        is_ready = any(stick.next_copy() is not None for stick in plugged)
        shown = [*(pulled.stick for pulled in self._pulled.values()), *(stick.view(now) for stick in plugged)]
        return PartView(is_busy=is_reading or is_ready, sticks=tuple(sorted(shown, key=lambda stick: stick.number)))

    def due_at(self) -> float:
        return self._look_at

    def look(self, now: float) -> None:
        """Notice what was plugged in or pulled."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        plugs = self._plugs()
        for name, stick in list(self._plugged.items()):
            if stick.plug != plugs.get(name) or (stick.reader is not None and not stick.plug.is_present()):
                self._unplug(name, now)
        for name, plug in plugs.items():
            if name not in self._plugged:
                self._plug_in(name, plug, now)
        self._write_back(now)
        self._pulled = {identity: pulled for identity, pulled in self._pulled.items() if now < pulled.until}

    def take(self, now: float, age: float) -> Job | None:
        """Number the next picture; None when there is none ready. age : the box's age

        Raises OSError or sqlite3.Error when the box cannot take it; it is tried again.
        """
        for stick in self._plugged.values():
            while (copy := stick.next_copy()) is not None:
                if stick.reader is not None and (known := self.journal.number_of(copy.seen)) is not None:  # from another stick, just now
                    stick.reader.numbers.add(known)
                    copy.path.unlink(missing_ok=True)
                    stick.held = None
                    stick.reader.known += 1
                    continue
                number = self.journal.claim(
                    self._key(stick.identity, copy.entry.folder), age, self._host.config.intake.examination_idle_s, copy.seen
                )
                try:
                    stamp = self.box.take_copy(copy.path, copy.entry.name, number)
                except OSError:
                    self.journal.forget(number)
                    raise
                stick.held = None
                stick.taken += 1
                if stick.reader is not None:
                    stick.reader.numbers.add(number)
                return Job(number, changed_at=float("-inf"), stamp=stamp)  # it cannot grow any more
        return None

    def close(self) -> None:
        for stick in self._plugged.values():
            if stick.reader is not None:
                stick.reader.end()
        for stick in self._plugged.values():
            if stick.reader is not None:
                stick.reader.join(2.0)  # one that hangs ends with the process

    def _plugs(self) -> dict[str, Plug]:
        """Every stick's folder, by device; one where nothing is mounted has the device of the folder around it."""
        with suppress(OSError), os.scandir(self.folder) as entries:
            found = [entry for entry in entries if DEVICE.fullmatch(entry.name)]
            return {entry.name: Plug(Path(entry.path), device) for entry in found if (device := _device(entry)) is not None}
        return {}

    def _plug_in(self, name: str, plug: Plug, now: float) -> None:
        if plug.device == self.folder.stat().st_dev:  # not mounted, or not yet
            self._plugged[name] = _Plugged(self._number_of(f"{name} {now}"), "", plug, now)
            return
        if not plug.is_present():  # pulled, and its mount goes in a moment
            return
        identity = identify(plug.device) or f"{name} {now}"
        self._pulled.pop(identity, None)
        reader = Reader(plug, self._host)
        sink = None if self.usb.results == "box" else StickSink(plug, self._host)
        stick = _Plugged(self._number_of(identity), identity, plug, now, reader, sink)
        self._plugged[name] = stick
        if stick.reader is not None:
            stick.reader.start()

    def _write_back(self, now: float) -> None:
        """Have the results of what was read written onto the stick they came from, or onto those that take results."""
        read = [
            (stick, stick.reader, stick.sink)
            for stick in self._plugged.values()
            if stick.reader is not None and stick.sink is not None and stick.reader.finished and stick.next_copy() is None
        ]
        for _, reader, _ in read:  # of all of them first, or one that takes results would look safe to remove for a moment
            self._released |= reader.numbers
        for stick, reader, sink in read:
            if self.usb.results == "stick":
                sink.look(reader.numbers, now)
            elif reader.takes_results:
                sink.look(self._released, now)
            else:
                stick.sink = None

    def _unplug(self, name: str, now: float) -> None:
        stick = self._plugged.pop(name)
        if stick.reader is None:
            return
        state = stick.state(now)
        stick.reader.end()
        if stick.sink is not None:
            stick.sink.end()
        if state not in REMOVABLE:
            self._pulled[stick.identity] = _Pulled(replace(stick.view(now), state="pulled too early"), now + PULLED_S)
        # what was copied and has no number goes: the stick still has it
        while copy := stick.next_copy():
            copy.path.unlink(missing_ok=True)
            stick.held = None

    def _number_of(self, identity: str) -> int:
        return self._numbers.setdefault(identity, len(self._numbers) + 1)

    def _key(self, identity: str, folder: str) -> bytes:
        """What the journal knows a stick's folder by: never mixed with the drop folder's, nor with another stick's."""
        return hashlib.blake2b(f"stick\0{identity}\0".encode() + os.fsencode(folder), key=self._secret, digest_size=16).digest()


def identify(device: int, database: Path = Path("/run/udev/data")) -> str:
    """What udev knows a file system by: its UUID and the stick's serial number; "" when it knows nothing. Never logged or shown."""
    with suppress(OSError):
        lines = (database / f"b{os.major(device)}:{os.minor(device)}").read_text("utf-8", "replace").splitlines()
        found = dict(line[2:].split("=", 1) for line in lines if line.startswith("E:") and "=" in line)
        return "/".join(filter(None, (found.get("ID_FS_UUID"), found.get("ID_SERIAL"), found.get("ID_PART_ENTRY_NUMBER"))))
    return ""


def _device(entry: os.DirEntry[str]) -> int | None:
    with suppress(OSError):
        return entry.stat(follow_symlinks=False).st_dev if entry.is_dir(follow_symlinks=False) else None
    return None
