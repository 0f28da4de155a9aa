"""The page's front: takes connections, and TLS off them, and gives waitress only whole requests.

waitress knows neither TLS nor a limit for each address, and a request whose head never ends holds its connection for as long as a
byte comes now and then. Here one address has a few connections at a time, a head has seconds, and whoever is slow makes room for
whoever comes: so many connections of one client silence the page for nobody, not even for a monitor on the same machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HEAD_S = 10.0
"""So long the handshake and the head of a request may take together, seconds."""

ANSWER_S = 30.0
"""So long a client may take to read its answer."""

MOST_OF_ONE, MOST = 16, 256
"""Connections of one address, and of all."""

HEAD_BYTES, CHUNK = 16 * 1024, 64 * 1024

FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[^\r\n\0]*")
"""A header (RFC 9110, 5.1); what is no such line, folded ones too, makes the request a bad one."""

OURS = (b"connection", b"keep-alive", b"proxy-connection", b"x-forwarded-for", b"expect", b"upgrade", b"content-length")
"""Headers that are not passed on: one connection is one request, and who asks is known here."""


@dataclass
class _Caller:
    """One connection. is_slow : its request is not whole yet, or answered, so it may have to make room"""

    address: str
    task: asyncio.Task[None] = field(init=False)
    is_slow: bool = True


class Front:
    """Serves the listener until its loop ends. inner : waitress's Unix socket; context : None for plain HTTP"""

    def __init__(self, listener: socket.socket, inner: Path, context: ssl.SSLContext | None = None) -> None:
        self._listener, self._inner, self._context = listener, inner, context
        self._callers: list[_Caller] = []  # the oldest first

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        while True:
            try:
                connection, peer = await loop.sock_accept(self._listener)
            except OSError:  # too many files open, or gone before it was taken
                await asyncio.sleep(0.1)
                continue
            self._admit(connection, peer[0])

    def _admit(self, connection: socket.socket, peer: str) -> None:
        address = _normal(peer)
        theirs = [caller for caller in self._callers if caller.address == address]
        for full, among in ((len(theirs) >= MOST_OF_ONE, theirs), (len(self._callers) >= MOST, self._callers)):
            if not full:
                continue
            slow = next((caller for caller in among if caller.is_slow), None)
            if slow is None:
                connection.close()
                return
            slow.task.cancel()
            self._callers.remove(slow)
        caller = _Caller(address)
        self._callers.append(caller)
        caller.task = asyncio.get_running_loop().create_task(self._serve(connection, caller))
        caller.task.add_done_callback(lambda _: self._hang_up(connection, caller))  # a task that never began has no `finally`

    def _hang_up(self, connection: socket.socket, caller: _Caller) -> None:
        connection.close()
        if caller in self._callers:
            self._callers.remove(caller)

    async def _serve(self, connection: socket.socket, caller: _Caller) -> None:
        with suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.wait_for(self._open(connection), HEAD_S)
            try:
                await self._answer(reader, writer, caller)
            finally:
                caller.is_slow = True  # it has its answer, and may go at any time
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), ANSWER_S)

    async def _open(self, connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(HEAD_BYTES)
        transport, protocol = await loop.connect_accepted_socket(
            lambda: asyncio.StreamReaderProtocol(reader), connection, ssl=self._context
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caller: _Caller) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
            request = passed_on(head, caller.address)
        except asyncio.LimitOverrunError:
            request = Refusal(b"431 Request Header Fields Too Large")
        caller.is_slow = False
        await asyncio.wait_for(self._carry(request, writer), ANSWER_S)

    async def _carry(self, request: bytes | Refusal, writer: asyncio.StreamWriter) -> None:
        if isinstance(request, Refusal):
            body = request.status + b".\n"
            writer.write(b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n" % (request.status, len(body)))
            writer.write(b"Cache-Control: no-store\r\nConnection: close\r\n\r\n" + body)
            await writer.drain()
            return
        source, target = await asyncio.open_unix_connection(self._inner, limit=CHUNK)
        try:
            target.write(request)
            while data := await source.read(CHUNK):
                writer.write(data)
                await writer.drain()
        finally:
            target.close()


@dataclass(frozen=True)
class Refusal:
    """What is answered without asking waitress. status : "400 Bad Request" """

    status: bytes


def passed_on(head: bytes, address: str) -> bytes | Refusal:
    """The request as waitress gets it, of this address and with nothing behind its head.

    head : from the first line to the empty one
    """
    first, *lines = head[: -len(b"\r\n\r\n")].split(b"\r\n")
    fields = [FIELD.fullmatch(line) for line in lines]
    named = [(found[1].lower(), found[0]) for found in fields if found]
    if len(named) != len(lines) or len(first.split(b" ")) != 3:
        return Refusal(b"400 Bad Request")
    for name, line in named:
        if name == b"transfer-encoding" or (name == b"content-length" and line.partition(b":")[2].strip() != b"0"):
            return Refusal(b"413 Content Too Large")
    ours = [b"X-Forwarded-For: " + address.encode("ascii"), b"Connection: close"]
    return b"\r\n".join([first, *(line for name, line in named if name not in OURS), *ours]) + b"\r\n\r\n"


def _normal(peer: str) -> str:
    """One spelling for one client: IPv4 without the IPv6 around it; "unknown" for what is no address, as a Unix socket's peer."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return "unknown"
    return str(getattr(address, "ipv4_mapped", None) or address)
