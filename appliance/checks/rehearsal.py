"""A rehearsal: drawn screens with planted text through a redactor, and through a whole box, run in a temporary folder as systemd would."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from appliance.config import Config, Folders, Shares, document
from appliance.engine import reference
from appliance.engine.reference import Frame
from appliance.redactor.client import RedactorProcess

SIZE = (1080, 1920)
DARKEST = 40
"""A covered pixel is black but for what JPEG makes of it, 0..255."""

PATIENCE_S = 60.0
"""For a picture, and for a word to systemd."""

SILENCE_S = 3.0
"""A stopped box is known to be silent after so long."""


class Failed(Exception):
    """What was rehearsed did not go as it must. Its text is one sentence."""


def encoded(frame: Frame, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame.pixels).save(file, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return file.getvalue()


def redact(redactor: RedactorProcess, data: bytes) -> bytes:
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(data)
        source.seek(0)
        redactor.redact(source.fileno(), target.fileno())
        target.seek(0)
        return target.read()


def check_covered(frame: Frame, result: bytes) -> None:
    """Raises Failed unless every line of text is black and the rest is a picture."""
    pixels = np.asarray(Image.open(io.BytesIO(result)).convert("RGB"))
    if pixels.shape != frame.pixels.shape:
        raise Failed(f"the result has {pixels.shape}, the picture {frame.pixels.shape}")
    left = [box for box in frame.boxes if pixels[box[0] : box[2], box[1] : box[3]].max() > DARKEST]
    if left:
        raise Failed(f"{len(left)} of {len(frame.boxes)} planted lines of text can still be seen")
    if (pixels.max(axis=2) > DARKEST).mean() < 0.2:
        raise Failed("nearly all of the picture was removed")


def run_box(config: Config, cache: Path) -> str:
    """A picture comes out, and the watchdog hears of the box while it works. `cache` is lent to it, so it need not build plans of its
    own; sticks and shares are not its own, so it sees none. Raises Failed."""
    with tempfile.TemporaryDirectory(prefix="anonbox-selftest-") as name:
        return _run_box(Path(name), replace(config, folders=Folders(), shares=Shares()), cache)


def _run_box(folder: Path, config: Config, cache: Path) -> str:
    frame = reference.frame(2, SIZE)
    (folder / "box" / "state").mkdir(parents=True)
    (folder / "box" / "state" / "engines").symlink_to(cache)
    (folder / "config.toml").write_text(document(config), "utf-8")
    command = [sys.executable, "-I", "-m", "appliance", "run", "--config", str(folder / "config.toml"), "--box", str(folder / "box")]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, open(folder / "log", "wb") as output:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(PATIENCE_S)
        environment = {**os.environ, "ANONBOX_RUN": str(folder), "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "2000000"}
        environment.pop("WATCHDOG_PID", None)
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            ready = _hear(systemd, "READY=1")
            (folder / "box" / "in" / "one.jpg").write_bytes(encoded(frame, "JPEG"))
            came = _await_result(folder / "box" / "out", frame)
            for _ in range(2):
                _hear(systemd, "WATCHDOG=1")
            os.kill(process.pid, signal.SIGSTOP)
            _check_silence(systemd)
        except TimeoutError:
            raise Failed(f"the box said nothing for {PATIENCE_S:.0f} s: {_tail(folder / 'log')}") from None
        finally:
            os.kill(process.pid, signal.SIGCONT)
            process.terminate()
            process.wait()
    return f"ready after {ready:.1f} s, a picture came out after {came:.1f} s, the watchdog is fed and goes hungry when the box hangs"


def _hear(systemd: socket.socket, word: str) -> float:
    """Wait for a word to systemd; seconds it took."""
    start = time.monotonic()
    while word not in systemd.recv(4096).decode().splitlines():
        if time.monotonic() - start > PATIENCE_S:
            raise TimeoutError
    return time.monotonic() - start


def _await_result(out: Path, frame: Frame) -> float:
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE_S:
        for path in out.rglob("*.jpg"):
            check_covered(frame, path.read_bytes())
            return time.monotonic() - start
        time.sleep(0.05)
    raise Failed(f"no picture came out of the box within {PATIENCE_S:.0f} s")


def _check_silence(systemd: socket.socket) -> None:
    """What was sent before the box was stopped may still come; then nothing."""
    systemd.settimeout(SILENCE_S)
    for _ in range(10):
        try:
            systemd.recv(4096)
        except TimeoutError:
            return
    raise Failed("a stopped box still fed the watchdog")


def _tail(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"
