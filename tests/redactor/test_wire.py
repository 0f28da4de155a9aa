"""Messages and descriptors between daemon and redactor."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.redactor import wire

Line = tuple[socket.socket, socket.socket]


@pytest.fixture
def line() -> Iterator[Line]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_message_arrives_whole(line: Line) -> None:
    message = {"text": "ü" * 1000, "number": 7, "list": [1.5, None]}
    wire.send(line[0], message)
    assert wire.receive(line[1]) == (message, [])


def test_descriptors_travel_with_it(line: Line, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open(tmp_path / "file", "rb") as file:
        wire.send(line[0], {}, [file.fileno()])
    _, (descriptor,) = wire.receive(line[1])
    assert os.read(descriptor, 100) == b"content"
    os.close(descriptor)


def test_a_closed_line_is_said(line: Line) -> None:
    line[0].close()
    with pytest.raises(EOFError):
        wire.receive(line[1])


def test_a_message_cut_short_is_said(line: Line) -> None:
    line[0].sendall(wire.HEADER.pack(100) + b"{")
    line[0].close()
    with pytest.raises(EOFError):
        wire.receive(line[1])


def test_an_endless_message_is_refused(line: Line) -> None:
    line[0].sendall(wire.HEADER.pack(wire.MOST_BYTES + 1))
    with pytest.raises(ValueError, match="limit"):
        wire.receive(line[1])


def test_something_else_is_refused(line: Line) -> None:
    line[0].sendall(wire.HEADER.pack(2) + b"[]")
    with pytest.raises(ValueError, match="object"):
        wire.receive(line[1])
