"""`anonbox redact`: pictures named on the command line, redacted once through the same redactor that the daemon uses.

Unlike the daemon's, its results keep the names they came with: whoever types the command sees them anyway.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import numpy as np
from PIL import Image

from appliance.errors import BadFile, DeviceLost, MustRunAlone
from appliance.redactor import Redactor
from appliance.types import Header, Mask, Report

FURTHER_PAGE = re.compile(r"(.+\.png)-[0-9]+\.png")
"""The name of the mask of a second or later page, after that of the first."""

DIRECTORY = "DICOMDIR"

MOST_TRIES = 3
"""With nothing beside it; an engine that fails so often fails whatever the file."""


@dataclass(frozen=True)
class Item:
    """One file to redact: where it is, and where its result goes below the output folder."""

    source: Path
    relative: Path


@dataclass(frozen=True)
class Outcome:
    """What became of an item: a report, or the reason why there is none. ms : wall time, waiting for a lane excluded."""

    item: Item
    result: Report | BadFile
    ms: float

    def to_json(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"source": str(self.item.source), "ms": round(self.ms, 1)}
        if isinstance(self.result, BadFile):
            return entry | {"refused": {"code": self.result.code, "reason": self.result.reason}}
        report = self.result
        return entry | {
            "format": report.format,
            "removed_percent": round(100 * report.removed_share, 3),
            "shots" if report.format == "mp4" else "frames": len(report.masks),
            "looks": report.looks,
            "notes": list(report.notes),
            "stages_ms": {name: round(ms, 2) for name, ms in report.stages_ms.items()},
        }


@dataclass(frozen=True)
class Places:
    """Where results go, and masks if they are wanted.

    secret : what makes the numbers and UIDs of the DICOM files among them; nobody keeps it
    """

    out: Path
    masks: Path | None = None
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


def collect(inputs: Iterable[Path]) -> list[Item]:
    """The files behind the arguments: files as they are, folders with all below them, hidden ones left out, links not followed.
    A DICOMDIR is left out too: it lists the originals, with their patients' names.

    A folder that cannot be listed is an item too, so that it is refused by name and not passed over.
    """
    items: list[Item] = []
    for path in inputs:
        if not path.is_dir():
            items.append(Item(path, Path(path.name)))
            continue
        unreadable: list[OSError] = []
        for folder, folders, files in os.walk(path, onerror=unreadable.append):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            items += [_below(path, Path(folder) / name) for name in sorted(files) if not name.startswith(".") and name != DIRECTORY]
        items += [_below(path, Path(error.filename)) for error in unreadable]
    return items


def _below(top: Path, path: Path) -> Item:
    return Item(path, path.relative_to(top))


def find_harm(items: Sequence[Item], inputs: Iterable[Path], to: Places) -> str | None:
    """Why these results must not be written: two would take one name, or one the name of an original. None: nothing is wrong."""
    for folder in filter(Path.is_dir, inputs):
        for place in filter(None, (to.out, to.masks)):
            if place.resolve().is_relative_to(folder.resolve()):
                return f"{place} lies in {folder}, where the originals are; choose another folder"
    sources = {item.source.resolve() for item in items}
    written = Counter(path for item in items for path in _written(item, to))
    for path, times in written.items():
        if path in sources:
            return f"{path} is an original and would be overwritten; choose another folder"
        further = FURTHER_PAGE.fullmatch(path.name)
        if times > 1 or (further and path.with_name(further[1]) in written):
            return f"two files would both be written to {path}; redact them into different folders"
    return None


def _written(item: Item, to: Places) -> list[Path]:
    """Where an item's result and its mask go; masks of further pages are known only later, see FURTHER_PAGE."""
    final = to.out / item.relative
    places = [final, *({_named(final, "mp4")} - {final})] + ([_mask_path(item, to.masks)] if to.masks else [])
    return [place.resolve() for place in places]


def _named(final: Path, file_format: str) -> Path:
    """A film is an MP4 whatever it was; the ending that it came with stays before the new one, so that no two results share a name."""
    return final.with_name(f"{final.name}.mp4") if file_format == "mp4" and final.suffix.lower() not in {".mp4", ".m4v"} else final


def _mask_path(item: Item, masks: Path) -> Path:
    return (masks / item.relative).with_suffix(".png")


def redact_all(items: Sequence[Item], redactor: Redactor, to: Places, each: Callable[[Outcome], None]) -> list[Outcome]:
    """Redact every item on all lanes; `each` hears of every outcome as it comes. Returns the outcomes in the items' order.

    Raises DeviceLost when the engine fails again and again, RedactorDown when no redactor can be started.
    """
    outcomes: list[Outcome | None] = [None] * len(items)
    pool = ThreadPoolExecutor(redactor.lanes, "lane")
    try:
        futures = {pool.submit(_redact_in_company, item, redactor, to): index for index, item in enumerate(items)}
        for future in as_completed(futures):
            outcome = outcomes[futures[future]] = future.result()
            if outcome:
                each(outcome)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C only the pictures in hand are finished
    whole = []
    for item, outcome in zip(items, outcomes, strict=True):
        whole.append(outcome or _redact_alone(item, redactor, to))
        if outcome is None:
            each(whole[-1])
    return whole


def _redact_in_company(item: Item, redactor: Redactor, to: Places) -> Outcome | None:
    """None when it has to run alone, or the redactor died meanwhile: another file may be to blame."""
    try:
        return _redact(item, redactor, to, alone=False)
    except (DeviceLost, MustRunAlone):
        return None


def _redact_alone(item: Item, redactor: Redactor, to: Places) -> Outcome:
    for _ in range(MOST_TRIES - 1):
        try:
            return _redact(item, redactor, to, alone=True)
        except DeviceLost:
            continue
    return _redact(item, redactor, to, alone=True)


def _redact(item: Item, redactor: Redactor, to: Places, *, alone: bool) -> Outcome:
    start = time.perf_counter()
    result: Report | BadFile
    try:
        result = _carry(item, redactor, to, alone=alone)
    except BadFile as error:
        result = error
    return Outcome(item, result, (time.perf_counter() - start) * 1e3)


def _carry(item: Item, redactor: Redactor, to: Places, *, alone: bool) -> Report:
    """Source to result, in one step: a result is there whole or not at all. Raises BadFile; OSError when `to` cannot be written."""
    final = to.out / item.relative
    source = _open_source(item.source)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        target, temporary = mkstemp(dir=final.parent, prefix=".anonbox-", suffix=".part")
        try:
            before = os.fstat(source)
            report = redactor.redact(source, target, alone=alone, header=Header("", "0001", to.secret))
            if os.fstat(source).st_mtime_ns != before.st_mtime_ns:
                raise BadFile("incomplete", "the file changed while it was read")
            os.fchmod(target, 0o644)
            os.replace(temporary, _named(final, report.format))
        finally:
            os.close(target)
            Path(temporary).unlink(missing_ok=True)
    finally:
        os.close(source)
    if to.masks:
        _save_masks(report.masks, _mask_path(item, to.masks))
    return report


def _open_source(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a symbolic link, which is not followed" if error.errno == errno.ELOOP else error.strerror
        raise BadFile("unreadable", f"the file cannot be opened: {why}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadFile("unreadable", "this is not a regular file")
    return descriptor


def _save_masks(masks: Sequence[Mask], path: Path) -> None:
    """STEM.png for the first page, STEM.png-2.png and so on for the others: the picture's full size, 255 = removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for page, mask in enumerate(masks, 1):
        name = path if page == 1 else path.with_name(f"{path.name}-{page}.png")
        Image.fromarray(mask.to_pixels().astype(np.uint8) * 255).save(name, optimize=False)
