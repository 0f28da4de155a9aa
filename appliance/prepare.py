"""Before the redactor starts: have the engine's plans built, which takes minutes the first time, and say how far it is.

The builder is a process of its own (`python -m engines.build`): the daemon never touches the GPU, and the builder's memory is free
again when it ends.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import appliance
from appliance.config import Config
from appliance.errors import AnonBoxError, BadConfig, DeviceLost, why_not
from appliance.intake import attention
from appliance.intake.notify import notify
from appliance.pulse import SAID_EVERY_S, STILL_S, Pulse
from appliance.status import snapshot
from appliance.status.snapshot import Snapshot, State

log = logging.getLogger(__name__)

BUILDER = (sys.executable, "-I", "-m", "engines.build")
PATIENCE_S = 60
"""systemd is asked for so much more time at each repetition."""

IDLE: Mapping[str, Any] = {"waiting": 0, "working": 0, "batch": None, "left": {}, "sticks": (), "shares": (), "images_per_minute": 0}
"""What the last run's snapshot no longer tells; its counts and its record do."""

Say = Callable[[str], None]


def ensure_plans(config: Config, folder: Path, say: Say, *, builder: tuple[str, ...] = BUILDER) -> None:
    """Build what the configured engine lacks in `folder`; at once done for OpenVINO, and where the plans fit.

    say : called with what is going on, at each step and every few seconds
    Raises BadConfig or DeviceLost when there will be no engine, unless engine.fallback names another.
    """
    if config.engine.name != "tensorrt":
        return
    options = {"--mode": config.detect.mode, "--precision": config.engine.precision, "--folder": str(folder)}
    command = [*builder, *(word for option in options.items() for word in option)]
    try:
        _follow(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True), say)
    except AnonBoxError as error:
        if config.engine.fallback == "none":
            raise
        log.error("%s", error)  # the redactor meets the same, and opens the fallback visibly


def _follow(process: subprocess.Popen[str], say: Say) -> None:
    text, outcome = "looking for the engine's plans", None
    with closing(_lines(process)) as lines:
        for line in lines:
            if line is not None:
                text = line.get("progress", text)
                outcome = line if "progress" not in line else outcome
            say(text)
    if outcome is None:
        raise DeviceLost("engine build", f"the builder ended (status {process.returncode}); what it said stands above")
    if "bad_config" in outcome:
        raise BadConfig(*outcome["bad_config"])
    if "down" in outcome:
        raise DeviceLost("engine build", outcome["down"])


def _lines(process: subprocess.Popen[str]) -> Generator[dict[str, Any] | None, None, None]:
    """What the builder says, line by line; None every few seconds in which it says nothing. It has ended when this ends, and ends when
    this is left."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True, name="builder")
    reader.start()
    pulse = Pulse(process.pid)
    try:
        while True:
            try:
                line = lines.get(timeout=SAID_EVERY_S)
            except queue.Empty:
                if pulse.is_still():
                    raise DeviceLost("engine build", f"the builder hangs: it took no processor time for {STILL_S:.0f} s") from None
                yield None
                continue
            if line is None:
                process.wait()
                return
            try:
                yield json.loads(line)
            except ValueError:  # a library's word in between
                log.info("builder: %s", line.rstrip())
    finally:
        process.kill()
        reader.join()
        process.communicate()


class Announcer:
    """Says what the box is doing before it has a daemon, and why it never got one: in the log once, on the page and to systemd every time.

    started_at : Unix seconds
    Where a box runs already, the page is that one's: this one will be refused, and leaves it alone.
    """

    def __init__(self, status: Path, started_at: float) -> None:
        self._status, self._started_at = status, started_at
        self._said = ""
        self._last = snapshot.last(status) or Snapshot("Starting")
        self._is_second = _is_in_use(status.parent)

    def __call__(self, text: str) -> None:
        if text != self._said:
            log.info("%s", text)
            self._said = text
        minutes = int(time.time() - self._started_at) // 60
        detail = f"{text[:1].upper()}{text[1:]}{f' ({minutes} min so far)' if minutes else ''}."
        self._show("Starting", detail, final=False)
        notify(f"STATUS=Starting. {detail}", f"EXTEND_TIMEOUT_USEC={PATIENCE_S * 1_000_000}")

    @contextmanager
    def until_ready(self) -> Iterator[None]:
        """Say so when the box is told to stop meanwhile; from then on the daemon does."""
        try:
            yield
        except SystemExit:
            self._show("Stopped", "", final=True)
            raise

    def give_up(self, error: AnonBoxError) -> None:
        """Say what this process ends with; that stands until the next one says something else."""
        detail = why_not(error)
        self._show("Needs attention", detail, final=True)
        notify(f"STATUS=Needs attention. {detail}")
        attention.tell("Needs attention", detail)

    def _show(self, state: State, detail: str, final: bool) -> None:
        times: dict[str, Any] = {"started_at": self._started_at, "written_at": time.time()}
        now = replace(self._last, state=state, detail=detail, final=final, **IDLE, version=appliance.__version__, **times)
        if self._is_second:
            return
        try:
            self._status.parent.mkdir(parents=True, exist_ok=True)
            snapshot.write(self._status, now)
        except OSError as error:
            log.warning("status.json cannot be written: %s", error.strerror)


def _is_in_use(state: Path) -> bool:
    """Whether a box runs on these folders: it holds a lock (intake.folders)."""
    try:
        lock = os.open(state / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
