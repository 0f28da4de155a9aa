"""What the tests of the daemon share: a scripted redactor, lanes without threads, and a box driven by hand."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from appliance.config import Config, Folders, Intake, Usb
from appliance.daemon.loop import Daemon
from appliance.errors import BadFile, DeviceLost
from appliance.status import snapshot
from appliance.status.snapshot import Snapshot
from appliance.types import EngineInfo, Mask, Report

MASK = Mask(np.array([[True, False, False, False]]), (8, 8), (8, 32))


def report(picture_format: str = "jpeg") -> Report:
    return Report(picture_format, (MASK,), looks=1)


def clean(content: bytes) -> bytes:
    """What the scripted redactor makes of a file."""
    return b"clean " + content


def by_content(content: bytes, alone: bool) -> Report:
    """The first word of a file says what happens to it."""
    word = content.split(b" ")[0].decode()
    if word in ("unsupported", "damaged", "incomplete"):
        raise BadFile(word, f"a test says that this is {word}")  # type: ignore[arg-type]
    if word == "lost":
        raise DeviceLost("execute", "error 700")
    if word == "bug":
        raise ZeroDivisionError("patient Mustermann")
    return report(word if word in ("png", "tiff", "bmp") else "jpeg")


class ScriptedRedactor:
    """Behaves as told by `behave(content, alone)`; writes half of a result before anything goes wrong."""

    info = EngineInfo("scripted", "FP32", "0123456789ab", "none")

    def __init__(self, behave: Callable[[bytes, bool], Report] = by_content, lanes: int = 2) -> None:
        self.behave = behave
        self.lanes = lanes
        self.calls: list[tuple[bytes, bool]] = []

    def redact(self, source: int, target: int, *, alone: bool = False) -> Report:
        content = os.read(source, 1 << 20)
        self.calls.append((content, alone))
        os.write(target, b"half")
        result = self.behave(content, alone)
        os.ftruncate(target, 0)
        os.pwrite(target, clean(content), 0)
        return result

    def close(self) -> None:
        pass


class InlineLanes:
    """Stands in for the thread pool: runs a job when it is submitted, so that a test knows the order of all that happens."""

    def __init__(self, workers: int, prefix: str) -> None:
        pass

    def submit(self, call: Callable[..., None], *arguments: Any) -> Future[None]:
        future: Future[None] = Future()
        try:
            call(*arguments)
            future.set_result(None)
        except BaseException as error:  # noqa: BLE001 as the real ones do
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        pass


class Rig:
    """A box in a folder of its own, with clocks that stand until they are moved."""

    def __init__(self, home: Path, redactor: ScriptedRedactor, **intake: Any) -> None:
        self.home = home
        self.redactor = redactor
        settings = Intake(**{"settle_s": 2.0, "sweep_s": 5.0, "watch": False, "min_free_mib": 0, **intake})
        self.config = Config(Folders(box=home).resolved(), settings, usb=Usb(home / "usb"))
        self.now, self.wall = 1000.0, 1_700_000_000.0
        self.daemon: Daemon | None = None

    @property
    def inbox(self) -> Path:
        return self.config.folders.inbox

    def drop(self, name: str, content: bytes = b"jpeg") -> Path:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def start(self) -> Daemon:
        self.daemon = Daemon(self.config, self.redactor, clock=lambda: self.wall, monotonic=lambda: self.now)
        return self.daemon

    def set(self, **intake: Any) -> None:
        self.config = replace(self.config, intake=replace(self.config.intake, **intake))

    def go(self, seconds: float = 10.0, step: float = 1.0) -> None:
        """Let time pass in steps, a turn at each."""
        if self.daemon is None:
            self.start()
        assert self.daemon is not None
        for _ in range(round(seconds / step)):
            self.now += step
            self.wall += step
            self.daemon.turn(self.now)

    def restart(self) -> Daemon:
        if self.daemon is not None:
            self.daemon.close()
        return self.start()

    def close(self) -> None:
        if self.daemon is not None:
            self.daemon.close()

    def look(self) -> Snapshot:
        """What the page would see now."""
        return snapshot.read(self.config.folders.state / "status.json", now=self.wall)

    def files(self, folder: str) -> dict[str, bytes]:
        """Every file below one of the box's folders, hidden ones too."""
        root = getattr(self.config.folders, folder) if folder != "work" else self.config.folders.state / "work"
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    def reason(self, number: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.config.folders.quarantine / number / "reason.json").read_text())
        return value

    def rows(self, query: str) -> list[Any]:
        db = sqlite3.connect(self.config.folders.state / "journal.sqlite")
        try:
            return db.execute(query).fetchall()
        finally:
            db.close()
