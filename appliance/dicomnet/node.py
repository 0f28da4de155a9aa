"""What both directions share of pynetdicom: its settings, its limits, and what the box takes and sends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from pynetdicom import AE, _config, ae, transport
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from appliance.deid.iods import sop_classes

MOST_AT_ONCE = 4
"""Associations."""
PDU_BYTES = 65536
"""The PDU length that the box asks others to keep to (PS3.8 D.1)."""
MOST_PDU_BYTES = 2**20
"""A longer PDU is not read: pynetdicom would take up to 4 GiB into memory at the peer's word."""
ACSE_S, DIMSE_S, NETWORK_S = 10.0, 30.0, 60.0
"""How long the other side may keep silent: while an association is made, within an operation, between two."""

STILL_SYNTAXES = tuple(
    f"1.2.840.10008.1.2{tail}"
    for tail in ("", ".1", ".1.99", ".2", ".5", *(f".4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)))
)
"""Uncompressed, deflated, run lengths, JPEG, JPEG-LS, JPEG 2000, HTJ2K."""
FILM_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (100, 101, 102, 103, 104, 105, 106, 107, 108))
"""MPEG-2, H.264, HEVC: pynetdicom offers none of them unless named."""
FILMS = tuple(f"1.2.840.10008.5.1.4.1.1.77.1.{tail}" for tail in ("1.1", "2.1", "4.1"))


class GuardedSocket(transport.AssociationSocket):
    """Reads no PDU that is longer than any the box has asked for, no more of one object than `most_bytes`, and nothing without `room`.

    most_bytes : of all PDUs from one answer of ours to the next; 0: without end
    room : whether there is space for what comes; pynetdicom's thread would die of a full disk, and the other side wait for it
    """

    most_bytes = 0
    room: Callable[[], bool] = staticmethod(lambda: True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read = 0
        self._lock = threading.Lock()

    def recv(self, nr_bytes: int) -> bytearray:
        """Raises OSError, on which pynetdicom closes the connection."""
        with self._lock:
            self._read += nr_bytes
            if nr_bytes > MOST_PDU_BYTES or 0 < self.most_bytes < self._read or (self.assoc.is_acceptor and not self.room()):
                raise OSError("a PDU or an object is too large, or the disk is full")
        return super().recv(nr_bytes)

    def _shutdown_socket(self) -> None:
        """pynetdicom leaves a socket open that never was connected."""
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()

    def send(self, bytestream: bytes) -> None:
        super().send(bytestream)
        with self._lock:
            self._read = 0


def set_up() -> None:
    """pynetdicom's settings are the process's."""
    transport.AssociationSocket = ae.AssociationSocket = GuardedSocket  # type: ignore[misc, attr-defined]
    _config.STORE_RECV_CHUNKED_DATASET = True  # straight into a file, not parsed
    _config.STORE_SEND_CHUNKED_DATASET = True
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    for name in ("pynetdicom", "pydicom"):  # what they log may name a patient
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def entity(title: str) -> AE:
    made = AE(title)
    made.maximum_associations = MOST_AT_ONCE
    made.maximum_pdu_size = PDU_BYTES
    made.acse_timeout, made.dimse_timeout, made.network_timeout = ACSE_S, DIMSE_S, NETWORK_S
    made.connection_timeout = ACSE_S
    return made


def take_pictures(made: AE) -> None:
    """Offer Verification and the storage of what the box handles; no presentation context for anything else."""
    made.add_supported_context(Verification)
    for uid in sop_classes():
        made.add_supported_context(uid, list(STILL_SYNTAXES + FILM_SYNTAXES if uid in FILMS else STILL_SYNTAXES))
