"""What the box signals without a screen: a LED, a sound, and a note for whoever sends messages. It only reads the snapshot.

A process of its own (anonbox-signal.service), so that it also tells when the daemon hangs or died: a snapshot that grew stale reads as
"Needs attention".
"""

from __future__ import annotations

import io
import logging
import math
import os
import re
import subprocess
import threading
import time
import wave
from array import array
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from appliance.status import snapshot as snapshots
from appliance.status.snapshot import State

log = logging.getLogger(__name__)

LEDS = Path("/sys/class/leds")

OWN_LED = re.compile(r"(.*:)?(status|user[0-9]*|usr[0-9]+|led[0-9]+|act)", re.IGNORECASE)
"""LEDs that boards have for their owner; never a keyboard's, a disk's or a network card's."""

BLINKING: Mapping[State, tuple[int, int]] = {
    "Starting": (500, 500),
    "Ready": (1, 0),
    "Working": (500, 500),
    "Safe to remove": (100, 1900),
    "Waiting for space": (1500, 500),
    "Waiting for share": (1500, 500),
    "Needs attention": (100, 100),
    "Stopped": (0, 1),
}
"""State → milliseconds on and off; one of them 0: always."""

TONES: Mapping[State, tuple[tuple[int, int], ...]] = {
    "Safe to remove": ((660, 150), (880, 300)),
    "Needs attention": ((440, 300), (0, 150), (440, 300), (0, 150), (440, 300)),
}
"""State → the tones it begins with, hertz (0: silence) and milliseconds; all other states are silent."""

RATE = 22050

LOOK_S = 1.0


class Led:
    """One LED of the kernel's (Documentation/leds/leds-class.rst), blinked by its timer trigger: it goes on when this process does not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = re.search(r"\[([^\]]+)\]", (folder / "trigger").read_text())
        self._before = found[1] if found else "none"

    def show(self, state: State) -> None:
        on, off = BLINKING[state]
        if on and off:
            self._write("brightness", "0")  # where the kernel cannot blink it, it must not go on telling the state of before
            self._write("trigger", "timer")
            self._write("delay_on", str(on))
            self._write("delay_off", str(off))
        else:
            self._write("trigger", "none")
            self._write("brightness", (self._folder / "max_brightness").read_text().strip() if on else "0")

    def close(self) -> None:
        """Give it back to what blinked it before."""
        self._write("trigger", self._before)

    def _write(self, name: str, value: str) -> None:
        (self._folder / name).write_text(value)


def find_led(name: str, leds: Path = LEDS) -> Led | None:
    """The LED of this name; "auto": the first that the board has for its owner; "" or none found: None. Raises OSError."""
    if name == "auto":
        with suppress(OSError):
            name = next((path.name for path in sorted(leds.iterdir()) if OWN_LED.fullmatch(path.name)), "")
    return Led(leds / name) if name and name != "auto" else None


def tune(tones: tuple[tuple[int, int], ...]) -> bytes:
    """The tones as a WAV file, mono, 16 bit."""
    samples = array("h")
    for hertz, milliseconds in tones:
        count = RATE * milliseconds // 1000
        for i in range(count):
            swell = min(1.0, i / 200, (count - i) / 200)  # no click at either end
            samples.append(round(12000 * swell * math.sin(2 * math.pi * hertz * i / RATE)))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return file.getvalue()


def play(program: str, state: State) -> None:
    """Let the tones of a state be heard, with `aplay` or `beep`; one that cannot is told in the log."""
    tones = TONES.get(state)
    if not tones or program == "none":
        return
    if program == "aplay":
        command, given = ["aplay", "-q", "-"], tune(tones)
    else:
        heard = [["-f", str(hertz), "-l", str(ms), "-D", "150"] for hertz, ms in tones if hertz]
        command, given = ["beep", *(word for tone in heard for word in (*tone, "-n"))][:-1], b""
    try:
        subprocess.run(command, input=given, timeout=10, check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("no sound: %s failed: %s", program, type(error).__name__)


class Signals:
    """Follows the state. path : the snapshot; note : where the state to send a message about is written, None without messages

    after_s : a need for attention shorter than this is no message
    fault : what is wrong with the configuration; then somebody is needed, whatever the snapshot says
    """

    def __init__(self, path: Path, led: Led | None, program: str, note: Path | None, after_s: float, fault: str = "") -> None:
        self._path, self._led, self._program, self._note, self._after_s, self._fault = path, led, program, note, after_s, fault
        self._shown: State | None = None
        self._needy = self._told = False
        self._since = 0.0
        self._first_report_due: float | None = None

    def turn(self, now: float, clock: float | None = None) -> None:
        """Look, and signal what changed. now : monotonic seconds; clock : Unix seconds"""
        state = self._look(clock)
        if state != self._shown:
            first, self._shown = self._shown is None, state
            self._shine(state)
            if not first:
                play(self._program, state)
        needy = state == "Needs attention"
        if needy != self._needy:
            self._needy, self._since = needy, now
        if needy != self._told and now - self._since >= self._after_s:
            self._told = needy
            self._write_note(state)

    def run(self, ended: threading.Event) -> None:
        """Turn until `ended` is set."""
        while not ended.is_set():
            self.turn(time.monotonic())
            ended.wait(LOOK_S)
        if self._led is not None:
            self._led.close()

    def _look(self, clock: float | None) -> State:
        clock = time.time() if clock is None else clock
        if self._first_report_due is None:
            self._first_report_due = clock + snapshots.FIRST_REPORT_S
        return snapshots.look(self._path, self._first_report_due, clock, self._fault).state

    def _shine(self, state: State) -> None:
        if self._led is not None:
            try:
                self._led.show(state)
            except OSError as error:
                log.warning("the LED cannot be set: %s", os.strerror(error.errno or 0))

    def _write_note(self, state: State) -> None:
        if self._note is not None:
            part = self._note.with_name(f".{self._note.name}.part")
            part.write_text(state)
            part.replace(self._note)
