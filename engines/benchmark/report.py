"""Scores side by side, and the kinds on a sheet."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from PIL import Image

from engines.benchmark.scoring import labels_of

THUMB, COLUMNS = 240, 8  # px, and pictures a row of the sheet


def table(scores: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown, a row a kind: % of the pieces of text that survive (and of which a part does), or of the picture taken in vain."""
    kinds = list(dict.fromkeys(row["kind"] for rows in scores.values() for row in rows))
    by = {name: {row["kind"]: row for row in rows} for name, rows in scores.items()}
    lines = ["| kind | " + " | ".join(scores) + " |", "|---" * (len(scores) + 1) + "|"]
    lines += ["| " + " | ".join([kind, *(_cell(by[name].get(kind)) for name in scores)]) + " |" for kind in kinds]
    lines.append("| all text: survive (partly) % | " + " | ".join(_total(rows) for rows in scores.values()) + " |")
    lines.append("| in vain: mean, worst % | " + " | ".join(_vain(rows) for rows in scores.values()) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    if row["pieces"]:
        return f"{row['survive']:g} ({row['partly']:g})"
    return f"{row.get('false_percent_mean', 0):.3f}, {row.get('false_percent_worst', 0):.2f}"


def _total(rows: list[dict[str, Any]]) -> str:
    pieces = sum(row["pieces"] for row in rows) or 1
    survive, partly = (sum(row[key] * row["pieces"] for row in rows if row["pieces"]) / pieces for key in ("survive", "partly"))
    return f"{survive:.1f} ({partly:.1f})"


def _vain(rows: list[dict[str, Any]]) -> str:
    free = [row for row in rows if "false_percent_mean" in row]
    pictures = sum(row["pictures"] for row in free) or 1
    mean = sum(row["false_percent_mean"] * row["pictures"] for row in free) / pictures
    return f"{mean:.3f}, {max((row['false_percent_worst'] for row in free), default=0):.2f}"


def write(benchmark: Path) -> str:
    """report.md and kinds.jpg in the benchmark's folder; the table, as text."""
    labels = labels_of(benchmark)
    scores = {}
    for path in sorted((benchmark / "scores").glob("*.json")):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if (entry["version"], entry["seed"]) == (labels["version"], labels["seed"]):
            scores[path.stem] = entry["kinds"]
    found = table(scores)
    head = f"# Survival benchmark, version {labels['version']}, seed {labels['seed']}, {labels['count']} pictures a kind\n\n"
    (benchmark / "report.md").write_text(head + found + "\n", encoding="utf-8")
    _sheet(benchmark, labels["pictures"]).save(benchmark / "kinds.jpg", quality=85)
    return found


def _sheet(benchmark: Path, pictures: dict[str, Any]) -> Image.Image:
    """The first picture of every kind."""
    first: dict[str, str] = defaultdict(str)
    for entry in pictures.values():
        first[entry["kind"]] = first[entry["kind"]] or entry["file"]
    sheet = Image.new("RGB", (COLUMNS * THUMB, -(-len(first) // COLUMNS) * THUMB * 3 // 4))
    for index, file in enumerate(first.values()):
        with Image.open(benchmark / "images" / file) as image:
            small = image.convert("RGB")
        small.thumbnail((THUMB, THUMB * 3 // 4))
        sheet.paste(small, (index % COLUMNS * THUMB, index // COLUMNS * (THUMB * 3 // 4)))
    return sheet
