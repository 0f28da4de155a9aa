"""One machine for all of these tests, which tell one story in the order of their files; and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .machine import BOOT_S, Machine

BUILD = Path(__file__).parents[2] / "build/vm"


@pytest.fixture(scope="session")
def build() -> Path:
    """What image.sh and updates.sh made."""
    assert (BUILD / "updates.img").exists(), "make test-vm builds it first"
    return BUILD


@pytest.fixture(scope="session")
def machine(build: Path) -> Iterator[Machine]:
    """Its disk stays for a look at what went wrong: build/vm/layer.qcow2, and what it wrote to its console, layer.log."""
    layer = build / "layer.qcow2"
    layer.unlink(missing_ok=True)
    machine = Machine(build, layer)
    machine.boot()
    machine.wait_for("the page after the boot", lambda now: now["state"] == "Ready", BOOT_S)
    yield machine
    machine.power_cut()
