"""What this program is made of, and under which licences: read from the installed packages themselves and the model's card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

PROGRAM = "anonbox"
CARD = Path(__file__).parents[2] / "engines" / "weights" / "card.json"

SYSTEM = (
    ("libjpeg-turbo", "IJG AND BSD-3-Clause AND Zlib"),
    ("SQLite", "public domain"),
)
"""Libraries of the operating system that the box works with and that no Python package tells of."""

LICENCE_FILE = re.compile(r"(^|/)(licen[cs]e|copying|notice)[^/]*$", re.IGNORECASE)


OPTIONAL = ("av",)
"""Packages of optional parts, told where they are installed: PyAV's wheel holds x264 and x265, which are under the GPL."""


@dataclass(frozen=True)
class Part:
    """One part of the program. licence : as its maker states it; texts : the full texts that came with it"""

    name: str
    version: str
    licence: str
    texts: tuple[str, ...] = ()


def software() -> list[Part]:
    """The program and every package it needs, by name, then the operating system's libraries."""
    found: dict[str, Distribution] = {}
    for name in (PROGRAM, *OPTIONAL):
        _gather(name, found)
    parts = [Part(name, package.version, _licence(package), tuple(_texts(package))) for name, package in sorted(found.items())]
    return parts + [Part(name, "", licence) for name, licence in SYSTEM]


def data() -> list[Part]:
    """What the model was trained on; empty when its card cannot be read."""
    try:
        sources = json.loads(CARD.read_text("utf-8"))["data"]
        return sorted({Part(str(source["name"]), "", str(source["licence"])) for source in sources}, key=lambda part: part.name.lower())
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _gather(name: str, found: dict[str, Distribution]) -> None:
    """Add a package and what it requires; requirements for other systems and Pythons, and extras, are not installed."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return
    try:
        found[key] = distribution(name)
    except PackageNotFoundError:
        return
    for requirement in found[key].requires or ():
        if "extra ==" not in requirement:
            _gather(re.split(r"[^\w.-]", requirement, maxsplit=1)[0], found)


def _licence(package: Distribution) -> str:
    """The SPDX expression; in older packages the short field, or the classifiers."""
    about = package.metadata
    classes = [value.rsplit(" :: ", 1)[-1] for value in about.get_all("Classifier", []) if value.startswith("License :: ")]
    expressions = [*about.get_all("License-Expression", []), *about.get_all("License", [])]
    short = [text for text in expressions if text and "\n" not in text]
    return short[0] if short else ", ".join(classes) or "not stated"


def _texts(package: Distribution) -> Iterator[str]:
    for path in package.files or ():
        if ".dist-info/" in str(path) and LICENCE_FILE.search(str(path)):
            yield Path(str(package.locate_file(path))).read_text("utf-8", "replace")
