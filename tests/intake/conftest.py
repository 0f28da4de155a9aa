from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .rig import InlineLanes, Rig, ScriptedRedactor


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: the daemon syncs at every step, and a disk would make the tests slow."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="anonbox-", dir=memory))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.intake.daemon.ThreadPoolExecutor", InlineLanes)


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
