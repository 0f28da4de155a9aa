"""The systemd units: systemd itself finds nothing wrong with them, and grades how little they may do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
WORST = {"anonbox.service": 2.5, "anonbox-page.service": 2.0}
"""Exposure allowed, 0 (safe) to 10, as `systemd-analyze security` grades it."""

analyze = shutil.which("systemd-analyze")
pytestmark = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not installed (apt-get install systemd)")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(analyze), *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine's root with the units and, empty, the programs they start."""
    target = tmp_path / "etc/systemd/system"
    shutil.copytree(UNITS, target)
    (tmp_path / "usr/lib/systemd/system").mkdir(parents=True)
    for unit in ("sysinit", "basic", "shutdown", "multi-user", "sockets", "time-set"):
        (tmp_path / f"usr/lib/systemd/system/{unit}.target").write_text("[Unit]\n")
    for program in re.findall(r"^Exec\w+=(\S+)", "".join(path.read_text() for path in UNITS.glob("*.service")), re.MULTILINE):
        path = tmp_path / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
    return tmp_path


@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("anonbox*.*") if path.is_file()))
def test_systemd_finds_nothing_wrong(root: Path, unit: str) -> None:
    name = unit.replace("@.", "@sda1.")
    result = run("verify", "--man=no", f"--root={root}", f"/etc/systemd/system/{name}")
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.parametrize("unit", WORST)
def test_exposure(unit: str) -> None:
    result = run("security", "--offline=yes", f"--threshold={round(10 * WORST[unit])}", UNITS / unit)
    assert result.returncode == 0, result.stdout
