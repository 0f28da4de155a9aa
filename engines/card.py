"""card.json: what the weights are, how they were made, from what, under which terms, and how good they are.

Keys: name, created, files {name: sha256, bytes, input, outputs, and made_from where another file was the source}, quantised
{screens, seed, frames, percentile, float}, training {commands, recipe, seed, minutes, steps}, data [{name, kind, licence, count}],
threshold (0..255, on the uint8 score map, in the first look), again {threshold, stretched} (every later look), scores.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import subprocess
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from appliance.types import Look
from engines.synth.fonts import find_faces

WEIGHTS = Path(__file__).parent / "weights"
CARD_FILE, MASK_FILE, BOXES_FILE = "card.json", "east-mask.onnx", "east-boxes.onnx"
TRAINED_KINDS = ("frames", "backgrounds", "scene_text")


class FileCard(TypedDict):
    """One ONNX file: its hash, size and shapes."""

    sha256: str
    bytes: int
    input: list[int]
    outputs: dict[str, list[int]]


class VariantCard(FileCard):
    """The same network in another precision; made_from : sha256 of the FP32 file it was made from."""

    made_from: str


@dataclass(frozen=True)
class Training:
    """commands : one a stage, in order; recipe, seed : of the last stage; minutes, steps : of all stages together."""

    commands: list[str]
    recipe: dict[str, Any]
    seed: int
    minutes: float
    steps: int


class DataEntry(TypedDict):
    """One source of training material."""

    name: str
    kind: str
    licence: str
    count: int


def file_card(path: Path, shape: list[int], outputs: dict[str, list[int]]) -> FileCard:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "input": shape, "outputs": outputs}


def variant_card(path: Path, original: FileCard) -> VariantCard:
    """Of a file with the ports of `original`."""
    return cast(VariantCard, file_card(path, original["input"], original["outputs"]) | {"made_from": original["sha256"]})


def data_entries(sources: Path | None, fonts: list[Path]) -> list[DataEntry]:
    """Pictures grouped by where they come from, fonts by their package, and the procedural part."""
    entries: list[DataEntry] = [{"name": "engines.synth", "kind": "procedural backgrounds and decoys", "licence": "Apache-2.0", "count": 0}]
    if sources:
        rows = [row for row in json.loads(sources.read_text(encoding="utf-8")) if row["set"] in TRAINED_KINDS]
        groups = Counter((row["source"], f"{row['set']}: {row['kind']}", row["licence_data"]) for row in rows)
        entries += [{"name": name, "kind": kind, "licence": licence, "count": n} for (name, kind, licence), n in sorted(groups.items())]
    if fonts:
        packages = Counter(_package(Path(face.path)) for face in find_faces(fonts) if not face.built_in)
        entries += [{"name": name, "kind": "fonts", "licence": licence, "count": n} for (name, licence), n in sorted(packages.items())]
    return entries


def _package(path: Path) -> tuple[str, str]:
    """(package, licence) of a font file installed by npm or by Debian; "unknown" where neither knows it."""
    for folder in path.parents:
        meta = folder / "package.json"
        if meta.is_file():
            table = json.loads(meta.read_text(encoding="utf-8"))
            return str(table.get("name", folder.name)), str(table.get("license", "unknown"))
    return _debian_package(path.resolve())


def _debian_package(path: Path) -> tuple[str, str]:
    pattern = re.sub(r"([\[\]*?])", r"\\\1", str(path))  # dpkg-query takes a pattern, and variable faces have [wght] in their names
    try:
        found = subprocess.run(["dpkg-query", "-S", pattern], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return path.parent.name, "unknown"
    package = found.split(":")[0].strip()
    notice = Path("/usr/share/doc") / package / "copyright"
    text = notice.read_text(encoding="utf-8", errors="replace") if notice.is_file() else ""
    # The first stanza speaks of the fonts, later ones of the packaging.
    names = list(dict.fromkeys(re.findall(r"^License: *(\S[^\n]*)", text, re.M)))
    if not names and re.search(r"SIL Open Font License", text, re.I):
        names = ["OFL"]
    return package, ", ".join(names[:4]) or "see the Debian package's copyright file"


def write_card(
    path: Path, name: str, looks: tuple[int, Look], files: dict[str, FileCard], training: Training, data: list[DataEntry]
) -> None:
    """A card without scores; `add_scores` fills them in once they are measured, `add_variants` adds files of other precision.

    looks : the first look's threshold, and how to look again
    """
    card = {
        "name": name,
        "created": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "files": files,
        "training": asdict(training),
        "data": data,
        "threshold": looks[0],
        "again": asdict(looks[1]),
        "scores": {},
    }
    _save(path, card)


def add_variants(path: Path, files: dict[str, VariantCard], quantised: dict[str, Any]) -> None:
    """Enter files of other precision, and how they were quantised."""
    card = read_card(path)
    card["files"].update(files)
    card["quantised"] = quantised
    _save(path, card)


def add_scores(path: Path, key: str, scores: dict[str, Any], threshold: int | None = None) -> None:
    """Put measured scores, with the command that measured them, into a card; `threshold` replaces the recommended one."""
    card = read_card(path)
    card["scores"][key] = scores
    if threshold is not None:
        card["threshold"] = threshold
    _save(path, card)


def read_card(path: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return card


def _save(path: Path, card: dict[str, Any]) -> None:
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
