"""The two ends of a picture's way through the redactor: reading its descriptor and writing the result's."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.errors import BadFile
from appliance.redactor.process import deliver, read_whole
from appliance.types import Report

REPORT = Report("jpeg", (), looks=2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def with_descriptor(path: Path, flags: int, use: Callable[[int], object]) -> object:
    descriptor = os.open(path, flags)
    try:
        return use(descriptor)
    finally:
        os.close(descriptor)


def test_a_file_is_read_whole(file: Path) -> None:
    assert with_descriptor(file, os.O_RDONLY, lambda source: read_whole(source, 7)) == b"content"


def test_a_file_that_is_too_large_is_refused(file: Path) -> None:
    with pytest.raises(BadFile, match=r"limits\.file_mib") as caught:
        with_descriptor(file, os.O_RDONLY, lambda source: read_whole(source, 6))
    assert caught.value.code == "too-large"


def test_a_file_that_grows_while_it_is_read_may_be_incomplete(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pread

    def growing(descriptor: int, count: int, position: int) -> bytes:
        with open(file, "ab") as writer:
            writer.write(b"!!")
        return real(descriptor, count, position)[:7]

    def read(source: int) -> bytes:
        with monkeypatch.context() as patch:
            patch.setattr("appliance.redactor.process.os.pread", growing)
            return read_whole(source, 100)

    with pytest.raises(BadFile, match="changed") as caught:
        with_descriptor(file, os.O_RDONLY, read)
    assert caught.value.code == "incomplete"


def test_a_file_that_cannot_be_read_is_said(file: Path) -> None:
    with pytest.raises(BadFile) as caught:
        with_descriptor(file, os.O_WRONLY, lambda source: read_whole(source, 100))
    assert caught.value.code == "unreadable"


def test_a_result_is_delivered(file: Path) -> None:
    answer = with_descriptor(file, os.O_RDWR | os.O_TRUNC, lambda target: deliver(target, b"result", REPORT))
    assert answer == {"done": REPORT.to_json()} and file.read_bytes() == b"result"


def test_a_disk_that_fails_is_not_the_files_fault(file: Path) -> None:
    assert with_descriptor(file, os.O_RDONLY, lambda target: deliver(target, b"result", REPORT)) == {"os_error": errno.EBADF}
