"""Have the engine's plans built before it is opened, which takes minutes the first time, and say how far it is.

The builder is a process of its own (`python -m appliance.engine.build`): whoever asks for plans never touches the GPU, and the
builder's memory is free again when it ends.
"""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from appliance.config import Config
from appliance.errors import AnonBoxError, BadConfig, DeviceLost
from appliance.system.liveness import SAID_EVERY_S, STILL_S, Pulse

log = logging.getLogger(__name__)

BUILDER = (sys.executable, "-I", "-m", "appliance.engine.build")
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
