"""One USB stick: a thread lists it and copies its pictures into work/, a few ahead of the daemon. Nothing is written to a stick here."""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from appliance.daemon.journal import Journal, Number
from appliance.daemon.sinks.stick_writer import FOLDER, MARKER
from appliance.daemon.sources.settling import Stamp
from appliance.daemon.sources.tree import Entry, Inbox, Left, NotNow, Sweep, natural
from appliance.daemon.store import Box
from appliance.formats.signatures import format_of
from appliance.system import files
from appliance.system.faults import BoxTrouble, describe, ours

log = logging.getLogger(__name__)

PAUSE_S = 5.0
"""Pause before a copy is tried again that the box's own disk refused."""

COPY = re.compile(r"\.stick-.*\.part", re.DOTALL)
"""Names in work/ of copies that have no number yet."""

PICTURE = re.compile(r".*\.(jpe?g|jpe|jfif|png|bmp|dib|tiff?)", re.DOTALL)
KINDS = (
    (re.compile(r"(thumbs|ehthumbs|ehthumbs_vista)\.db|\.ds_store", re.DOTALL), "thumbnail database"),
    (re.compile(r"\..*|~\$.*|.*\.(part|tmp|partial|crdownload|filepart)|desktop\.ini", re.DOTALL), "hidden or temporary"),
    (re.compile(r"system volume information|\$recycle\.bin|recycler|lost\+found|found\.[0-9]{3}", re.DOTALL), "system folder"),
    (re.compile(r"dicomdir|.*\.(dcm|dic)", re.DOTALL), "DICOM"),
    (re.compile(r".*\.(txt|csv|ini|inf|log|idx|cal|dat)", re.DOTALL), "text"),
    (re.compile(r".*\.(xml|html?|json)", re.DOTALL), "XML or HTML"),
    (re.compile(r".*\.pdf", re.DOTALL), "PDF"),
    (re.compile(r".*\.(mp4|m4v|mov|avi|mpe?g|mts|m2ts|wmv|mkv)", re.DOTALL), "video"),
)
"""Names of things that stay on the stick -> the word for the page; all others are "other"."""


class Gone(Exception):
    """The stick went away: no picture on it is to blame."""


class Plug(NamedTuple):
    """A mounted stick: where, and the device's number (st_dev)."""

    path: Path
    device: int

    def is_present(self) -> bool:
        """Whether it is still plugged in; the kernel forgets a pulled device long before its mount goes."""
        with suppress(OSError):
            if self.path.stat().st_dev == self.device:
                return Path(f"/sys/dev/block/{os.major(self.device)}:{os.minor(self.device)}").exists()
        return False


@dataclass(frozen=True)
class Copy:
    """A picture of a stick, whole in work/: where it was, what the journal knows it by, where it is now."""

    entry: Entry
    seen: bytes
    path: Path


class Reader(threading.Thread):
    """Reads one stick to its end. What it counts may be read from any thread.

    total : pictures, None until all folders are listed; known : those the journal knew; unreadable : those that cannot be read
    not_released : kind -> number of things that stay on the stick
    finished : every picture was handed over, or known, or cannot be read
    numbers : those of its pictures, known ones and what the daemon adds
    takes_results : it is for results alone, and not read
    fault : why the stick could not be read to its end, "" while it can
    """

    def __init__(self, plug: Plug, box: Box, journal: Journal, wake: Callable[[], None], heeds_marker: bool = False) -> None:
        """heeds_marker : a stick with the folder results.MARKER is not read"""
        super().__init__(name="stick", daemon=True)  # a read that hangs in the kernel must not keep the process from ending
        self._plug, self._work, self._journal, self._wake = plug, box.work, journal, wake
        self._secret = box.secret()
        self._inbox = Inbox(plug.path)
        self._ended = threading.Event()
        self._copies: queue.Queue[Copy] = queue.Queue(maxsize=1)
        self.total: int | None = None
        self.known = self.unreadable = 0
        self.not_released: Counter[str] = Counter()
        self.finished = self.takes_results = False
        self.numbers: set[Number] = set()
        self._heeds_marker = heeds_marker
        self.fault = ""

    def run(self) -> None:
        try:
            self.takes_results = self._heeds_marker and (self._plug.path / MARKER).is_dir()
            pictures = [] if self.takes_results else list(self._pictures(self._inbox.sweep()))
            self.total = len(pictures)
            for number, picture in enumerate(pictures):
                self._wake()
                self._bring(*picture, self._work / f".stick-{self._plug.path.name}-{number}.part")
            self.finished = not self._ended.is_set()
        except Gone:
            self.fault = "it was pulled"
        except OSError as error:
            self.fault = describe(error)
        finally:
            self._wake()

    def next_copy(self) -> Copy | None:
        """A picture that is in work/ and waits for its number."""
        with suppress(queue.Empty):
            return self._copies.get_nowait()
        return None

    @property
    def has_copy(self) -> bool:
        return not self._copies.empty()

    def end(self) -> None:
        """Let go of the stick as soon as the read in hand is over."""
        self._ended.set()

    def _pictures(self, found: Sweep) -> Iterator[tuple[Entry, Stamp]]:
        """The pictures, in the order people number them; everything else is counted."""
        self.not_released.update(map(kind_of, found.ignored))
        self.not_released.update(found.left)
        for entry, stamp in sorted(found.files.items(), key=lambda item: natural(item[0])):
            if self._ended.is_set():
                return
            if FOLDER.fullmatch(entry.folder.partition("/")[0]):
                continue  # results that a box gave it
            if PICTURE.fullmatch(entry.name.casefold()) or self._begins_like_a_picture(entry, stamp):
                yield entry, stamp
            else:
                self.not_released[kind_of(entry.name)] += 1

    def _begins_like_a_picture(self, entry: Entry, stamp: Stamp) -> bool:
        try:
            with self._inbox.open(entry, stamp) as held:
                return format_of(os.read(held.file, 16)) is not None
        except (NotNow, Left, OSError):
            self._check_presence()
            return False

    def _bring(self, entry: Entry, stamp: Stamp, path: Path) -> None:
        """Have one picture copied and handed over, unless the journal knows it or it cannot be read; as often as the box's disk needs."""
        while not self._ended.is_set():
            try:
                copy = self._copy(entry, stamp, path)
            except BoxTrouble:
                path.unlink(missing_ok=True)
                self._ended.wait(PAUSE_S)
                continue
            except (NotNow, Left, OSError):
                path.unlink(missing_ok=True)
                self._check_presence()
                self.unreadable += 1
                return
            if copy is None:
                self.known += 1
            else:
                self._hand_over(copy)
            return

    def _copy(self, entry: Entry, stamp: Stamp, path: Path) -> Copy | None:
        """The picture, durably in work/; None when the journal knows it. Read twice, so that what is known costs no write."""
        with self._inbox.open(entry, stamp) as held:
            seen = self._key(entry, held.file)
            with ours():
                number = self._journal.number_of(seen)
            if number is not None:
                self.numbers.add(number)
                return None
            os.lseek(held.file, 0, os.SEEK_SET)
            files.bring(held.file, path)
            if not held.is_unchanged():
                raise NotNow
        return Copy(entry, seen, path)

    def _key(self, entry: Entry, file: int) -> bytes:
        """What the journal knows a picture by, place and content: without the secret nobody can try names or pictures against it."""
        digest = hashlib.blake2b(os.fsencode("/".join(entry)) + b"\0", key=self._secret, digest_size=16)
        while chunk := os.read(file, files.CHUNK):
            digest.update(chunk)
        return digest.digest()

    def _hand_over(self, copy: Copy) -> None:
        while not self._ended.is_set():
            with suppress(queue.Full):
                self._copies.put(copy, timeout=1.0)
                self._wake()
                return
        copy.path.unlink(missing_ok=True)

    def _check_presence(self) -> None:
        if not self._plug.is_present():
            raise Gone


def kind_of(name: str) -> str:
    """What a thing that stays on the stick is, in a word for the page."""
    return next((kind for pattern, kind in KINDS if pattern.fullmatch(name.casefold())), "other")
