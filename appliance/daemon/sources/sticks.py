"""USB sticks: what systemd mounted read-only below one folder (anonbox-usb@.service) is read, picture by picture, into the box.

stick_reader.py copies ahead, in a thread for each stick; the daemon's turn gives the copies their numbers. What the journal knows by place
and content was there before and is not taken again. A stick is safe to remove when the box has everything on it, durably; the pictures
may still be in work then. That a stick is gone never means that a picture is to be deleted.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.config import Usb
from appliance.daemon.journal import Journal, Number
from appliance.daemon.lane import Job
from appliance.daemon.sinks.stick import Giveback
from appliance.daemon.sources.stick_reader import COPY, Copy, Plug, Reader
from appliance.daemon.store import Box
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
    giveback : of results, None when this stick gets none
    """

    number: int
    identity: str
    plug: Plug
    since: float
    reader: Reader | None = None
    giveback: Giveback | None = None
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
            return self.giveback.state if self.giveback else "safe to remove"
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


@dataclass
class Sticks:
    """All sticks of one running box. usb : the configuration's section; wake : has the daemon turn"""

    usb: Usb
    box: Box
    journal: Journal
    wake: Callable[[], None]
    _plugged: dict[str, _Plugged] = field(default_factory=dict)
    _pulled: dict[str, _Pulled] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _released: set[Number] = field(default_factory=set)
    _look_at: float = 0.0

    def __post_init__(self) -> None:
        self._secret = self.box.secret()
        self.folder = self.usb.mounts
        for path in self.box.work.iterdir():
            if COPY.fullmatch(path.name):  # of the last run; the stick still has it, or the journal would know
                path.unlink()

    @property
    def is_reading(self) -> bool:
        """Whether pictures are on their way from a stick."""
        return any(stick.reader is not None and stick.reader.is_alive() for stick in self._plugged.values()) or self.is_ready

    @property
    def is_ready(self) -> bool:
        """Whether a picture could be taken now."""
        return any(stick.next_copy() is not None for stick in self._plugged.values())

    def due_at(self) -> float:
        """When to look again, monotonic seconds."""
        return self._look_at

    def look(self, now: float) -> None:
        """Notice what was plugged in or pulled. now : monotonic seconds"""
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
        self._give_back(now)
        self._pulled = {identity: pulled for identity, pulled in self._pulled.items() if now < pulled.until}

    def take(self, age: float, idle_s: float) -> Job | None:
        """Number the next picture; None when there is none ready. age : the box's age; idle_s : as for a folder of the drop folder

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
                number = self.journal.claim(self._key(stick.identity, copy.entry.folder), age, idle_s, copy.seen)
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

    def views(self, now: float) -> tuple[Stick, ...]:
        """For the snapshot, by number."""
        pulled = (pulled.stick for pulled in self._pulled.values())
        return tuple(sorted((*pulled, *(stick.view(now) for stick in self._plugged.values())), key=lambda stick: stick.number))

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
        reader = Reader(plug, self.box, self.journal, self.wake, heeds_marker=self.usb.results == "second")
        giveback = None if self.usb.results == "box" else Giveback(plug, self.box, self.journal, self.usb.outcomes)
        stick = _Plugged(self._number_of(identity), identity, plug, now, reader, giveback)
        self._plugged[name] = stick
        if stick.reader is not None:
            stick.reader.start()

    def _give_back(self, now: float) -> None:
        """Have the results of what was read written onto the stick they came from, or onto those that take results."""
        read = [
            (stick, stick.reader, stick.giveback)
            for stick in self._plugged.values()
            if stick.reader is not None and stick.giveback is not None and stick.reader.finished and stick.next_copy() is None
        ]
        for _, reader, _ in read:  # of all of them first, or one that takes results would look safe to remove for a moment
            self._released |= reader.numbers
        for stick, reader, giveback in read:
            if self.usb.results == "stick":
                giveback.look(reader.numbers, now)
            elif reader.takes_results:
                giveback.look(self._released, now)
            else:
                stick.giveback = None

    def _unplug(self, name: str, now: float) -> None:
        stick = self._plugged.pop(name)
        if stick.reader is None:
            return
        state = stick.state(now)
        stick.reader.end()
        if stick.giveback is not None:
            stick.giveback.end()
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
