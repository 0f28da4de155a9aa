"""The sender: results go on to one node by C-STORE, as they are; what the node does not take is told, never changed to please it."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import UID

from appliance.config import NODE, Config
from appliance.dicomnet import node
from appliance.system import files

log = logging.getLogger("anonbox.dicom")

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0
"""Between two tries while the node is away."""
REFUSED_AGAIN_S = 3600.0
"""What the node refused is offered again after so long: somebody may have taught it meanwhile."""
LOOK_S = 5.0
"""How often the results are listed."""
MOST_IN_ONE = 100
"""Results in one association; it has room for 128 kinds (PS3.8)."""
WARNINGS = (0xB000, 0xB006, 0xB007)
"""Stored, with remarks (PS3.4 B.2.3)."""
BUSY = range(0xA700, 0xA800)


@dataclass(frozen=True)
class Report:
    """What the page tells; no identifiers.

    refused : kind of object, or status, -> how many results the node does not take for that reason
    """

    away: str = ""
    sent: int = 0
    waiting: int = 0
    refused: dict[str, int] = field(default_factory=dict)


class Sender(threading.Thread):
    """Sends until `close`. What was sent is written down in `ledger`, a line for each, so that a restart sends nothing twice.

    ledger : a file of this process's own
    report : where its state is told, JSON
    """

    def __init__(self, config: Config, ledger: Path, report: Path, monotonic: Callable[[], float]) -> None:
        super().__init__(name="dicom-send", daemon=True)
        node.set_up()
        target = NODE.fullmatch(config.dicom.send_to)
        if target is None:
            raise ValueError(f"{config.dicom.send_to!r} is no node")
        self._title, self._host, self._port = target["title"], target["host"].strip("[]"), int(target["port"])
        self._own_title, self._out = config.dicom.ae_title, config.folders.out
        self._ledger, self._report, self._monotonic = ledger, report, monotonic
        self._sent = set(ledger.read_text().split()) if ledger.exists() else set()
        self._refused: dict[str, tuple[str, float]] = {}
        self._away, self._wait_s = "", FIRST_WAIT_S
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            self.turn()
            self._ended.wait(self._wait_s if self._away else LOOK_S)

    def close(self) -> None:
        self._ended.set()

    def turn(self) -> None:
        """Send what waits, in order, and tell what came of it."""
        waiting = self._waiting()
        while (batch := list(islice(waiting, MOST_IN_ONE))) and not self._ended.is_set():
            away = self._send(batch)
            if away != self._away:
                log.warning("the DICOM node %s", away or "is back")
            self._wait_s = min(LONGEST_WAIT_S, 2 * self._wait_s) if away and self._away else FIRST_WAIT_S
            self._away = away
            self.tell()
            if away:
                return
        self.tell()

    def _waiting(self) -> Iterator[str]:
        """Results neither sent nor lately refused, "E000123/0001.dcm", in the order of their numbers."""
        now = self._monotonic()
        for name in self._results():
            refused = self._refused.get(name)
            if name not in self._sent and (refused is None or now - refused[1] > REFUSED_AGAIN_S):
                yield name

    def _results(self) -> list[str]:
        return sorted(str(path.relative_to(self._out)) for path in self._out.glob("E*/[0-9]*.dcm"))

    def _send(self, names: list[str]) -> str:
        """Offer some results in one association; why that must wait, or ""."""
        kinds = {name: kind for name in names if (kind := _kind(self._out / name)) is not None}
        if not kinds:
            return ""
        entity = node.entity(self._own_title)
        for sop_class, syntax in sorted(set(kinds.values())):
            entity.add_requested_context(sop_class, syntax)
        association = entity.associate(self._host, self._port, ae_title=self._title)
        if not association.is_established:
            return "rejects the box" if association.is_rejected else "does not answer"
        try:
            accepted = {(context.abstract_syntax, context.transfer_syntax[0]) for context in association.accepted_contexts}
            for name, kind in kinds.items():
                if kind not in accepted:
                    self._refuse(name, f"{UID(kind[0]).name} in {UID(kind[1]).name}")
                    continue
                away = self._store(association, name)
                if away:
                    return away
        finally:
            if association.is_established:
                association.release()
        return ""

    def _store(self, association: Any, name: str) -> str:
        try:
            status = association.send_c_store(self._out / name).get("Status")
        except FileNotFoundError:  # somebody took the result away meanwhile
            return ""
        except (RuntimeError, ValueError, AttributeError):  # pynetdicom's words for an association that ended, and a file it cannot read
            status = None
        if status is None:
            return "broke off"
        if status in BUSY:
            return f"has no room (status {status:04X})"
        if status == 0 or status in WARNINGS:
            self._note(name)
        else:
            self._refuse(name, f"status {status:04X}")
        return ""

    def _note(self, name: str) -> None:
        self._sent.add(name)
        self._refused.pop(name, None)
        with self._ledger.open("a") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())

    def _refuse(self, name: str, why: str) -> None:
        if name not in self._refused:
            log.warning("the DICOM node does not take a result: %s", why)
        self._refused[name] = (why, self._monotonic())

    def tell(self) -> None:
        there = self._results()
        refused = Counter(self._refused[name][0] for name in there if name in self._refused)
        waiting = sum(name not in self._sent and name not in self._refused for name in there)
        report = Report(self._away, len(self._sent), waiting, dict(refused))
        files.write_whole(self._report, json.dumps(asdict(report)).encode(), 0o644)


def _kind(path: Path) -> tuple[str, str] | None:
    """SOP class and transfer syntax of a result; None when it is gone."""
    try:
        meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
    except FileNotFoundError:
        return None
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
