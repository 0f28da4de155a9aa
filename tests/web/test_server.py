"""The page's server: a real process, on a port, on a socket that is handed over, and behind TLS."""

from __future__ import annotations

import base64
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from boxes import snapshot

from appliance.status.snapshot import write
from appliance.web import front
from appliance.web.page import create_app

SERVER = """
import sys
from pathlib import Path
from appliance.web.server import Serving, serve
serve(Path(sys.argv[1]), Serving('127.0.0.1', 0), print)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


@pytest.fixture
def server(path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A served page in a process of its own, and its port."""
    with subprocess.Popen([sys.executable, "-u", "-W", "error", "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_a_real_server_answers_and_stops_when_told(path: Path, server: tuple[subprocess.Popen[str], int]) -> None:
    process, port = server
    write(path, snapshot())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"ok\n")
    assert answer.getheader("Server") is None
    assert answer.getheader("Via") is None

    connection.request("GET", "/", headers={"Host": "evil.example"})
    refused = connection.getresponse()
    assert (refused.status, b"1.2.3" in refused.read()) == (400, False)

    process.send_signal(signal.SIGTERM)  # while the connection is still open
    assert process.wait(10) == 0
    connection.close()


def test_the_real_server_takes_no_uploads(server: tuple[subprocess.Popen[str], int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server[1], timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]


@pytest.fixture
def secure(tmp_path: Path, path: Path) -> Iterator[int]:
    """A box's page as configured with certificate and PIN; its port."""
    for name in ("pin", "box.toml"):
        (tmp_path / name).touch()
    (tmp_path / "pin").write_text("271828\n")
    subprocess.run(
        [*CERTIFICATE, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    files = {"pin_file": "pin", "certificate": "cert.pem", "certificate_key": "key.pem"}
    config = "".join(f'{key} = "{tmp_path / name}"\n' for key, name in files.items())
    (tmp_path / "box.toml").write_text(f'[folders]\nstate = "{tmp_path}"\n[page]\nport = 0\n{config}')
    command = [sys.executable, "-u", "-W", "error", "-m", "appliance", "page", "--config", str(tmp_path / "box.toml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            said = process.stderr.readline()
            assert said.startswith("status page: https://127.0.0.1:")
            yield int(said.rsplit(":", 1)[1].strip("/\n"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def ask(port: int, context: ssl.SSLContext, pin: str | None = None, url: str = "/") -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
    sent = {"Authorization": "Basic " + base64.b64encode(f"nurse:{pin}".encode()).decode()} if pin else {}
    connection.request("GET", url, headers=sent)
    answer = connection.getresponse()
    status, body = answer.status, answer.read()
    connection.close()
    return status, body


def test_behind_tls_and_a_pin(tmp_path: Path, path: Path, secure: int) -> None:
    write(path, snapshot())
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with socket.create_connection(("127.0.0.1", secure)):  # says nothing: it must not hold up the others
        assert ask(secure, context)[0] == 401
        status, body = ask(secure, context, "271828")
        assert status == 200 and b"1.2.3" in body
        assert ask(secure, context, "271828", "/metrics")[0] == 200
        assert ask(secure, context, url="/healthz") == (200, b"ok\n")
        assert ask(secure, context, url="/api/status")[0] == 401
        assert [ask(secure, context, "314159")[0] for _ in range(6)] == [401] * 5 + [429]
        assert ask(secure, context, "271828")[0] == 429, "or guessing on would pay"
    plain = http.client.HTTPConnection("localhost", secure, timeout=10)
    with pytest.raises((OSError, http.client.HTTPException)):
        plain.request("GET", "/")
        plain.getresponse()
    plain.close()


def test_takes_the_socket_systemd_hands_over(path: Path) -> None:
    write(path, snapshot())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hand_over() -> None:
            os.dup2(listener.fileno(), 3)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
            os.execv(sys.executable, [sys.executable, "-u", "-W", "error", "-c", SERVER, str(path)])

        child = os.fork()
        if not child:
            hand_over()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()
        finally:
            os.kill(child, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def call(port: int, head: bytes, source: str = "127.0.0.1") -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0)) as line:
        line.sendall(head)
        answer = b""
        while data := line.recv(65536):
            answer += data
    return answer


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-a: ", HEALTH])
def test_many_connections_of_one_client_silence_nobody(path: Path, server: tuple[subprocess.Popen[str], int], head: bytes) -> None:
    """Silent, with a head that never ends, or idle after an answer; the monitor calls from the same address."""
    write(path, snapshot())
    lines = [socket.create_connection(("127.0.0.1", server[1]), 10) for _ in range(300)]
    for line in lines:
        with suppress(OSError):
            line.sendall(head)
    assert call(server[1], HEALTH).endswith(b"ok\n")
    assert call(server[1], HEALTH, "127.0.0.2").endswith(b"ok\n")
    for line in lines:
        line.close()


def test_a_head_has_its_time(server: tuple[subprocess.Popen[str], int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not keep a connection alive."""
    monkeypatch.setattr(front, "HEAD_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=front.Front(listener, Path("/nowhere")).run, daemon=True).start()
        with socket.create_connection(listener.getsockname(), 10) as line:
            line.sendall(b"GET / HTTP/1.1\r\n")
            assert line.recv(10) == b""


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n", 413),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + b"\xff" * 50 + b"\r\n\r\n", 200),
    ],
)
def test_an_odd_request_has_one_answer(path: Path, server: tuple[subprocess.Popen[str], int], head: bytes, status: int) -> None:
    write(path, snapshot())
    answer = call(server[1], head)
    assert answer.startswith(b"HTTP/1.1 %d " % status) and answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("given", [b"Basic " + b"\xff" * 50, b"Basic " + base64.b64encode(b"a:\xed\xb2\x80"), b"Basic =", b"Bearer x"])
def test_a_pin_that_is_no_text_is_wrong_and_nothing_else(path: Path, given: bytes) -> None:
    app = create_app(path, pin="271828")
    app.testing = True  # an exception is one here, not a 500
    status = app.test_client().get("/", headers={"Authorization": given.decode("latin-1")}).status_code
    assert status == 401


def test_behind_tls_everybody_has_an_address_of_their_own(tmp_path: Path, path: Path, secure: int) -> None:
    """Who guesses locks out nobody else, and a header does not make anybody somebody else."""
    write(path, snapshot())
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    for guess in range(7):
        wrong = base64.b64encode(b"nurse:%06d" % guess)
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.0.0.%d\r\nAuthorization: Basic %s\r\n\r\n" % (guess, wrong)
        bare = socket.create_connection(("127.0.0.1", secure), 10, source_address=("127.0.0.2", 0))
        with context.wrap_socket(bare, server_hostname="localhost") as line:
            line.sendall(head)
            status = int(line.recv(12).split()[1])
        assert status == (401 if guess < 5 else 429)
    assert ask(secure, context, "271828")[0] == 200
