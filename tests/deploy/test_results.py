"""The helper that writes onto a stick, on a real mount: writable only meanwhile, and a full one is told. Needs root and a loop device."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.daemon.sinks import stick_writer

READ_ONLY = "ro,noload,nosuid,nodev,noexec,errors=remount-ro"


def run(*command: str | Path) -> str:
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def places(tmp_path: Path) -> Iterator[stick_writer.Places]:
    """A stick of 8 MiB, mounted as the box mounts it."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("losetup", "mkfs.ext4"))):
        pytest.skip("not root, or no losetup or mkfs.ext4")
    image, point = tmp_path / "stick.img", tmp_path / "usb/sda1"
    point.mkdir(parents=True)
    image.touch()
    os.truncate(image, 8 << 20)
    run("mkfs.ext4", "-q", "-F", image)
    try:
        device = run("losetup", "--find", "--show", image)
    except subprocess.CalledProcessError:
        pytest.skip("this machine gives no loop device")
    try:
        try:
            run("blockdev", "--setro", device)
            run("mount", "-t", "ext4", "-o", READ_ONLY, device, point)
        except subprocess.CalledProcessError:
            pytest.skip("this machine does not let us mount")
        try:
            for folder in ("requests", "out/E000001", "outcomes"):
                (tmp_path / folder).mkdir(parents=True)
            yield stick_writer.Places(tmp_path / "requests", tmp_path / "out", tmp_path / "usb", tmp_path / "outcomes")
        finally:
            run("umount", point)
            run("blockdev", "--setrw", device)
    finally:
        run("losetup", "--detach", device)


def options(point: Path) -> set[str]:
    line = next(line.split() for line in Path("/proc/mounts").read_text().splitlines() if line.split()[1] == str(point))
    return set(line[3].split(","))


def test_what_is_no_request_is_dropped_and_the_others_are_answered(tmp_path: Path) -> None:
    places = stick_writer.Places(tmp_path / "requests", tmp_path / "out", tmp_path / "usb", tmp_path / "outcomes")
    for folder in (places.requests, places.out, places.mounts, places.outcomes):
        folder.mkdir()
    texts = ("no JSON", "[]", '"text"', "[" * 100_000, "\udcff", "")
    for number, text in enumerate(texts):
        (places.requests / f"sda{number}.request").write_bytes(text.encode("utf-8", "surrogateescape"))
    (places.requests / "sdb1.request").symlink_to("/etc/passwd")
    (places.requests / "sdb2.request").mkdir()
    (places.requests / "sdc1.request").write_text('{"token": "t", "device": 1, "numbers": []}')
    stick_writer.serve(places)
    assert [path.name for path in places.outcomes.iterdir()] == ["sdc1.json"]
    assert json.loads((places.outcomes / "sdc1.json").read_text()) == {"token": "t", "written": 0, "fault": "failed"}
    assert [path.name for path in places.requests.iterdir()] == ["sdb2.request"], "what is none can be asked once only"


def test_it_is_written_until_it_is_full_and_read_only_again(places: stick_writer.Places) -> None:
    point = places.mounts / "sda1"
    first = os.urandom(3_000_000)
    (places.out / "E000001/0001.jpg").write_bytes(first)
    (places.out / "E000001/0002.jpg").write_bytes(os.urandom(9_000_000))
    request = {"token": "t", "device": point.stat().st_dev, "numbers": ["E000001/0001", "E000001/0002"]}
    (places.requests / "sda1.request").write_text(json.dumps(request))
    stick_writer.serve(places)
    assert json.loads((places.outcomes / "sda1.json").read_text()) == {"token": "t", "written": 1, "fault": "full"}
    written = {path.name: path for path in (point / "AnonBox-out-0001").iterdir()}
    assert set(written) == {"E000001-0001.jpg"}
    assert written["E000001-0001.jpg"].read_bytes() == first
    assert {"ro", "nosuid", "nodev", "noexec"} <= options(point)
    with pytest.raises(OSError, match="Read-only"):
        (point / "x").touch()
