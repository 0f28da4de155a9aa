"""The box on arm64, as a Jetson has it: its own tests of what depends on the processor, the sandbox above all, and one picture's mask."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import encoded
from PIL import Image
from screens import screen

from .machine import BOOT_S, Arm64Machine, until

pytestmark = pytest.mark.arm64
BUILD = Path(__file__).parents[2] / "build/arm64"
FAST = "tests/formats tests/detect tests/redactor tests/system tests/test_types.py tests/test_config.py"
"""What differs between processors: C code, system calls, the sandbox, the wire, file systems; and what is quick enough emulated."""


@pytest.fixture(scope="session")
def arm64() -> Iterator[Arm64Machine]:
    """Its disk stays for a look at what went wrong, and what it wrote to its console: build/arm64/layer.log."""
    assert (BUILD / "disk.raw").exists(), "make test-arm64 builds it first"
    layer = BUILD / "layer.qcow2"
    layer.unlink(missing_ok=True)
    machine = Arm64Machine(BUILD, layer)
    machine.boot()
    until(lambda: "aarch64" in machine.run("uname -m", 120, check=False), BOOT_S, "a shell after the boot")
    yield machine
    machine.power_cut()


def test_the_tests_of_what_depends_on_the_processor_pass(arm64: Arm64Machine) -> None:
    said = arm64.run(
        f"cd /root/anonbox && /root/venv/bin/python -m pytest -q -p no:cacheprovider --timeout 1800 "
        f"-m 'not slow and not train and not browser and not vm and not arm64' {FAST} 2>&1 | tail -n 40",
        7200,
    )
    assert " passed" in said and " failed" not in said and " error" not in said, said


def test_the_sandbox_is_the_kernels(arm64: Arm64Machine) -> None:
    """Not an emulator's: in a locked child a file cannot be opened."""
    code = (
        "from appliance.redactor import sandbox; import os; "
        "sandbox.lock_down(); print('locked'); "
        "\ntry: os.open('/etc/hostname', os.O_RDONLY); print('open')\nexcept PermissionError: print('refused')"
    )
    said = arm64.run(f'/root/venv/bin/python -c "{code}"', check=False)
    assert said.split() == ["locked", "refused"]


REDACT = "redact screen.jpg --out out --masks masks --config floats.toml"
FLOATS = b'[engine]\nprecision = "float"\n[limits]\njob_s = 3000.0\n'


def test_a_picture_is_redacted_with_the_mask_of_x86_64(arm64: Arm64Machine, tmp_path: Path) -> None:
    work = {"screen.jpg": encoded(screen(1).image), "floats.toml": FLOATS}
    for name, content in work.items():
        (tmp_path / name).write_bytes(content)
    subprocess.run([sys.executable, "-m", "appliance", *REDACT.split()], cwd=tmp_path, check=True)
    arm64.write("/root/work", work)
    arm64.run(f"cd /root/work && /root/venv/bin/anonbox {REDACT}", 3600)
    (here,) = (tmp_path / "masks").iterdir()
    there = Image.open(io.BytesIO(base64.b64decode(arm64.run(f"base64 /root/work/masks/{here.name}"))))
    mask = np.asarray(Image.open(here))
    assert mask.any() and np.array_equal(mask, np.asarray(there))
