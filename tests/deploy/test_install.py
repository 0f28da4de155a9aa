"""What the installer does otherwise on a Jetson, with a made-up JetPack: its shell functions, and pip only as a word in a log."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from appliance.config import load

INSTALLER = Path(__file__).parents[2] / "deploy/install.sh"


class Machine:
    """A Jetson with JetPack, and what is installed from."""

    def __init__(self, home: Path) -> None:
        self.home, self.here, self.cuda, self.folder = home, home / "here", home / "cuda", home / "version"
        self.here.mkdir()
        self.program(self.cuda / "bin/nvcc", "exit 0")
        self.program(home / "python", "exit 0")  # has TensorRT
        self.program(self.folder / "bin/python", 'echo "$PATH:$CUDA_ROOT:$*"')

    def program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def wheel(self, name: str) -> None:
        (self.here / "wheels").mkdir(exist_ok=True)
        (self.here / "wheels" / name).touch()

    def run(self, *words: str, jetson: bool = True) -> subprocess.CompletedProcess[str]:
        """A function of the installer's, with its arguments."""
        settings = f"here={self.here} cuda={self.cuda} python={self.home}/python root={self.home}/root"
        script = f'. {INSTALLER}; is_jetson() {{ {str(jetson).lower()}; }}; {settings}; "$@"'
        return subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_pycuda_is_built_as_locked_with_jetpacks_compiler(machine: Machine) -> None:
    assert machine.run("check_jetpack").returncode == 0
    said = machine.run("install_pycuda", str(machine.folder)).stdout.splitlines()[-1]
    assert said.startswith(f"{machine.cuda}/bin:") and f":{machine.cuda}:-m pip " in said
    assert said.endswith(f"--require-hashes -r {machine.here}/requirements/jetson.lock")


def test_a_bundle_of_a_jetsons_brings_it_built(machine: Machine) -> None:
    machine.wheel("pycuda-2025.1.2-cp310-cp310-linux_aarch64.whl")
    (machine.cuda / "bin/nvcc").unlink()
    assert machine.run("check_jetpack").returncode == 0
    said = machine.run("install_pycuda", str(machine.folder)).stdout
    assert f"--no-index --find-links {machine.here}/wheels {machine.here}/wheels/pycuda-2025.1.2" in said


def test_what_is_missing_is_named_before_anything_is_changed(machine: Machine) -> None:
    machine.wheel("numpy-2.2.6-cp310-cp310-linux_aarch64.whl")
    assert "not made on a Jetson" in machine.run("check_jetpack").stderr
    (machine.cuda / "bin/nvcc").unlink()
    result = machine.run("check_jetpack")
    assert result.returncode == 1 and f"no {machine.cuda}/bin/nvcc" in result.stderr and "nvidia-jetpack" in result.stderr
    machine.program(machine.home / "python", "exit 1")
    assert "no TensorRT: apt-get install nvidia-jetpack" in machine.run("check_jetpack").stderr


@pytest.mark.parametrize(("jetson", "engine"), [(True, "tensorrt"), (False, "openvino")])
def test_a_new_configuration_names_the_engine_and_an_old_one_stays(machine: Machine, jetson: bool, engine: str) -> None:
    path = machine.home / "root/etc/anonbox/anonbox.toml"
    path.parent.mkdir(parents=True)
    assert machine.run("configure", jetson=jetson).returncode == 0
    assert (load(path).engine.name, load(path).engine.fallback, str(load(path).folders.box)) == (engine, "none", "/var/lib/anonbox")
    path.write_text("[page]\n")
    assert machine.run("configure", jetson=jetson).returncode == 0
    assert path.read_text() == "[page]\n"
