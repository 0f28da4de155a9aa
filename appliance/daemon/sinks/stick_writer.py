"""Writes results onto a stick, as root and for the daemon, which may not (anonbox-results.service):

    python -I -m appliance.daemon.sinks.stick_writer

The daemon asks by a file in state/sticks/, named after the device, and finds the outcome in /run/anonbox/results. A stick is writable
only meanwhile: remounted, written, synced, and read-only again before the outcome is told. What the daemon asks is not trusted: numbers
are numbers, no link is followed, and only the stick that it read can be meant. Names are the box's numbers, never an original's.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FOLDER = re.compile(r"anonbox-out-([0-9]{4,})", re.IGNORECASE | re.ASCII)
"""The folders of results on a stick; FAT does not tell small letters from capitals."""

MARKER = "AnonBox-results"
"""A folder of this name at its top makes a stick one that takes the results of others and is never read."""

PER_FOLDER = 10_000
"""Results in one folder at most. FAT32 ends at 65,536 entries a folder and a result's name takes three; then it says that it is full."""

LARGEST_REQUEST = 16 << 20
NEUTRAL_NS = 946_684_800 * 10**9
_DEVICE = re.compile(r"[a-z0-9]+", re.ASCII)
_NUMBER = re.compile(r"(E[0-9]{6,})/([0-9]{4,})", re.ASCII)
_PART = re.compile(r"\.E[0-9]+-[0-9]+\.part", re.ASCII)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Outcome:
    """token : the request's; written : results that are on the stick since this request
    fault : "" when all are on it, "full" when not all fit, else "failed"; what could not be written is still on the box
    """

    token: str
    written: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Places:
    """Where things are on a box that was installed."""

    requests: Path = Path("/var/lib/anonbox/state/sticks")
    out: Path = Path("/var/lib/anonbox/out")
    mounts: Path = Path("/run/anonbox/usb")
    outcomes: Path = Path("/run/anonbox/results")


def serve(places: Places) -> None:
    """Answer every request that waits. One that cannot be understood is dropped: the daemon did not write it."""
    for path in sorted(places.requests.glob("*.request")):
        request, device = _take(path), path.stem
        if request is None or not _DEVICE.fullmatch(device):
            continue
        token = str(request.get("token", ""))
        outcome = Outcome(token, fault="failed")
        try:
            outcome = _answer(request, token, places.mounts / device, places.out)
        except (OSError, subprocess.CalledProcessError, ValueError, KeyError, TypeError) as error:
            log.error("%s: results cannot be written: %s", device, _describe(error))
        part = places.outcomes / f".{device}.part"
        part.write_text(json.dumps(asdict(outcome)))
        part.replace(places.outcomes / f"{device}.json")


def _take(path: Path) -> dict[str, Any] | None:
    """The request, which is gone then, so that none can be asked over and over; None for what is none."""
    try:
        try:
            return _read(path)
        finally:
            path.unlink()
    except (OSError, ValueError, RecursionError) as error:
        log.error("a request was dropped: %s", _describe(error))
        return None


def _read(path: Path) -> dict[str, Any]:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as source:
        value = json.loads(source.read(LARGEST_REQUEST))
    if not isinstance(value, dict):
        raise ValueError("a request is an object")
    return value


def _answer(request: dict[str, Any], token: str, point: Path, out: Path) -> Outcome:
    numbers = [found.groups() for text in request["numbers"] if (found := _NUMBER.fullmatch(text))]
    if len(numbers) != len(request["numbers"]):
        raise ValueError("a number is none")
    if device_of(point) == device_of(point.parent) or device_of(point) != request["device"]:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    source = os.open(out, _DIRECTORY)
    try:
        with writable(point):
            root = os.open(point, _DIRECTORY)
            try:
                return _write_all(numbers, source, root, token)
            finally:
                os.close(root)
    finally:
        os.close(source)


def device_of(path: Path) -> int:
    return path.stat().st_dev


@contextmanager
def writable(point: Path) -> Iterator[None]:
    """Make the stick writable meanwhile, device and mount. Raises CalledProcessError; afterwards both are read-only, or that is raised."""
    device = subprocess.run(
        ["findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", str(point)], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        subprocess.run(["blockdev", "--setrw", device], check=True)
        _remount(point, "rw")
        try:
            yield
        finally:
            subprocess.run(["sync", "--file-system", str(point)], check=False)
            _remount(point, "ro")
    finally:
        subprocess.run(["blockdev", "--setro", device], check=True)


def _remount(point: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how},nosuid,nodev,noexec", str(point)], check=True)


def _write_all(numbers: list[tuple[str, ...]], source: int, root: int, token: str) -> Outcome:
    """Write what the stick does not have yet into its next folders, PER_FOLDER into each."""
    names = [name for name in _list(root) if FOLDER.fullmatch(name)]
    there = {name.partition(".")[0].upper() for folder in names for name in _names(root, folder)}
    folders: list[int] = []
    written, fault = 0, ""
    try:
        for exam, picture in numbers:
            if f"{exam}-{picture}" in there or (result := _open_result(source, exam, picture)) is None:
                continue  # it has it, or somebody took it from out/
            file, ending = result
            try:
                if written == len(folders) * PER_FOLDER:
                    folders.append(_next_folder(root, names))
                _write(file, folders[-1], f"{exam}-{picture}", ending)
                written += 1
            finally:
                os.close(file)
    except OSError as error:
        log.error("results cannot be written to the end: %s", _describe(error))
        fault = "full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "failed"
    finally:
        for folder in folders:
            os.close(folder)
    return Outcome(token, written, fault)


def _names(root: int, folder: str) -> list[str]:
    """What a folder of results holds; what an earlier, torn write left there goes."""
    file = os.open(folder, _DIRECTORY, dir_fd=root)
    try:
        names = _list(file)
        for name in filter(_PART.fullmatch, names):
            os.unlink(name, dir_fd=file)
        return names
    finally:
        os.close(file)


def _list(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _next_folder(root: int, names: list[str]) -> int:
    """Made, open, and noted in `names`."""
    number = 1 + max((int(found[1]) for name in names if (found := FOLDER.fullmatch(name))), default=0)
    name = f"AnonBox-out-{number:04d}"
    os.mkdir(name, 0o755, dir_fd=root)
    os.fsync(root)
    names.append(name)
    return os.open(name, _DIRECTORY, dir_fd=root)


def _open_result(out: int, exam: str, picture: str) -> tuple[int, str] | None:
    """A result, open for reading, and the ending of its name; None when it is not there."""
    try:
        folder = os.open(exam, _DIRECTORY, dir_fd=out)
    except FileNotFoundError:
        return None
    try:
        name = next((name for name in _list(folder) if name.partition(".")[0] == picture), None)
        if name is None:
            return None
        ending = name.partition(".")[2]
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder), ending
    finally:
        os.close(folder)


def _write(source: int, folder: int, stem: str, ending: str) -> None:
    """Whole or not at all: the name comes last."""
    part = f".{stem}.part"
    target = os.open(part, _NEW, 0o644, dir_fd=folder)
    try:
        try:
            while chunk := os.read(source, 1 << 20):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(target, view) :]
            os.utime(target, ns=(NEUTRAL_NS, NEUTRAL_NS))
            os.fsync(target)
        finally:
            os.close(target)
        os.rename(part, f"{stem}.{ending}", src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except OSError:
        with suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise


def _describe(error: BaseException) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__


if __name__ == "__main__":
    logging.basicConfig(format="<3>%(message)s", stream=sys.stderr)
    serve(Places())
