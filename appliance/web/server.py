"""The page's server: waitress behind its front, on a port or on the socket systemd hands over, with TLS where there is a certificate."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import waitress

from appliance.web.access import Throttle
from appliance.web.front import HEAD_BYTES, MOST, Front
from appliance.web.page import create_app

FIRST_HANDED_OVER = 3
"""The descriptor of the first socket systemd hands over (sd_listen_fds(3))."""


@dataclass(frozen=True)
class Serving:
    """Where and for whom. port : 0 takes a free one; names : further ones the box may be called by; pin : empty for none

    tls : what tls_context makes, None for plain HTTP
    fault : what is wrong with the configuration; then the page says that, and nothing else
    """

    host: str
    port: int
    names: tuple[str, ...] = ()
    pin: str = ""
    tls: ssl.SSLContext | None = None
    fault: str = ""


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Certificate and key are PEM files; no key when the certificate's file holds it. Raises OSError, ssl.SSLError among them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key or None)
    return context


def serve(snapshot_path: Path, serving: Serving, ready: Callable[[int], None] | None = None) -> None:
    """Serve the page until SIGTERM or SIGINT; `ready` is told the port. Main thread only. Raises OSError."""
    with ExitStack() as undo:
        listener = undo.enter_context(_listener(serving))
        port = listener.getsockname()[1]
        inner = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="anonbox-page-"))) / "socket"
        front = Front(listener, inner, serving.tls)
        whole_requests = undo.enter_context(_unix_listener(inner))
        threading.Thread(target=front.run, daemon=True, name="front").start()
        with suppress(OSError):  # a sandbox may forbid it, and then limits the page itself
            os.nice(19)  # the pictures go first
        server = waitress.create_server(
            Throttle(create_app(snapshot_path, [serving.host, *serving.names], serving.pin, serving.fault)),
            sockets=[whole_requests],
            ident=None,
            threads=2,
            connection_limit=MOST + 8,
            channel_timeout=30,
            max_request_header_size=2 * HEAD_BYTES,
            trusted_proxy="*",  # nobody but the front reaches the socket
            trusted_proxy_headers={"x-forwarded-for"},
            clear_untrusted_proxy_headers=True,
        )
        # waitress ends its loop on SystemExit, answers what is in hand, and returns from run()
        signal.signal(signal.SIGTERM, _leave)
        if ready:
            ready(port)
        server.run()
        server.close()


def _listener(serving: Serving) -> socket.socket:
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and int(os.environ.get("LISTEN_FDS", "0")) >= 1:
        return socket.socket(fileno=FIRST_HANDED_OVER)
    family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
    return socket.create_server((serving.host, serving.port), family=family, dualstack_ipv6=serving.host == "::")


def _unix_listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(MOST)
    return listener


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
