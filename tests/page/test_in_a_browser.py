"""The page in a real Chromium: every headline on a phone, a desk and a wall; English, German; light, dark; with and without JavaScript."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from boxes import every_headline, snapshot

from appliance.status.snapshot import Snapshot, write
from appliance.web.texts import Language, Words

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "runs" / "page"
AXE = Path(sys.prefix) / "page" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which(os.environ.get("CHROMIUM", "chromium"))

SIZES = {360: 780, 1280: 900, 3840: 2160}
"""Width → height of the window, px: a phone, a desk, a wall."""

LOOKS: tuple[tuple[Language, str], ...] = (("en", "light"), ("de", "dark"))

SERVER = """
import sys
from pathlib import Path
from appliance.web.server import Serving, serve
serve(Path(sys.argv[1]), Serving('127.0.0.1', int(sys.argv[2])), print)
"""

Open = Callable[..., Any]


@contextmanager
def serving(path: Path, port: int = 0) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-u", "-c", SERVER, str(path), str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "status.json"


@pytest.fixture(scope="module")
def port(path: Path) -> Iterator[int]:
    with serving(path) as port:
        yield port


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "no chromium: make test-page installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, port: int) -> Iterator[Open]:
    """Opens the page in a window of its own; what the browser complains of, CSP among it, fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_(width: int = 1280, language: str = "en", scheme: str = "light", script: bool = True, url: str = "/", at: int = 0) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": SIZES[width]}, locale=language, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://127.0.0.1:{at or port}{url}")
        return page

    yield open_
    for context in contexts:
        context.close()
    # the one complaint that belongs to the test of a lost connection
    assert [text for text in complaints if "ERR_CONNECTION_REFUSED" not in text] == []


def serious(page: Any) -> list[str]:
    """What axe-core holds for serious or critical, WCAG 2.2 AA and its best practices."""
    page.evaluate(AXE.read_text("utf-8") + ";0")
    found = page.evaluate("async () => (await axe.run()).violations")
    nodes = [(rule["id"], rule["impact"], node["html"][:120]) for rule in found for node in rule["nodes"]]
    return [f"{name}: {html}" for name, impact, html in nodes if impact in ("serious", "critical")]


def fits(page: Any) -> bool:
    """Whether nothing has to be scrolled sideways, and the state is seen whole at first glance."""
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    band = page.locator(".band").bounding_box()
    return page.evaluate("document.documentElement.scrollWidth") <= width and band["y"] + band["height"] < height


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("headline", every_headline())
def test_every_headline_on_every_screen(headline: str, width: int, path: Path, open_page: Open) -> None:
    for language, scheme in LOOKS:
        write(path, every_headline()[headline])
        page = open_page(width, language, scheme)
        assert page.locator("h1").inner_text() == Words(language)(headline)
        assert page.locator(".band svg").is_visible()
        assert fits(page)
        assert serious(page) == []
        picture = PICTURES / f"{headline.lower().replace(' ', '-')}-{width}-{scheme}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture)


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("headline", every_headline())
def test_every_headline_without_javascript(headline: str, width: int, path: Path, open_page: Open) -> None:
    write(path, every_headline()[headline])
    page = open_page(width, "de", script=False)
    assert page.locator("h1").inner_text() == Words("de")(headline)
    assert page.locator(".band svg").is_visible()
    assert page.locator("#newest li").count() == 50
    assert fits(page)


def test_renews_itself_without_jumping(path: Path, open_page: Open) -> None:
    write(path, every_headline()["Working"])
    page = open_page(url="/?lang=de")
    page.evaluate("window.untouched = true")
    page.evaluate("scrollTo(0, 300)")
    write(path, every_headline()["Safe to remove"])
    page.wait_for_selector("[data-headline='Safe to remove']", timeout=15000)
    assert page.title() == "Abziehen erlaubt · AnonBox"
    assert page.evaluate("window.untouched") and page.evaluate("scrollY") == 300


def test_renews_itself_without_javascript(path: Path, open_page: Open) -> None:
    write(path, every_headline()["Working"])
    page = open_page(script=False)
    write(path, every_headline()["Safe to remove"])
    page.wait_for_selector("[data-headline='Safe to remove']", timeout=20000)


def test_says_when_the_box_is_gone_and_when_it_is_back(path: Path, open_page: Open) -> None:
    write(path, snapshot("Ready"))
    with serving(path) as port:
        page = open_page(at=port)
    page.wait_for_selector("[data-headline='No connection']", timeout=15000)
    assert not page.locator("#counts").is_visible(), "numbers of before are not shown as if they were of now"
    assert serious(page) == []
    write(path, snapshot("Ready"))
    with serving(path, port):
        page.wait_for_selector("[data-headline='Ready']", timeout=15000)
        assert page.locator("#counts").is_visible()


def test_speaks_the_other_language_when_asked(path: Path, open_page: Open) -> None:
    write(path, snapshot("Ready"))
    page = open_page()
    page.click("text=Deutsch")
    assert page.locator("h1").inner_text() == "Bereit"
    page.wait_for_timeout(2500)
    assert page.locator("h1").inner_text() == "Bereit"


def test_the_licences(path: Path, open_page: Open) -> None:
    write(path, snapshot("Ready"))
    for width in SIZES:
        page = open_page(width)
        page.click("text=Licences")
        assert "Apache-2.0" in page.locator("main").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious(page) == []


def test_a_box_that_is_new(path: Path, open_page: Open) -> None:
    """Nothing done, nothing refused, no report yet."""
    path.unlink(missing_ok=True)
    with serving(path) as new:  # one that has waited for two minutes would call for help
        page = open_page(360, at=new)
        assert page.locator("h1").inner_text() == "Starting"
        page.close()
    write(path, Snapshot("Ready", version="1.2.3", written_at=time.time()))
    page = open_page(360)
    assert page.locator("h1").inner_text() == "Ready" and fits(page) and serious(page) == []
