"""Who a DICOM file is from here on: its number, and the secret that turns its UIDs into new ones.

A secret is one examination's and is forgotten with it: when no file of the examination has asked for so long as starts a new one. With
dicom.uids = "box" there is one secret, which stays.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

from appliance.config import Config
from appliance.daemon.journal import Number
from appliance.system import files
from appliance.types import Header

LENGTH = 32


class Headers:
    """Asked by every lane's thread."""

    def __init__(self, folder: Path, config: Config, box_secret: bytes) -> None:
        """folder : holds the secrets, one file an examination"""
        self._folder, self._idle_s = folder, config.intake.examination_idle_s
        self._box = hmac.new(box_secret, b"dicom uids", hashlib.sha256).digest() if config.dicom.uids == "box" else None
        self._lock = threading.Lock()

    def of(self, number: Number) -> Header:
        """Raises OSError when the disk fails."""
        return Header(number.folder, number.name, self._box or self._secret(number.folder))

    def _secret(self, examination: str) -> bytes:
        path = self._folder / examination
        with self._lock:
            files.make_folder(self._folder, 0o700)
            self._forget(time.time() - self._idle_s)
            with suppress(FileNotFoundError):
                secret = path.read_bytes()
                if len(secret) == LENGTH:
                    os.utime(path)
                    return secret
            secret = secrets.token_bytes(LENGTH)
            files.write_whole(path, secret)
            return secret

    def _forget(self, before: float) -> None:
        """before : Unix seconds"""
        for path in self._folder.iterdir():
            if path.stat().st_mtime < before:
                path.unlink()
