"""The script that mounts a stick: what it asks of the system, which stands here as programs that write down how they were called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
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


@pytest.mark.parametrize(("kind", "own"), [("vfat", {"utf8", "uid=7"}), ("exfat", {"uid=7"}), ("ext4", {"noload"})])
def test_nothing_is_written_to_a_stick_and_no_stick_stops_the_machine(tmp_path: Path, kind: str, own: set[str]) -> None:
    system = System(tmp_path, 4096, kind)
    system.run("add")
    calls = system.calls()
    assert calls[0] == "blockdev --setro /dev/sda1", "before anything reads it"
    (mount,) = (call.split() for call in calls if call.startswith("mount "))
    assert {"ro", "nosuid", "nodev", "noexec", "errors=remount-ro", *own} <= set(mount[mount.index("-o") + 1].split(","))


def test_a_device_that_stays_writable_is_not_mounted(tmp_path: Path) -> None:
    system = System(tmp_path, 4096, "ext4")
    system.fails("blockdev")
    assert "cannot be made read-only" in system.run("add")
    assert system.is_shown() and system.calls() == ["blockdev --setro /dev/sda1"]


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """An ext4 with a folder whose first entry is broken, and the loop device that holds it."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("losetup", "mkfs.ext4", "debugfs"))):
        pytest.skip("not root, or no losetup, mkfs.ext4 or debugfs")
    files, image = tmp_path / "files", tmp_path / "stick.img"
    (files / "DCIM").mkdir(parents=True)
    for number in range(60):
        (files / f"DCIM/{number}.jpg").write_bytes(b"x")
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-b", "1024", "-O", "^metadata_csum", "-d", files, image], check=True)
    asked = subprocess.run(["debugfs", "-R", "blocks /DCIM", image], check=True, capture_output=True, text=True)
    with image.open("r+b") as file:
        file.seek(int(asked.stdout.split()[0]) * 1024 + 4)
        file.write(b"\x01\x00")  # the length of the entry "."
    try:
        device = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
    except subprocess.CalledProcessError:
        pytest.skip("this machine gives no loop device")
    yield image, Path(device).name
    subprocess.run(["losetup", "--detach", device], check=True)


def test_a_damaged_stick_is_as_it_was_afterwards(tmp_path: Path, damaged: tuple[Path, str]) -> None:
    """ext4 writes into its superblock that it met an error, also where it is mounted read-only."""
    image, device = damaged
    before, point = image.read_bytes(), tmp_path / "run/usb" / device
    subprocess.run(["sh", SCRIPT, "add", device], env=real(tmp_path), check=True)
    if not os.path.ismount(point):
        subprocess.run(["sh", SCRIPT, "remove", device], env=real(tmp_path), check=True)
        pytest.skip("this machine does not let us mount")
    try:
        assert len(list((point / "DCIM").iterdir())) < 60, "the kernel met the error"
    finally:
        subprocess.run(["sh", SCRIPT, "remove", device], env=real(tmp_path), check=True)
    assert image.read_bytes() == before
    assert not point.exists()


def real(home: Path) -> dict[str, str]:
    """The system's own programs, but for the user that the box's installation makes."""
    program = home / "own/id"
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\necho 7\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "ANONBOX_RUN": str(home / "run")}
