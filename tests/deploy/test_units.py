"""The systemd units: systemd itself finds nothing wrong with them, and grades how little they may do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.config import Shares
from appliance.errors import BadConfig
from appliance.install import share_units

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
WORST = {"anonbox.service": 2.5, "anonbox-page.service": 2.0, "anonbox-signal.service": 2.0, "anonbox-message.service": 2.0}
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
    for unit in (
        "sysinit",
        "basic",
        "shutdown",
        "multi-user",
        "sockets",
        "paths",
        "time-set",
        "network-online",
        "remote-fs-pre",
        "remote-fs",
        "umount",
    ):
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


SMB, NFS = "//files.example/endo scopy/in$", "nas:/export/results"


def test_systemd_finds_nothing_wrong_with_the_shares(root: Path) -> None:
    units = share_units.units(Shares(SMB, NFS))
    share_units.replace_units(root / "etc/systemd/system", units)
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin/true").touch(0o755)
    for name in units:
        result = run("verify", "--man=no", f"--root={root}", f"/etc/systemd/system/{name}")
        assert (result.returncode, result.stdout + result.stderr) == (0, ""), name


def test_a_share_is_mounted_without_rights_and_its_password_is_nowhere_in_a_unit(tmp_path: Path) -> None:
    stores = (("LoadCredentialEncrypted", tmp_path / "encrypted"), ("LoadCredential", tmp_path / "plain"))
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/anonbox-share-in").write_text("username=box\npassword=secret\n")
    units = share_units.units(Shares(SMB, NFS), stores)
    assert sorted(units) == [
        "anonbox-share-in.service",
        *(f"run-anonbox-shares-{name}" for name in ("in.automount", "in.mount", "out.automount", "out.mount")),
    ]
    for share in ("in", "out"):
        lines = units[f"run-anonbox-shares-{share}.mount"].splitlines()
        options = next(line for line in lines if line.startswith("Options="))
        assert {"nosuid", "nodev", "noexec", "soft"} <= set(options.removeprefix("Options=").split(","))
    assert "credentials=/run/credentials/anonbox-share-in.service/share" in units["run-anonbox-shares-in.mount"]
    assert f"LoadCredential=share:{tmp_path}/plain/anonbox-share-in" in units["anonbox-share-in.service"]
    assert "secret" not in "".join(units.values())


@pytest.mark.parametrize(
    "source",
    ["files/in", "//files", "//files/in,uid=0", "//files/in\nOptions=suid", "//files/%h", "nas:export", "//files/../x", "nas:/a b"],
)
def test_what_is_no_share_is_refused_by_name(source: str) -> None:
    with pytest.raises(BadConfig, match=r"shares\.out.*must be //server"):
        share_units.units(Shares(out=source))


def test_units_that_are_no_longer_wanted_go(tmp_path: Path) -> None:
    share_units.replace_units(tmp_path, share_units.units(Shares(SMB, SMB)))
    (tmp_path / "anonbox.service").touch()
    share_units.replace_units(tmp_path, share_units.units(Shares(out=NFS)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "anonbox.service",
        "run-anonbox-shares-out.automount",
        "run-anonbox-shares-out.mount",
    ]
