"""The README's pictures of the page, of made-up boxes, into deploy/docs/: `python tests/page/screenshots.py` after `make test-page`."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from boxes import every_headline
from test_in_a_browser import CHROMIUM, ROOT, serving

from appliance.status.snapshot import write

Shot = tuple[str, str, str, int, int]
"""Headline, language, light or dark, width and height of the window, px."""

PICTURES: dict[str, tuple[Shot, ...]] = {
    "page.png": (("Working", "en", "light", 1280, 900), ("Working", "de", "dark", 400, 900)),
    "page-states.png": (
        ("Ready", "en", "light", 400, 640),
        ("Safe to remove", "en", "light", 400, 640),
        ("Waiting for share", "de", "light", 400, 640),
        ("Needs attention", "en", "dark", 400, 640),
    ),
    "page-whole.png": (("Waiting for space", "en", "dark", 1280, 2000),),
}

GAP, COLOURS = 24, 64


def shoot(browser: Any, port: int, path: Path, shot: Shot) -> Image.Image:
    headline, language, scheme, width, height = shot
    write(path, every_headline()[headline])
    context = browser.new_context(viewport={"width": width, "height": height}, locale=language, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port}/")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    return picture


def beside(pictures: list[Image.Image]) -> Image.Image:
    """In a row, on white."""
    sheet = Image.new("RGB", (sum(p.width + GAP for p in pictures) - GAP, max(p.height for p in pictures)), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP
    return sheet


def main() -> None:
    path = Path(tempfile.mkdtemp(prefix="anonbox-page-")) / "status.json"
    with serving(path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, shots in PICTURES.items():
            sheet = beside([shoot(browser, port, path, shot) for shot in shots])
            target = ROOT / "deploy" / "docs" / name
            sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
            print(f"{target.relative_to(ROOT)}: {sheet.width} x {sheet.height} px, {target.stat().st_size // 1000} kB")
        browser.close()


if __name__ == "__main__":
    main()
