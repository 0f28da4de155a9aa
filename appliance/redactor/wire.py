"""What goes over the line between daemon and redactor: JSON with its length in front, and file descriptors beside it."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from appliance.types import Header, Mode

HEADER = struct.Struct("=I")
WORD_EVERY_S = 0.25
"""Of progress, from the redactor: {"progress": [done, total]}, before the answer."""
MOST_BYTES = 64 * 2**20
MOST_DESCRIPTORS = 2


@dataclass(frozen=True)
class Settings:
    """What the redactor needs to know; JSON on its command line.

    parent : the daemon's process id; the redactor ends with it
    lanes : descriptors of one inherited socket a lane
    fallback : the engine that runs when that one cannot, "" = none
    precision : "auto", "int8" or "float"
    threads : CPU threads for the network, 0 = one a core
    cache : folder of compiled models
    mode : "mask" or "boxes"
    alone : it serves the files that run alone, one at a time and after all others: they are large, or suspects
    threshold : 1..255, or 0 for what the model's card recommends
    """

    parent: int
    lanes: tuple[int, ...]
    engine: str
    fallback: str
    precision: str
    threads: int
    cache: str
    mode: Mode
    threshold: int
    max_pixels: int
    max_bytes: int
    memory_mib: int
    alone: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def send(line: socket.socket, value: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message. Raises OSError when the other end is gone."""
    payload = json.dumps(value).encode()
    head = HEADER.pack(len(payload))
    if descriptors:
        socket.send_fds(line, [head], descriptors)
    else:
        line.sendall(head)
    line.sendall(payload)


def receive(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive one message and its descriptors, which are the caller's to close. Raises EOFError, OSError, ValueError."""
    head, descriptors, _, _ = socket.recv_fds(line, HEADER.size, MOST_DESCRIPTORS)
    if not head:
        raise EOFError("the line is closed")
    head += _exactly(line, HEADER.size - len(head))
    (length,) = HEADER.unpack(head)
    if length > MOST_BYTES:
        raise ValueError(f"message has {length} bytes, limit is {MOST_BYTES}")
    value = json.loads(_exactly(line, length))
    if not isinstance(value, dict):
        raise ValueError("message is not a JSON object")
    return value, descriptors


def progress(word: dict[str, Any]) -> tuple[int, int]:
    """(done, total) of a word of progress. Raises ValueError."""
    match word.get("progress"):
        case [int(done), int(total)]:
            return done, total
    raise ValueError("a word of progress does not hold two numbers")


def header(order: dict[str, Any]) -> Header | None:
    """Who a DICOM file is to be, if the order says so. Raises ValueError, TypeError."""
    return Header.from_json(order["header"]) if "header" in order else None


def _exactly(line: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = line.recv(min(count - len(parts), 2**20))
        if not part:
            raise EOFError("the line is closed")
        parts += part
    return bytes(parts)
