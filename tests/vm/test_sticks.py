"""Sticks with other file systems than FAT: exFAT and ext4 are read and written to as FAT is, any other is told and left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .machine import Machine
from .sticks import blank, contents, lay_out, sums
from .test_results import RESULT, new_results, pulled, safe_to_remove

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]
HERE = "/run/anonbox/usb/sd*"


def check_results(machine: Machine, before: dict[str, str], own: dict[str, bytes]) -> None:
    """What was on the stick is as it was, and beside it are the very results that this stick brought into out/."""
    found = machine.fetch(HERE)
    results = new_results(machine, before)
    assert len(results) == 30
    given = {name: found.pop(name) for name in list(found) if RESULT.fullmatch(name)}
    assert sorted(given.values()) == results
    assert sorted(found) == sorted(own)
    assert sorted(found.values()) == sums(own.values())


def test_exfat(machine: Machine, tmp_path: Path) -> None:
    """Formatted here, filled by the machine itself, as nothing here can write it without a mount."""
    machine.configure('[usb]\nresults = "stick"\n')
    stick, own, before = blank(tmp_path / "exfat.img"), contents(200), machine.fetch("/var/lib/anonbox/out")
    subprocess.run(["mkfs.exfat", "-L", "MUSTERMANN", stick], check=True, capture_output=True)
    assert safe_to_remove(machine, "empty", stick)["total"] == 0
    machine.run(f"systemctl stop anonbox-usb@$(basename {HERE}); mkdir /mnt/stick; mount -t exfat /dev/disk/by-label/MUSTERMANN /mnt/stick")
    machine.write("/mnt/stick", own)
    machine.run("umount /mnt/stick; rmdir /mnt/stick")
    pulled(machine, "empty")
    seen = safe_to_remove(machine, "exfat", stick)
    assert (seen["done"], seen["total"], seen["unreadable"]) == (31, 31, 0)
    check_results(machine, before, own)
    pulled(machine, "exfat")
    subprocess.run(["fsck.exfat", "-n", stick], check=True, capture_output=True)


def test_ext4_in_a_partition(machine: Machine, tmp_path: Path) -> None:
    """It has owners, modes and links: what the box may not read is said, and no link is followed. Before it is the partition that Windows
    keeps for itself, which is passed over."""
    stick, partition = blank(tmp_path / "gpt.img", 80), blank(tmp_path / "ext4.img")
    own, before = contents(210), machine.fetch("/var/lib/anonbox/out")
    odd = {"private.jpg": b"somebody else's", "DCIM/again.jpg": own["DCIM/report.pdf"]}
    folder = lay_out(tmp_path / "files", own | odd)
    (folder / "private.jpg").chmod(0o600)
    (folder / "passwd.jpg").symlink_to("/etc/passwd")
    (folder / "DCIM/again.jpg").unlink()
    (folder / "DCIM/again.jpg").hardlink_to(folder / "DCIM/report.pdf")
    subprocess.run(["mkfs.ext4", "-q", "-L", "MUSTERMANN", "-d", folder, partition], check=True)
    table = "label: gpt\nstart=2048, size=1MiB, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE\nstart=4096, size=64MiB, type=linux\n"
    subprocess.run(["sfdisk", "-q", stick], input=table, text=True, check=True)
    with stick.open("r+b") as file:
        file.seek(4096 * 512)
        file.write(partition.read_bytes())
    seen = safe_to_remove(machine, "ext4", stick)
    assert (seen["done"], seen["total"], seen["unreadable"]) == (31, 32, 1)
    assert "Unreadable: 1." in machine.page()
    assert sum(count for kind, count in seen["not_released"].items() if "link" in kind) == 3, (
        "the symbolic one, and both names of the other"
    )
    check_results(machine, before, own | odd)
    pulled(machine, "ext4")
    partition.write_bytes(stick.read_bytes()[4096 * 512 :][: 64 << 20])
    subprocess.run(["e2fsck", "-fn", partition], check=True, capture_output=True)


def test_any_other_is_told_and_left_alone(machine: Machine, tmp_path: Path) -> None:
    stick = blank(tmp_path / "other.img")
    subprocess.run(["mkswap", stick], check=True, capture_output=True)
    before = stick.read_bytes()
    machine.plug("other", stick)
    machine.wait_for("told", lambda now: [stick["state"] for stick in now["sticks"]] == ["cannot be read"], 120)
    machine.becomes("Needs attention")
    pulled(machine, "other")
    assert stick.read_bytes() == before
    machine.configure("")
