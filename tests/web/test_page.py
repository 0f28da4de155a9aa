"""The status page: what it says in each state, and what it refuses."""

from __future__ import annotations

import re
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
from boxes import every_headline, snapshot
from flask.testing import FlaskClient

from appliance.errors import BAD_FILE_CODES, BadConfig, why_not
from appliance.status.silhouette import Silhouette
from appliance.status.snapshot import STATES, Done, Refused, Share, Snapshot, Stick, look, write
from appliance.types import EngineInfo
from appliance.web import page, views
from appliance.web.access import own_names
from appliance.web.texts import LANGUAGES, Language, Words

STATIC = Path(page.__file__).parent / "static"
TEMPLATES = Path(page.__file__).parent / "templates"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


@pytest.fixture
def client(path: Path) -> FlaskClient:
    return page.create_app(path, allowed_hosts=["Box.Hospital.Example"]).test_client()


def text(html: str) -> str:
    """What a person reads: the page without its tags, up to the footer."""
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("<main>")[2].partition("</main>")[0]).split())


@pytest.mark.parametrize("headline", every_headline())
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_headline_has_its_word_colour_shape_and_sentence(headline: str, language: Language, path: Path, client: FlaskClient) -> None:
    write(path, every_headline()[headline])
    html = client.get(f"/?lang={language}").text
    slug, word = headline.lower().replace(" ", "-"), Words(language)(headline)
    assert f'<html lang="{language}">' in html
    assert f"<title>{word} · AnonBox</title>" in html
    assert f"<h1>{word}</h1>" in html
    assert f'class="band {slug}" data-headline="{headline}"' in html
    assert (STATIC / "shapes" / f"{slug}.svg").read_text("utf-8") in html
    assert f".{slug} {{ --state: #" in (STATIC / "page.css").read_text("utf-8")
    assert client.get("/api/status").get_json()["headline"] == headline


def test_every_state_of_the_daemon_is_a_headline() -> None:
    assert set(STATES) <= set(every_headline()) == set(views.MEANING) - {"No connection"}


def test_shows_all_it_knows(path: Path, client: FlaskClient) -> None:
    write(path, snapshot(sticks=(Stick(1, "working", 12, 30, 4, 1, {"PDF": 2}),), shares=(Share("in", "connected"),)))
    shown = text(client.get("/").text)
    for part in (
        "Working Stick 1: 12 of 30. Do not pull it.",
        "12 of 45 pictures , about 3 min left",
        "Done before: 4.",
        "Unreadable: 1. The stick may be worn.",
        "Not released, and still on the stick: 2 × PDF.",
        "Drop folder on the network: connected.",
        "Waiting 31",
        "In work 2",
        "Done today 418",
        "Quarantined today 3",
        "Done ever 123 456",
        "Pictures a minute 96",
        "Quarantined ever 37",
        "4 × symbolic link: not followed",
        "TensorRT 10.3.0, INT8",
        "3fa94c0d12be",
        "Orin (sm_87)",
        "412.3 GB",
        "Trusted: a time server keeps it.",
        "AnonBox 1.2.3",
        "Last report",
        "E000123/0050",
        "1920 × 1080",
        "refused in the last hour",
        "Last minute with pictures: median",
    ):
        assert part in shown


def test_the_last_pictures_have_number_time_size_share_and_silhouette(path: Path, client: FlaskClient) -> None:
    at = time.time()
    done = Done("E000007/0003", at, 1234, 1080, 1920, 3, 0.0123, Silhouette(2, 4, "c1"))
    write(path, snapshot(newest=(done, replace(done, number="E000007/0002", removed=0.0))))
    html = client.get("/").text
    card = html[html.index("E000007/0003") : html.index("E000007/0002")]
    assert text(f"<main>{card}</main>").startswith(
        f"E000007/0003 {time.strftime('%H:%M:%S', time.localtime(at))} 1920 × 1080, 3 pages, 1.2 s"
    )
    assert "removed 1.2\u00a0%" in html and "removed 0.0\u00a0%" in html
    assert 'viewBox="0 0 4 2"' in html and 'd="M0 0h2v1h-2zM3 1h1v1h-1z"' in html
    assert html.count('class="silhouette"') == 2


def test_speaks_the_browsers_language_and_offers_the_other(path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    for header, language, other in (("de-AT,de;q=0.9", "de", "en"), ("fr,en;q=0.5", "en", "de"), ("fr", "en", "de"), ("", "en", "de")):
        html = client.get("/", headers={"Accept-Language": header}).text
        assert f'<html lang="{language}">' in html and f'href="?lang={other}"' in html
    html = client.get("/?lang=en", headers={"Accept-Language": "de"}).text
    assert '<html lang="en">' in html


def test_what_has_no_german_is_marked_as_english(path: Path, client: FlaskClient) -> None:
    write(path, snapshot("Needs attention", detail="Something new happened."))
    html = client.get("/?lang=de").text
    assert '<p lang="en">Something new happened.</p>' in html
    assert '<p class="reason" lang="en">the picture ends too early</p>' in html


def test_groups_the_quarantine_by_reason_and_says_what_to_do(path: Path, client: FlaskClient) -> None:
    write(path, snapshot())
    shown = text(client.get("/").text)
    damaged, unsupported = shown.index("Damaged file 2 files"), shown.index("Not a picture this box handles 1 file")
    assert damaged < shown.index("E000123/0003") < shown.index("E000123/0001") < unsupported < shown.index("E000123/0002")
    assert views.ADVICE["damaged"][1] in shown
    assert shown.count("the picture ends too early") == 1


def test_every_reason_of_refusal_has_its_advice() -> None:
    assert set(views.ADVICE) == set(BAD_FILE_CODES)
    assert views.grouped([Refused("E000001/0001", "new-code", "why", 0.0)])[0].title == "Refused"


def test_json_holds_the_whole_snapshot_and_its_age(path: Path, client: FlaskClient) -> None:
    write(path, snapshot(written_at=time.time() - 3))
    value = client.get("/api/status").get_json()
    assert value.keys() == {field.name for field in fields(Snapshot)} | {"age_s", "headline"}
    assert value["age_s"] == pytest.approx(3, abs=1.5)
    assert value["engine"]["device"] == "Orin (sm_87)"
    assert value["refused"][0]["number"] == "E000123/0003"
    assert value["left"] == {"symbolic link: not followed": 4}


def test_the_page_shows_how_the_machine_is(path: Path, client: FlaskClient) -> None:
    write(path, snapshot(engine=EngineInfo("openvino", "BF16", "3fa94c0d12be", "a chip", "in place of tensorrt: no GPU")))
    html = client.get("/").text
    shown = ("44 %, 918 of 1020 MHz", "tj 52 °C", "mode 25W, VDD_IN 9.1 W", "too hot (soc0)", "5120 of 7618 MiB", "in place of tensorrt")
    assert all(text in html for text in shown)
    write(path, snapshot(health=None))
    assert "Slowed down" not in client.get("/").text


@pytest.mark.parametrize("headline", every_headline())
def test_healthz(headline: str, path: Path, client: FlaskClient) -> None:
    write(path, every_headline()[headline])
    answer = client.get("/healthz")
    healthy = headline not in ("Starting", "Needs attention", "Stopped")
    assert (answer.status_code, answer.text) == ((200, "ok\n") if healthy else (503, f"{headline}\n"))


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
    assert look(path, first_report_due=100.0, now=99.0).state == "Starting"
    assert look(path, first_report_due=100.0, now=101.0).state == "Needs attention"


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


@pytest.mark.parametrize("host", [*OWN.split(), *own_names()])
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
    own = {"/static/page.css", "/static/page.js", "/static/shapes/working.svg", "?lang=de", "/licences?lang=en", "/api/status", "/metrics"}
    assert used == own
    assert all(client.get(url.replace("?lang=de", "/?lang=de"), buffered=True).status_code == 200 for url in used)
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
    states = dict(re.findall(r"^\.([a-z-]+) \{ --state: (#\w{6}); \}", css, re.MULTILINE))
    assert states.keys() == {shape.stem for shape in (STATIC / "shapes").glob("*.svg")}
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in states.values())
    light_and_dark = re.findall(r"--ground: .*?\}", css, re.DOTALL)
    assert len(light_and_dark) == 2
    for scheme in light_and_dark:
        colours = dict(re.findall(r"--(\w+): (#\w+);", scheme))
        texts = (("ink", "ground"), ("ink", "sheet"), ("ink", "line"), ("quiet", "ground"), ("quiet", "sheet"), ("link", "ground"))
        bars = (("front", "sheet"), ("back", "sheet"), ("front", "line"))
        assert all(contrast(colours[ink], colours[ground]) >= 4.5 for ink, ground in (*texts, ("link", "sheet")))
        assert all(contrast(colours[bar], colours[ground]) >= 3 for bar, ground in bars)


def test_with_a_wrong_configuration_it_says_so_and_nothing_else(path: Path) -> None:
    write(path, snapshot("Ready"))
    fault = why_not(BadConfig("page.hots", "is unknown, choose one of host, port"))
    client = page.create_app(path, fault=fault).test_client()
    assert client.get("/healthz").text == "Needs attention\n"
    shown = text(client.get("/").text)
    assert fault in shown and "E000123" not in shown and "Orin" not in shown
    german = text(client.get("/?lang=de").text)
    assert "Die Konfiguration ist nicht verwendbar: page.hots is unknown, choose one of host, port. Berichtigen Sie sie" in german
