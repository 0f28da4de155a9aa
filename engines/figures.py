"""The README's picture: drawn screens before and after the box. Nothing in it comes from a real examination.

    python -m engines.figures --out engines/before-after.jpg

Needs the box installed (make setup); the screens are drawn by engines.synth.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT, GAP = 720, 405, 6


def before_after(count: int, seed: int) -> Image.Image:
    """Draw `count` screens, redact them with the installed box, and lay them out: one row a screen, before and after."""
    with tempfile.TemporaryDirectory() as folder:
        drawn, redacted = Path(folder) / "drawn", Path(folder) / "redacted"
        _run("engines.synth", "sample", "--out", drawn, "--count", count, "--size", "1920x1080", "--seed", seed, "--jpeg")
        _run("appliance", "redact", *sorted(drawn.glob("*.jpg")), "--out", redacted)
        sheet = Image.new("RGB", (2 * WIDTH + GAP, count * (HEIGHT + GAP) - GAP), "white")
        for row, path in enumerate(sorted(drawn.glob("*.jpg"))):
            for column, side in enumerate((path, redacted / path.name)):
                picture = Image.open(side).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
                sheet.paste(picture, (column * (WIDTH + GAP), row * (HEIGHT + GAP)))
    return sheet


def _run(module: str, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the picture to write, .jpg or .png")
    parser.add_argument("--count", type=int, default=2, help="rows (default 2)")
    parser.add_argument("--seed", type=int, default=5, help="which screens (default 5)")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    before_after(args.count, args.seed).save(args.out, quality=88)


if __name__ == "__main__":
    main()
