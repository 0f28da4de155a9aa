"""Table E.1-1 of PS3.15: what the Basic Application Level Confidentiality Profile does with an attribute, and what its options do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

DATA = Path(__file__).parent / "data"
(TABLE,) = DATA.glob("ps315_*.json")
EDITION = TABLE.stem.removeprefix("ps315_")


@dataclass(frozen=True)
class Row:
    """name : the attribute's; basic : letters of E.1.1 ("X/Z/D": the first that leaves the IOD whole); options : option -> letter"""

    name: str
    basic: str
    options: dict[str, str]


@lru_cache(1)
def rows() -> dict[str, Row]:
    """ "GGGGEEEE" -> row; beside them "50xxxxxx", "60xx3000", "60xx4000" and "PRIVATE"."""
    return {tag: Row(*row) for tag, row in json.loads(TABLE.read_text("utf-8"))["rows"].items()}


def row_of(tag: int) -> Row | None:
    return rows().get(f"{tag:08X}")
