"""The script that mounts a stick: what it asks of the system, which stands here as programs that write down how they were called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/libexec/usb-stick"


class System:
    """A device sda1 with a number of sectors (None: there is no such device) and a file system."""

    def __init__(self, home: Path, sectors: int | None, kind: str) -> None:
        self.home, self.calls_path = home, home / "calls"
        (home / "bin").mkdir()
        answers = {"blkid": f"echo {kind}", "id": "echo 7", "mount": "", "umount": "", "blockdev": "", "mountpoint": "exit 1"}
        for name, answer in answers.items():
            program = home / "bin" / name
            program.write_text(f'#!/bin/sh\necho {name} "$@" >> {self.calls_path}\n{answer}\n')
            program.chmod(0o755)
        if sectors is not None:
            size = home / "sys/class/block/sda1/size"
            size.parent.mkdir(parents=True)
            size.write_text(f"{sectors}\n")

    def fails(self, name: str) -> None:
        with (self.home / "bin" / name).open("a") as program:
            program.write("exit 1\n")

    def run(self, action: str) -> str:
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        environment = {"PATH": path, "ANONBOX_RUN": str(self.home / "run"), "ANONBOX_SYS": str(self.home / "sys")}
        return subprocess.run(["sh", SCRIPT, action, "sda1"], env=environment, check=True, capture_output=True, text=True).stdout

    def calls(self) -> list[str]:
        return self.calls_path.read_text().splitlines() if self.calls_path.exists() else []

    def is_shown(self) -> bool:
        """Whether the daemon sees that there is a stick."""
        return (self.home / "run/usb/sda1").is_dir()


@pytest.mark.parametrize("sectors", [0, None])
def test_a_slot_without_a_medium_is_no_stick(tmp_path: Path, sectors: int | None) -> None:
    system = System(tmp_path, sectors, "")
    assert "no medium" in system.run("add")
    assert not system.is_shown() and system.calls() == []
    system.run("remove")


def test_a_medium_that_cannot_be_read_is_shown(tmp_path: Path) -> None:
    system = System(tmp_path, 4096, "ntfs")
    assert "no file system that this box reads" in system.run("add")
    assert system.is_shown() and not any(call.startswith("mount ") for call in system.calls())
    system.run("remove")
    assert not system.is_shown()
