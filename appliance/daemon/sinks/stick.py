"""Results back onto a stick: the daemon asks, stick_writer.py writes, because the daemon itself can only read a stick."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from contextlib import suppress

from appliance.daemon.journal import REFUSED, Number
from appliance.daemon.parts import Host
from appliance.daemon.sources.stick_reader import Plug
from appliance.status.snapshot import StickState
from appliance.system import files

PATIENCE_S = 1800.0
"""Who writes has so long for one request; a stick of USB 2 takes 16 GB in it."""

OUTCOMES: dict[str, StickState] = {"": "safe to remove", "full": "results do not fit"}


class StickSink:
    """What one stick is to be given, and how far that is.

    state : "writing results" until it is known that there is nothing to give, or all is on it
    """

    def __init__(self, plug: Plug, host: Host) -> None:
        self._journal, self._device = host.journal, plug.device
        self._request = host.box.state / "sticks" / f"{plug.path.name}.request"
        self._outcome = host.places.results / f"{plug.path.name}.json"
        self._given: set[Number] = set()
        self._refused: set[Number] = set()
        self._asked: set[Number] = set()
        self._token = ""
        self._until = 0.0
        self.state: StickState = "writing results"
        files.make_folder(self._request.parent, 0o700)

    def look(self, wanted: Iterable[Number], now: float) -> None:
        """Ask for what is missing once all of it is published, or hear what became of the last request. now : monotonic seconds"""
        if self._token:
            self._hear(now)
        elif self.state in ("safe to remove", "writing results"):
            missing = {self._journal.current(number) for number in wanted} - self._given - self._refused
            states = {number: self._journal.state(number) for number in missing}
            moved = {number for number in missing if self._journal.current(number) != number}  # since just now
            self._refused |= {number for number, state in states.items() if state in (*REFUSED, None)} - moved
            missing -= self._refused
            self.state = "writing results" if missing else "safe to remove"
            if missing and not moved and "claimed" not in states.values():
                self._ask(missing, now)

    def end(self) -> None:
        """The stick is gone."""
        self._request.unlink(missing_ok=True)

    def _ask(self, numbers: set[Number], now: float) -> None:
        self._asked, self._token, self._until = numbers, secrets.token_hex(8), now + PATIENCE_S
        request = {"token": self._token, "device": self._device, "numbers": [str(number) for number in sorted(numbers)]}
        files.write_whole(self._request, json.dumps(request).encode())

    def _hear(self, now: float) -> None:
        with suppress(OSError, ValueError, AttributeError):
            outcome = json.loads(self._outcome.read_bytes())
            if outcome.get("token") == self._token:
                self._token = ""
                self._given |= self._asked
                self.state = OUTCOMES.get(outcome.get("fault"), "results not written")
                return
        if now > self._until:
            self._token, self.state = "", "results not written"
            self.end()
