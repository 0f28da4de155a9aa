from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .rig import InlineLanes, Rig, ScriptedRedactor


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.daemon.loop.ThreadPoolExecutor", InlineLanes)


@pytest.fixture
def make_rig(home: Path, inline: None) -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(redactor: ScriptedRedactor | None = None, **intake: Any) -> Rig:
        rig = Rig(home, redactor or ScriptedRedactor(), **intake)
        rigs.append(rig)
        return rig

    yield make
    for rig in rigs:
        rig.close()
