"""The status page: what it says in each state, and what it refuses."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from appliance.errors import BAD_FILE_CODES
from appliance.status import page
from appliance.status.health import Health
from appliance.status.snapshot import STATES, Refused, Snapshot, State, write
from appliance.types import EngineInfo

STATIC = Path(page.__file__).parent / "static"
TEMPLATES = Path(page.__file__).parent / "templates"


def snapshot(state: State = "Working", **changes: Any) -> Snapshot:
    full = Snapshot(
        state=state,
        detail="Pictures come out.",
        waiting=31,
        working=2,
        done_today=418,
        done_ever=123456,
        refused_ever=37,
        refused=(
            Refused("E000123/0003", "damaged", "the picture ends too early", time.time()),
            Refused("E000123/0002", "unsupported", "a movie", time.time()),
            Refused("E000123/0001", "damaged", "the picture ends too early", time.time()),
        ),
        left={"a link, not a file": 4},
        images_per_minute=96,
        engine=EngineInfo("openvino", "INT8", "3fa94c0d12be", "a chip of 2026"),
        health=Health("Orin Nano", "L4T 36.4.3", 43.7, 918, 1020, {"tj": 51.5}, {"VDD_IN": 9.1}, "25W", "too hot (soc0)", 5120, 7618),
        free_bytes=412_300_000_000,
        version="1.2.3",
        started_at=time.time() - 60,
        written_at=time.time(),
    )
    return replace(full, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


@pytest.fixture
def client(path: Path) -> FlaskClient:
    return page.create_app(path, allowed_hosts=["Box.Hospital.Example"]).test_client()


def text(html: str) -> str:
    """What a person reads: the page without its tags, up to the footer."""
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("<main>")[2].partition("</main>")[0]).split())


@pytest.mark.parametrize("state", STATES)
def test_each_state_has_its_word_colour_shape_and_sentence(state: State, path: Path, client: FlaskClient) -> None:
    write(path, snapshot(state, detail=""))
    html = client.get("/").text
    slug = state.lower().replace(" ", "-")
    assert f"<title>{state} · AnonBox</title>" in html
    assert f"<h1>{state}</h1>" in html
    assert f'class="band {slug}"' in html
    assert (STATIC / "shapes" / f"{slug}.svg").read_text("utf-8") in html
    assert page.MEANING[state] in html


def test_shows_all_it_knows(path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    shown = text(client.get("/").text)
    for part in (
        "Pictures come out.",
        "Waiting 31",
        "In work 2",
        "Done today 418",
        "Done ever 123 456",
        "Pictures a minute 96",
        "Quarantined ever 37",
        "4 × a link, not a file",
        "openvino, INT8",
        "3fa94c0d12be",
        "a chip of 2026",
        "412.3 GB",
        "AnonBox 1.2.3",
        "Last report",
    ):
        assert part in shown


def test_groups_the_quarantine_by_reason_and_says_what_to_do(path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    shown = text(client.get("/").text)
    damaged, unsupported = shown.index("Damaged file 2 files"), shown.index("Not a picture this box handles 1 file")
    assert damaged < shown.index("E000123/0003") < shown.index("E000123/0001") < unsupported < shown.index("E000123/0002")
    assert page.ADVICE["damaged"][1] in shown
    assert shown.count("the picture ends too early") == 1


def test_every_reason_of_refusal_has_its_advice() -> None:
    assert set(page.ADVICE) == set(BAD_FILE_CODES)
    assert page.grouped([Refused("E000001/0001", "new-code", "why", 0.0)])[0].title == "Refused"


def test_json_holds_the_whole_snapshot_and_its_age(path: Path, client: FlaskClient) -> None:
    write(path, snapshot(written_at=time.time() - 3))
    value = client.get("/api/status").get_json()
    assert value.keys() == {field.name for field in fields(Snapshot)} | {"age_s"}
    assert value["age_s"] == pytest.approx(3, abs=1.5)
    assert value["engine"] == {"name": "openvino", "precision": "INT8", "model": "3fa94c0d12be", "device": "a chip of 2026", "note": ""}
    assert value["refused"][0]["number"] == "E000123/0003"
    assert value["left"] == {"a link, not a file": 4}


def test_the_page_shows_how_the_machine_is(path: Path, client: FlaskClient) -> None:
    write(path, snapshot(engine=EngineInfo("openvino", "BF16", "3fa94c0d12be", "a chip", "in place of tensorrt: no GPU")))
    html = client.get("/").text
    shown = ("44 %, 918 of 1020 MHz", "tj 52 °C", "mode 25W, VDD_IN 9.1 W", "too hot (soc0)", "5120 of 7618 MiB", "in place of tensorrt")
    assert all(text in html for text in shown)
    write(path, snapshot(health=None))
    assert "Slowed down" not in client.get("/").text


@pytest.mark.parametrize("state", STATES)
def test_healthz(state: State, path: Path, client: FlaskClient) -> None:
    write(path, snapshot(state))
    answer = client.get("/healthz")
    healthy = state in ("Ready", "Working", "Waiting for space")
    assert (answer.status_code, answer.text) == ((200, "ok\n") if healthy else (503, f"{state}\n"))


def assert_state(client: FlaskClient, state: str, detail: str) -> None:
    """The page, the JSON and the health check agree on a state in which nothing is released."""
    html = client.get("/")
    assert html.status_code == 200
    assert f"<h1>{state}</h1>" in html.text
    assert detail in text(html.text).replace("&#39;", "'")
    assert client.get("/api/status").get_json()["state"] == state
    health = client.get("/healthz")
    assert (health.status_code, health.text) == (503, f"{state}\n")


def test_a_box_that_stopped_reporting_needs_attention(path: Path, client: FlaskClient) -> None:
    write(path, snapshot(written_at=time.time() - 400))
    assert_state(client, "Needs attention", "has not reported for 400 s")


def test_before_the_first_report_the_box_is_starting(client: FlaskClient) -> None:
    assert_state(client, "Starting", "has not reported yet")
    assert client.get("/api/status").get_json()["age_s"] is None
    assert "Done today" not in client.get("/").text, "numbers nobody reported are not shown"


def test_a_box_that_never_reports_needs_attention(path: Path) -> None:
    assert page.look(path, first_report_due=100.0, now=99.0).state == "Starting"
    assert page.look(path, first_report_due=100.0, now=101.0).state == "Needs attention"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"state": "Ready"}'])
def test_a_damaged_report_needs_attention(content: bytes, path: Path, client: FlaskClient) -> None:
    path.write_bytes(content)
    assert_state(client, "Needs attention", "report is damaged")


def test_an_unreadable_report_needs_attention(path: Path, client: FlaskClient) -> None:
    path.mkdir()
    assert_state(client, "Needs attention", "report cannot be read: Is a directory")


def test_a_fault_of_the_page_shows_no_trace(path: Path, client: FlaskClient) -> None:
    write(path, snapshot(waiting="many"))
    answer = client.get("/")
    assert answer.status_code == 500
    assert answer.text.startswith("Internal Server Error.")
    assert "Traceback" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_everything_is_escaped(path: Path, client: FlaskClient) -> None:
    evil = '<script>"x"</script>'
    entry = Refused(evil, "damaged", evil, time.time())
    engine = EngineInfo(evil, evil, evil, evil)
    write(path, snapshot(detail=evil, refused=(entry,), left={evil: 1}, engine=engine, version=evil))
    html = client.get("/").text
    assert evil not in html
    assert html.count("&lt;script&gt;") == 9


@pytest.mark.parametrize("url", ["/", "/api/status", "/healthz", "/static/page.css", "/nothing"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_only_get_and_head(method: str, url: str, client: FlaskClient) -> None:
    answer = client.open(url, method=method)
    assert answer.status_code == 405
    assert {name.strip() for name in answer.headers["Allow"].split(",")} == {"GET", "HEAD"}


@pytest.mark.parametrize("url", ["/", "/api/status", "/static/page.css"])
def test_head_answers_without_a_body(url: str, path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    answer = client.head(url, buffered=True)
    assert (answer.status_code, answer.data) == (200, b"")


OWN = """localhost LOCALHOST:8080 127.0.0.1:8080 192.168.1.20 [::1]:8080 [fe80::1]
    anonbox.local AnonBox.local.:80 box.hospital.example box.hospital.example.:1"""


@pytest.mark.parametrize("host", [*OWN.split(), *page.own_names()])
def test_answers_under_its_own_names(host: str, path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


STRANGE = """evil.example 127.0.0.1.evil.example localhost.evil.example anonbox.local.evil.example hospital.example local .local
    127.0.0.1:80:80 [::1].evil.example [::1 a@127.0.0.1 [] . :80"""


@pytest.mark.parametrize("host", [*STRANGE.split(), " "])
@pytest.mark.parametrize("url", ["/", "/api/status", "/healthz", "/static/page.css", "/nothing"])
def test_refuses_a_strange_host(host: str, url: str, path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    answer = client.get(url, headers={"Host": host})
    assert answer.status_code == 400
    assert "1.2.3" not in answer.text


@pytest.mark.parametrize(
    ("url", "cache"),
    [
        ("/", "no-store"),
        ("/api/status", "no-store"),
        ("/healthz", "no-store"),
        ("/nothing", "no-store"),
        ("/static/nothing", "no-store"),
        ("/static/../page.py", "no-store"),
        ("/static/page.css", "public, max-age=60"),
    ],
)
def test_headers(url: str, cache: str, path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    headers = client.get(url, buffered=True).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy.pop("default-src") == policy.pop("frame-ancestors") == policy.pop("base-uri") == policy.pop("form-action") == "'none'"
    assert set(policy) == {"style-src", "script-src", "img-src", "connect-src"}
    assert set(policy.values()) == {"'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == cache
    assert not {"Server", "Set-Cookie", "Access-Control-Allow-Origin"} & set(headers.keys())


def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere(path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    html = client.get("/").text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script>|javascript:|<form|<img", html)
    used = set(re.findall(r'(?:href|src)="([^"]*)"', html))
    assert used == {"/static/page.css", "/static/page.js", "/static/shapes/working.svg"}
    assert all(client.get(url, buffered=True).status_code == 200 for url in used)
    assert '<noscript><meta http-equiv="refresh"' in html, "without JavaScript it renews itself all the same"


def test_the_script_knows_only_what_exists(client: FlaskClient) -> None:
    script = (STATIC / "page.js").read_text("utf-8")
    for url in re.findall(r'"(/[^"]*)"', script):
        assert client.get(url, buffered=True).status_code == 200
    html = client.get("/").text
    for name in re.findall(r'getElementById\("([^"]*)"\)', script):
        assert f'id="{name}"' in html


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb", as WCAG 2.2 defines it."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_text_stands_out_from_its_ground() -> None:
    css = (STATIC / "page.css").read_text("utf-8")
    states = dict(re.findall(r"\.([a-z-]+) \{ --state: (#\w{6}); \}", css))
    assert states.keys() == {shape.stem for shape in (STATIC / "shapes").glob("*.svg")}
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in states.values())
    light_and_dark = re.findall(r"--ground: .*?\}", css, re.DOTALL)
    assert len(light_and_dark) == 2
    for scheme in light_and_dark:
        colours = dict(re.findall(r"--(\w+): (#\w+);", scheme))
        for ink, ground in (("ink", "ground"), ("ink", "sheet"), ("ink", "line"), ("quiet", "ground"), ("quiet", "sheet")):
            assert contrast(colours[ink], colours[ground]) >= 4.5


SERVER = "import sys; from pathlib import Path; from appliance.status.page import serve; serve(Path(sys.argv[1]), '127.0.0.1', 0, print)"


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
