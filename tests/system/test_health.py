"""Health is read from trees as Orin, Thor and a PC have them, and from this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.system.health import Health, read

MACHINES = Path(__file__).parent / "machines"


def lay(name: str, root: Path) -> Path:
    """Build the tree that machines/NAME.txt describes. What cannot be read is a folder: root may read every file."""
    for line in (MACHINES / f"{name}.txt").read_text("utf-8").splitlines():
        place, mark, content = line.partition(" -> ") if " -> " in line else line.partition(" = ")
        if line.startswith("#"):
            continue
        path = root / place.removesuffix(" !")
        path.parent.mkdir(parents=True, exist_ok=True)
        if line.endswith(" !"):
            path.mkdir()
        elif mark == " -> ":
            path.symlink_to(content)
        else:
            path.write_text(content.replace("\\n", "\n").replace("\\0", "\0") + "\n")
    return root


def test_orin_nano(tmp_path: Path) -> None:
    health = read(lay("orin-nano-jetpack-6", tmp_path))
    assert health == Health(
        model="NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        release="L4T 36.4.3",
        gpu_load=43.7,
        gpu_mhz=918,
        gpu_max_mhz=1020,
        temperatures={"cpu": 49.875, "gpu": 51.25, "tj": 51.5},
        power={"VDD_IN": 9.116032, "VDD_CPU_GPU_CV": 2.9808, "VDD_SOC": 1.470528},
        power_mode="25W",
        throttling="",
        memory_free=5120,
        memory_total=7618,
    )
    assert health.lines() == {
        "Machine": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super, L4T 36.4.3",
        "GPU": "44 %, 918 of 1020 MHz",
        "Hottest": "tj 52 °C",
        "Power": "mode 25W, VDD_IN 9.1 W, VDD_CPU_GPU_CV 3.0 W, VDD_SOC 1.5 W",
        "Free memory": "5120 of 7618 MiB",
    }


def test_a_hot_agx_orin_says_why_it_is_slow(tmp_path: Path) -> None:
    health = read(lay("agx-orin-jetpack-7", tmp_path))
    assert (health.release, health.power_mode) == ("L4T 39.2.0", "")  # no mode was ever set: normal
    assert list(health.power) == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"]
    assert health.throttling == "too hot (soc0); too much current on VDD_GPU_SOC; the GPU is busy but runs at 612 of 1300 MHz"
    assert health.lines()["Slowed down"] == health.throttling


def test_thor_tells_its_clock_but_not_its_load(tmp_path: Path) -> None:
    health = read(lay("thor-jetpack-7", tmp_path))
    assert (health.gpu_load, health.gpu_mhz, health.gpu_max_mhz) == (None, 1575, 1575)
    assert health.power_mode == "7"  # a number nobody names
    assert health.lines()["GPU"] == "1575 of 1575 MHz"


def test_a_pc_has_what_it_has(tmp_path: Path) -> None:
    assert read(lay("pc", tmp_path)).lines() == {"Hottest": "x86_pkg_temp 44 °C", "Free memory": "20000 of 24000 MiB"}


def test_an_empty_tree_is_no_fault(tmp_path: Path) -> None:
    assert read(tmp_path) == Health() and not read(tmp_path).lines()


@pytest.mark.parametrize("content", ["", "garbage", "12x", "\udcff"])
def test_nonsense_is_passed_over(tmp_path: Path, content: str) -> None:
    lay("orin-nano-jetpack-6", tmp_path)
    for name in ("sys/class/thermal/thermal_zone0/temp", "sys/devices/platform/17000000.gpu/load", "etc/nv_tegra_release"):
        (tmp_path / name).write_text(content, "utf-8", "surrogateescape")
    health = read(tmp_path)
    assert "cpu" not in health.temperatures and health.gpu_load is None and health.release == "" and health.gpu_mhz == 918


def test_this_machine() -> None:
    health = read()
    assert health.memory_total and health.memory_free and 0 < health.memory_free < health.memory_total
