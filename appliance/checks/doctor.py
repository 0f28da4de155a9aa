"""`anonbox doctor`: what this machine has and lacks, and what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import appliance
from appliance.config import Config
from appliance.daemon.sources.tree import user_name
from appliance.errors import AnonBoxError
from appliance.system import clock

Status = Literal["ok", "note", "failed"]


@dataclass(frozen=True)
class Check:
    """One thing looked at. status : "note" is worth knowing, "failed" keeps the box from working; advice : what to do, may be empty"""

    name: str
    status: Status
    detail: str
    advice: str = ""


def examine(config: Config, cache: Path) -> Iterator[Check]:
    """Look at everything the box needs, slowest last. Nothing is changed; cache : for the compiled model"""
    yield Check("anonbox", "ok", f"{appliance.__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    yield from _libraries()
    yield _reducer(config)
    yield from _folders(config)
    yield _clock()
    yield from _redactor(config, cache)


def _libraries() -> Iterator[Check]:
    for name in ("openvino", "pillow", "numpy", "flask", "waitress", "watchfiles", "click"):
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(name, "failed", "is not installed", "run `make setup`, or pip install -r requirements/box.lock")
    yield _turbojpeg()
    yield _optional("systemd.daemon", "systemd-python", "readiness and watchdog go over the plain notify socket instead")
    yield _optional("tensorrt", "TensorRT", "the network runs on the CPU, or by TensorRT for RTX where that is there")
    yield _optional("pycuda", "pycuda", "no engine on a GPU; on a Jetson: make jetson")


def _turbojpeg() -> Check:
    from appliance.formats import coefficients, turbo

    try:
        return Check("libturbojpeg", "ok", f"{turbo.library_version()}, built with libjpeg-turbo {coefficients.library_version()}")
    except AnonBoxError as error:
        return Check("libturbojpeg", "failed", str(error), "deploy/system-packages.sh python3 compiler, then `make setup`")


def _optional(module: str, name: str, without: str) -> Check:
    with suppress(ModuleNotFoundError):  # the parent of a dotted name
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError
        return Check(name, "ok", "present")
    return Check(name, "note", f"absent: {without}")


def _reducer(config: Config) -> Check:
    """Which of the two ways to reduce a picture that is no JPEG is used, and why."""
    from appliance.formats.reduce import real_jetson_utils, reducer, use_gpu

    utils, why = real_jetson_utils()
    if utils is None and "stranger" in why:
        return Check(
            "jetson-utils", "failed", why, "pip uninstall jetson-utils; the real one is built from its source, see deploy/README.md"
        )
    used = use_gpu() if config.engine.name == "tensorrt" else reducer()
    return Check("jetson-utils", "ok" if utils else "note", f"PNG, BMP and TIFF are reduced by {used.name}: {used.why}")


def _folders(config: Config) -> Iterator[Check]:
    user = user_name()
    for name in ("inbox", "out", "done", "quarantine", "state"):
        path: Path = getattr(config.folders, name)
        there = path
        while not os.path.lexists(there):  # False as well where a folder above may not be looked into
            there = there.parent
        free = shutil.disk_usage(there).free / 2**20
        if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
            yield Check(name, "failed", f"user {user} may not write in {there}", f"chown {user} {there}, or set folders.{name} elsewhere")
        elif name in {"out", "state"} and free < config.intake.min_free_mib:
            advice = "free some space, or lower intake.min_free_mib"
            yield Check(name, "failed", f"{there}: {free:.0f} MiB free, at least {config.intake.min_free_mib} MiB are wanted", advice)
        else:
            yield Check(name, "ok", f"{path}{'' if there == path else ' (will be made)'}, {free / 1024:.1f} GiB free")


def _clock() -> Check:
    """A clock that is behind the program's own files is wrong for certain; one that nothing keeps may be."""
    now = time.time()
    if now < Path(__file__).stat().st_mtime:
        return Check(
            "clock", "failed", f"it says {time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC, before this program was made", "set it"
        )
    if clock.is_trusted():
        return Check("clock", "ok", "kept by the network")
    return Check("clock", "note", "nothing is known to keep it; results do not depend on it, only the retention of originals does")


def _redactor(config: Config, cache: Path) -> Iterator[Check]:
    """Starts a redactor, which opens the engine, runs drawn pictures through it and locks itself in."""
    from appliance.redactor.client import RedactorProcess

    try:
        redactor = RedactorProcess(config, cache)
    except AnonBoxError as error:
        yield Check("engine", "failed", str(error), "mend what the message names, then run doctor again")
        return
    try:
        info = redactor.info
        detail = f"{info.name}, {info.precision}, model {info.model}, on {info.device}, {redactor.lanes} lanes"
        yield Check("engine", "note" if info.note else "ok", f"{detail}{' ' * bool(info.note)}{info.note}")
        if redactor.is_sandboxed:
            yield Check("sandbox", "ok", "the redactor can open no file and no socket")
        else:
            yield Check("sandbox", "note", "no seccomp filter here: a hostile picture would meet fewer walls")
    finally:
        redactor.close()
