"""A training recipe: one TOML file, read into frozen values; unknown keys are refused."""

from __future__ import annotations

import importlib
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from engines.synth.backgrounds import Choice
from engines.synth.screens import Mix


@dataclass(frozen=True)
class Schedule:
    """rate falls from `rate` to a hundredth of it along a cosine, after `warmup` steps; ema : share kept a step; compiled : the
    network is compiled first (a minute), which more than halves a step; it rounds differently, so curves are the same only among
    runs that agree in it."""

    steps: int = 6000
    batch: int = 16
    side: int = 384
    rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: int = 150
    ema: float = 0.998
    seed: int = 20261123
    bf16: bool = True
    compiled: bool = True
    save_every: int = 100


@dataclass(frozen=True)
class Data(Choice):
    """The backgrounds, and: scene_share : crops of photographs with labelled text instead of drawn overlays; bitmap_share : bitmap
    faces on a shelf of faces."""

    scene_share: float = 0.0
    bitmap_share: float = 0.35


@dataclass(frozen=True)
class Recipe:
    """network : arguments of EastSize, empty for the slim one."""

    schedule: Schedule = field(default_factory=Schedule)
    data: Data = field(default_factory=Data)
    mix: Mix = field(default_factory=Mix)
    network: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _section(kind: type[Any], name: str, values: dict[str, Any]) -> Any:
    known = {one.name for one in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"recipe section [{name}] has no key {unknown[0]!r}, only {', '.join(sorted(known))}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def from_dict(table: dict[str, Any]) -> Recipe:
    """Raises ValueError for an unknown section or key."""
    unknown = sorted(set(table) - {"schedule", "data", "mix", "network"})
    if unknown:
        raise ValueError(f"recipe has no section [{unknown[0]}], only [schedule], [data], [mix], [network]")
    network = {key: tuple(value) if isinstance(value, list) else value for key, value in table.get("network", {}).items()}
    return Recipe(
        _section(Schedule, "schedule", table.get("schedule", {})),
        _section(Data, "data", table.get("data", {})),
        _section(Mix, "mix", table.get("mix", {})),
        network,
    )


def read_recipe(path: Path) -> Recipe:
    reader = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return from_dict(reader.loads(path.read_text(encoding="utf-8")))
