"""The receiver: C-ECHO and C-STORE into the drop folder. Success is answered when file and folder are on disk, because the sender may
then delete its own."""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import logging
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from socketserver import BaseServer
from typing import Any

from pydicom import dcmread
from pynetdicom import evt
from pynetdicom.transport import ThreadedAssociationServer

from appliance.config import Config, listed
from appliance.dicomnet import node
from appliance.system import files

log = logging.getLogger("anonbox.dicom")

STORED, NO_SPACE, TOO_LARGE, FAILED = 0x0000, 0xA700, 0xA900, 0xC001
"""Statuses of C-STORE (PS3.4 B.2.3)."""
FOLDER, RECEIVING = "dicom", ".receiving"
"""In the drop folder; a hidden name, which the daemon leaves alone."""
FOLDER_MODE, FILE_MODE = 0o2770, 0o660
"""The daemon, of the folder's group, takes the files away."""
TRIES = 3
"""The daemon may remove an empty folder just before a file comes into it."""


class Receiver:
    """Listens until `close`.

    port : the one it listens on, where the configuration lets the system choose
    """

    def __init__(self, config: Config) -> None:
        dicom = config.dicom
        node.set_up()
        self._folder = config.folders.inbox / FOLDER
        self._most_bytes, self._least_free = config.limits.file_mib * 2**20, config.intake.min_free_mib * 2**20
        node.GuardedSocket.room = staticmethod(lambda: self._free() >= self._least_free // 2)
        node.GuardedSocket.most_bytes = 2 * self._most_bytes  # between one and two limits it is answered that the object is too large
        self._receiving = self._folder / RECEIVING
        self._prepare()
        self._lock, self._last_ns = threading.Lock(), 0
        entity = node.entity(dicom.ae_title)
        entity.require_called_aet, entity.require_calling_aet = True, listed(dicom.callers)
        node.take_pictures(entity)
        networks = [ipaddress.ip_network(address) for address in listed(dicom.addresses)]
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_CONN_CLOSE, self._closed)]
        self._server = entity.make_server((dicom.host, dicom.port), evt_handlers=handlers, server_class=_listening_to(networks))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="dicom", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        tempfile.tempdir = None
        node.GuardedSocket.most_bytes, node.GuardedSocket.room = 0, staticmethod(lambda: True)

    def _prepare(self) -> None:
        """The folders, without what a crash left half received: nothing of that was acknowledged."""
        files.make_folder(self._folder, FOLDER_MODE)
        shutil.rmtree(self._receiving, ignore_errors=True)
        files.make_folder(self._receiving, FOLDER_MODE)
        tempfile.tempdir = str(self._receiving)  # where pynetdicom writes what it receives

    def _store(self, event: Any) -> int:
        """One object, which lies whole in `receiving`; pynetdicom removes what is left of it there afterwards."""
        try:
            size = os.fstat(event.request._dataset_file.fileno()).st_size
            if size > self._most_bytes:
                return TOO_LARGE
            if self._free() < self._least_free:
                log.warning("a DICOM object was not taken: less than intake.min_free_mib of free space")
                return NO_SPACE
            os.fchmod(event.request._dataset_file.fileno(), FILE_MODE)
            os.fsync(event.request._dataset_file.fileno())
            self._publish(event.dataset_path, _study(event.dataset_path))
        except OSError as error:
            log.warning("a DICOM object was not stored: %s", errno.errorcode.get(error.errno or 0, "failed"))
            return NO_SPACE if error.errno in (errno.ENOSPC, errno.EDQUOT) else FAILED
        return STORED

    def _free(self) -> int:
        return shutil.disk_usage(self._folder).free

    def _publish(self, received: Path, study: str) -> None:
        folder = self._folder / study
        for left in reversed(range(TRIES)):
            try:
                files.make_folder(folder, FOLDER_MODE)
                received.rename(folder / f"{self._next_ns():020d}.dcm")
                files.fsync_folder(folder)
                return
            except FileNotFoundError:
                if not left:
                    raise

    def _next_ns(self) -> int:
        """A name of its own for each file, in the order of their coming; a UID of the sender's is never a name."""
        with self._lock:
            self._last_ns = max(time.time_ns(), self._last_ns + 1)
            return self._last_ns

    def _closed(self, event: Any) -> None:
        """What came of an object whose connection broke off is of no use."""
        message = event.assoc.dimse.message
        half = getattr(message, "_data_set_file", None)
        if half is not None:
            with suppress(OSError):
                half.close()
                Path(half.name).unlink()


def _study(path: Path) -> str:
    """A folder's name for all objects of one study, which become one examination: a hash, so that no identifier stands in a path."""
    try:
        uid = str(dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"]).get("StudyInstanceUID") or "")
    except Exception:  # noqa: BLE001  # a broken object is the redactor's to judge; here it gets a folder of its own
        uid = ""
    return hashlib.sha256((uid or str(time.time_ns())).encode()).hexdigest()[:16]


def _listening_to(networks: list[Any]) -> type[ThreadedAssociationServer]:
    class Server(ThreadedAssociationServer):
        def shutdown(self) -> None:
            BaseServer.shutdown(self)  # pynetdicom's own looks for it among those that it started itself
            self.server_close()

        def verify_request(self, request: Any, client_address: Any) -> bool:
            address = ipaddress.ip_address(str(client_address[0]).partition("%")[0])
            known = any(address in network for network in networks)
            if not known:
                log.warning("a connection from an address that is not in dicom.addresses was closed")
            return known

    return Server
