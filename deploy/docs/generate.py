"""Writes what the documents take from the program: `python deploy/docs/generate.py [--check]` (`make docs`).

A part of a document between `<!-- generated: NAME -->` and `<!-- end -->` is made by PARTS[NAME] and by nobody else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from appliance import config
from appliance.web import licences

HERE = Path(__file__).parent
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def configuration() -> str:
    return f"```toml\n{config.document()}```\n"


def parts() -> str:
    rows = [f"| {part.name} | {part.licence} |" for part in licences.software() if part.name != licences.PROGRAM]
    return "\n".join(["| part | licence |", "|---|---|", *rows]) + "\n"


PARTS: dict[str, Callable[[], str]] = {"configuration": configuration, "licences": parts}


def filled(text: str) -> str:
    return PART.sub(lambda found: found[1] + PARTS[found[2]]() + found[3], text)


def main() -> int:
    stale = [path for path in sorted(HERE.glob("*.md")) if filled(path.read_text("utf-8")) != path.read_text("utf-8")]
    for path in stale:
        if "--check" not in sys.argv:
            path.write_text(filled(path.read_text("utf-8")), "utf-8")
        print(path.name)
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
