"""What the page makes of a snapshot: one headline, texts in two languages, drawings, metrics, licences."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxes import every_headline, snapshot

from appliance.daemon import state
from appliance.daemon.sinks import share
from appliance.daemon.sources import names, tree
from appliance.daemon.sources import share as source
from appliance.status.snapshot import Hour, Share, Stick
from appliance.system import clock
from appliance.web import charts, licences, metrics, texts, views
from appliance.web.access import ASKS_A_SECOND, BURST, MOST_ADDRESSES, TRIES, WITHIN_S, Pin, Throttle
from appliance.web.texts import Words

ROOT = Path(views.__file__).parents[1]
EN, DE = Words("en"), Words("de")


@pytest.mark.parametrize("headline", every_headline())
def test_the_headline_is_the_daemons_own_state(headline: str) -> None:
    for sticks in ((), (Stick(1, "pulled too early", 1, 2),), (Stick(1, "safe to remove"), Stick(2, "working", 1, 2))):
        assert views.glance(snapshot(headline, sticks=sticks, shares=(Share("in", "away"),)), EN).headline == headline


def test_a_stick_in_work_is_named_with_its_numbers() -> None:
    sticks = (Stick(1, "safe to remove"), Stick(2, "working", 3, 9), Stick(3, "working", 0, 5))
    assert views.glance(snapshot("Working", detail="", sticks=sticks), EN).detail.text == "Stick 2: 3 of 9. Do not pull it."
    assert views.glance(snapshot("Waiting for space", detail="Full.", sticks=sticks), EN).detail.text == "Full."


def asked_for() -> Iterator[str]:
    """Every text that a template or a module of the page asks for by name."""
    for path in (ROOT / "web" / "templates").glob("*.html"):
        for text in re.findall(r"""\bt\((?:"([^"]*)"|'([^']*)')""", path.read_text("utf-8")):
            yield text[0] or text[1]
    for name in ("web/views.py", "web/texts.py", "system/health.py"):
        for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("t", "self") and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value
    yield from (*views.MEANING, *views.MEANING.values(), *views.STICK.values(), *views.SHARE.values(), *views.CLOCK.values())
    yield from (text for pair in (*views.ADVICE.values(), views.UNKNOWN_REFUSAL) for text in pair)
    yield from ("Done before: {count}.", "Unreadable: {count}. The stick may be worn.", *names.KINDS)


def test_the_table_has_what_is_asked_for_and_nothing_else() -> None:
    assert set(asked_for()) == set(texts.GERMAN)


def test_german_keeps_every_value() -> None:
    for english, german in {**texts.GERMAN, **texts.DAEMON, **texts.REASONS}.items():
        assert set(re.findall(r"\{(\w+)\}", english)) == set(re.findall(r"\{(\w+)\}", german)), english


def sentences(path: Path, functions: set[str]) -> Iterator[str]:
    """The sentences for people that these functions make, with 7 for every value."""
    for function in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(function, ast.FunctionDef) and function.name in functions:
            for node in ast.walk(function):
                text = node.value if isinstance(node, ast.Constant) else ""
                if isinstance(node, ast.JoinedStr):
                    text = "".join(part.value if isinstance(part, ast.Constant) else "7" for part in node.values)
                if isinstance(text, str) and re.fullmatch(r"[A-Z].* .*[.]", text) and not text.startswith("Say "):
                    yield text


def test_the_daemons_sentences_are_known_in_german() -> None:
    said = {
        *sentences(ROOT / "daemon" / "state.py", {"decide", "call_for_help"}),
        *state.LOSSES.values(),
        *sentences(ROOT / "daemon" / "sources" / "drop_folder.py", {"look"}),
        *sentences(ROOT / "errors.py", {"why_not"}),
        *sentences(ROOT / "daemon" / "state.py", {"as_state"}),
        *sentences(ROOT / "status" / "snapshot.py", {"look"}),
        *sentences(ROOT / "status" / "snapshot.py", {"read"}),
        *(getattr(tree, name) for name in ("LINK", "SPECIAL", "HARD_LINK", "MOUNTED", "TOO_DEEP")),
        *(text.format(user="anonbox") for text in (tree.UNREADABLE, tree.UNREADABLE_FOLDER, tree.UNTAKEABLE)),
        tree.UNFILLED,
        tree.TOO_LARGE,
        *names.KINDS,
        source.ALREADY_DONE,
        source.BIN_ON,
        share.CLASH,
    }
    parts = {text for text in said if not text.endswith((": 7.", ": 7"))} - {"Read the snapshot; one that grew stale comes back as"}
    assert len(parts) >= 18
    unknown = {text for text in parts if DE.said(text).language == "en" and not text.startswith(("Read the", "The snapshot at"))}
    assert not unknown
    assert DE("Less than 512 MiB free; make room, it goes on by itself.").startswith("Weniger als 512 MiB frei")


def refusals() -> Iterator[str]:
    """Every reason that a file can be refused for, with 7 for every value."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if path.name != "batch.py" and isinstance(node, ast.Call) and ast.unparse(node.func) == "BadFile" and len(node.args) == 2:
                reason = node.args[1]
                if isinstance(reason, ast.Constant):
                    yield str(reason.value)
                elif isinstance(reason, ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in reason.values)


def test_every_reason_of_a_refusal_is_known_in_german() -> None:
    reasons = set(refusals())
    assert len(reasons) > 80
    assert {reason for reason in reasons if DE.said(reason).language == "en"} == set()
    assert DE("the JPEG is cut off: its end marker is missing") == "das JPEG ist abgeschnitten: Die Endmarke fehlt"
    known = {text: texts.pattern(text) for text in texts.REASONS}
    unused = {text for text, pattern in known.items() if not any(map(pattern.fullmatch, reasons))}
    assert unused == set(), "a reason that nothing gives any more"


def test_numbers_as_people_write_them() -> None:
    plain = [
        text.replace("\u00a0", " ").replace("\u202f", " ") for text in (EN.share(0.0123), DE.share(0.0123), DE.share(0.0001), EN.share(0))
    ]
    assert plain == ["1.2 %", "1,2 %", "< 0,1 %", "0.0 %"]
    assert [EN.took(999).replace("\u00a0", " "), DE.took(1234).replace("\u00a0", " ")] == ["999 ms", "1,2 s"]
    assert [EN.left(seconds).replace("\u00a0", " ") for seconds in (None, 59, 60, 61, 7140, 7201)] == [
        "",
        "less than a minute left",
        "about 1 min left",
        "about 2 min left",
        "about 119 min left",
        "about 3 h left",
    ]


def test_bars_are_as_high_as_their_values() -> None:
    chart = charts.throughput(Hour(5, (2, 0, 1), (0, 0, 3), (100, None, 50), (100, None, 80)))
    assert (chart.top, chart.width) == (4, 30)
    assert chart.front == "M1 100v-50.0h8v50.0zM21 100v-25.0h8v25.0z"
    assert chart.back == "M1 100v-50.0h8v50.0zM21 100v-100.0h8v100.0z"
    nothing = charts.latency(Hour(5, (0,), (0,), (None,), (None,)))
    assert (nothing.front, nothing.back, nothing.top) == ("", "", 0)


@pytest.mark.parametrize("headline", every_headline())
def test_metrics_are_what_prometheus_reads(headline: str) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = metrics.expose(every_headline()[headline], headline, now=2e9).decode()
    samples = {
        (sample.name, *sample.labels.values()): sample.value for family in text_string_to_metric_families(text) for sample in family.samples
    }
    assert samples["anonbox_state", headline] == 1
    assert sum(value for key, value in samples.items() if key[0] == "anonbox_state") == 1
    assert samples[("anonbox_pictures_published_total",)] == 123456
    assert samples["anonbox_temperature_celsius", "tj"] == 51.5
    assert "E000123" not in text


def test_licences_name_every_package_the_box_needs() -> None:
    needed = re.findall(r"^([\w-]+)>=", (ROOT.parent / "requirements" / "box.in").read_text(), re.MULTILINE)
    parts = {part.name: part for part in licences.software()}
    assert set(needed) - {"tomli"} <= set(parts)
    assert all(part.licence != "not stated" for part in parts.values())
    assert all(parts[name].texts for name in ("anonbox", "flask", "numpy", "waitress"))
    assert {"Kvasir-SEG / HyperKvasir"} <= {part.name for part in licences.data()}


def test_a_pin_cannot_be_guessed_fast() -> None:
    pin = Pin("271828")
    assert pin.check(None, "a", 0.0) == "ask"
    assert [pin.check("1", "a", 1.0 + i) for i in range(TRIES + 1)] == ["ask"] * TRIES + ["wait"]
    assert pin.check("271828", "a", 10.0) == "wait", "or guessing on would pay"
    assert pin.check("271828", "b", 10.0) == "in", "others are not shut out"
    assert pin.check("271828", "a", 10.0 + TRIES + WITHIN_S) == "in"
    for address in range(2 * MOST_ADDRESSES):
        pin.check("1", str(address), 0.0)
    assert len(pin._wrong) <= MOST_ADDRESSES
    assert Pin("").check(None, "a", 0.0) == "in"


def test_the_clock_is_trusted_when_the_kernel_or_timesyncd_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(clock.is_trusted(), bool)
    monkeypatch.setattr(clock, "SYNCHRONISED", tmp_path)
    assert clock.is_trusted() is True


def test_who_asks_too_often_is_turned_away_and_nobody_else() -> None:
    now = 0.0
    said: list[str] = []
    throttle = Throttle(lambda environ, start: [b"page"], clock=lambda: now)

    def ask(address: str) -> bytes:
        return b"".join(throttle({"REMOTE_ADDR": address}, lambda status, headers: said.append(status)))  # type: ignore[arg-type,func-returns-value]

    assert [ask("a") for _ in range(int(BURST))] == [b"page"] * int(BURST)
    assert ask("a") == b"Too many requests. Wait a second.\n" and said == ["429 Too Many Requests"]
    assert ask("b") == b"page"
    now = 1.0
    assert [ask("a") for _ in range(int(ASKS_A_SECOND) + 1)].count(b"page") == ASKS_A_SECOND
    for address in range(2 * MOST_ADDRESSES):
        ask(str(address))
    assert len(throttle._budgets) <= MOST_ADDRESSES
