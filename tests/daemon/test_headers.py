"""The secrets that make new UIDs: one an examination, forgotten with it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from appliance.config import Config, Dicom
from appliance.daemon.headers import Headers
from appliance.daemon.journal import Number

FIRST, SECOND, OTHER = (Number.parse(name) for name in ("E000001-0001", "E000001-0002", "E000002-0001"))


def test_an_examination_has_one_secret_and_it_outlives_a_restart(tmp_path: Path) -> None:
    headers = Headers(tmp_path / "uids", Config(), b"k" * 32)
    first = headers.of(FIRST)
    assert (first.number, first.index) == ("E000001", "0001")
    assert first.secret == headers.of(SECOND).secret == Headers(tmp_path / "uids", Config(), b"k" * 32).of(FIRST).secret
    assert first.secret != headers.of(OTHER).secret
    assert first.secret.hex() not in repr(first)


def test_a_secret_is_forgotten_with_its_examination(tmp_path: Path) -> None:
    headers = Headers(tmp_path / "uids", Config(), b"k" * 32)
    before = headers.of(FIRST).secret
    os.utime(tmp_path / "uids" / "E000001", (0, 0))
    headers.of(OTHER)
    assert not (tmp_path / "uids" / "E000001").exists()
    assert headers.of(FIRST).secret != before


def test_a_box_may_keep_one_secret(tmp_path: Path) -> None:
    config = replace(Config(), dicom=Dicom(uids="box"))
    headers = Headers(tmp_path / "uids", config, b"k" * 32)
    assert headers.of(FIRST).secret == headers.of(OTHER).secret and not (tmp_path / "uids").exists()
