"""Results back onto a stick: the stick's own, or onto a second one; written by a helper that is not the daemon."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config import parse
from appliance.daemon.sinks import stick_writer
from appliance.daemon.sinks.stick import PATIENCE_S
from appliance.errors import BadConfig

from .rig import Rig, ScriptedRedactor, clean
from .test_sticks import Port

MakeRig = Callable[..., Rig]


class Desk(Port):
    """A port, and the helper that systemd would start. log : what happened to the mount"""

    def __init__(self, rig: Rig, home: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(rig, home, patch)
        self.places = stick_writer.Places(rig.config.folders.state / "sticks", rig.config.folders.out, self.mounts, home / "outcomes")
        self.places.outcomes.mkdir()
        self.log: list[str] = []
        self.helps = True
        patch.setattr(stick_writer, "device_of", lambda path: self.devices.get(path.name, 0))
        patch.setattr(stick_writer.subprocess, "run", self._run)

    def _run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if command[0] != "findmnt":
            self.log.append(" ".join(command[:3]))
        return subprocess.CompletedProcess(command, 0, f"/dev/{Path(command[-1]).name}\n")

    def go(self, until: Callable[[], bool]) -> None:
        def helped() -> bool:
            if self.helps:
                stick_writer.serve(self.places)
            return until()

        super().go(helped)

    def results(self, device: str = "sda1") -> dict[str, bytes]:
        root = self.mounts / device
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if "AnonBox-out" in str(path.parent)}

    def settled(self, *states: str) -> None:
        self.go(lambda: self.states() == list(states) and self.rig.look().state != "Working")


@pytest.fixture
def desk(make_rig: MakeRig, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Desk]:
    def make(mode: str) -> Desk:
        rig = make_rig(ScriptedRedactor())
        rig.config = replace(rig.config, usb=replace(rig.config.usb, results=mode))
        desk = Desk(rig, home, monkeypatch)
        rig.start()
        return desk

    return make


def test_the_stick_gets_its_results_under_neutral_names_and_is_read_only_again(desk: Callable[[str], Desk]) -> None:
    stick = desk("stick")
    stick.write(1, "DCIM/MUSTERMANN.jpg", b"jpeg one")
    stick.write(1, "b.png", b"png two")
    stick.write(1, "bad.jpg", b"damaged")
    stick.plug(1)
    shown = set()

    def until() -> bool:
        shown.update(stick.states())
        return stick.states() == ["safe to remove"]

    stick.go(until)
    assert "writing results" in shown
    given = stick.results()
    assert sorted(given.values()) == sorted([clean(b"jpeg one"), clean(b"png two")])
    assert all(stick_writer.FOLDER.fullmatch(Path(name).parts[0]) and "MUSTER" not in name for name in given)
    assert {Path(name).parts[0] for name in given} == {"AnonBox-out-0001"}
    assert sorted(stick.rig.files("out").values()) == sorted(given.values()), "they stay on the box too"
    assert stick.log == [
        "blockdev --setrw /dev/sda1",
        "mount -o remount,rw,nosuid,nodev,noexec",
        f"sync --file-system {stick.mounts / 'sda1'}",
        "mount -o remount,ro,nosuid,nodev,noexec",
        "blockdev --setro /dev/sda1",
    ]
    assert all((stick.mounts / "sda1" / name).stat().st_mtime_ns == stick_writer.NEUTRAL_NS for name in given)


def test_a_stick_that_comes_again_is_given_only_what_it_lacks(desk: Callable[[str], Desk]) -> None:
    stick = desk("stick")
    stick.write(1, "a.jpg", b"jpeg a")
    stick.plug(1)
    stick.settled("safe to remove")
    shutil.rmtree(stick.sticks / "1")
    shutil.move(stick.mounts / "sda1", stick.sticks / "1")
    del stick.devices["sda1"]
    stick.rig.go(2)
    (stick.sticks / "1/AnonBox-out-0001/.E000009-0001.part").write_bytes(b"torn")
    stick.write(1, "b.jpg", b"jpeg b")
    stick.rig.restart()
    stick.plug(1)
    stick.settled("safe to remove")
    assert {name.split("/")[0]: content for name, content in stick.results().items()} == {
        "AnonBox-out-0001": clean(b"jpeg a"),
        "AnonBox-out-0002": clean(b"jpeg b"),
    }
    assert len(stick.results()) == 2, "what a torn write left is gone"
    assert stick.rig.look().done_ever == 2, "results are not read as pictures"


def test_a_second_stick_takes_the_results_and_is_not_read(desk: Callable[[str], Desk]) -> None:
    port = desk("second")
    port.write(1, "a.jpg", b"jpeg a")
    port.write(2, f"{stick_writer.MARKER}/x.jpg", b"jpeg not to be read")
    port.plug(1, "sda1")
    port.settled("safe to remove")
    port.plug(2, "sdb1")
    port.settled("safe to remove", "safe to remove")
    assert list(port.results("sdb1").values()) == [clean(b"jpeg a")]
    assert port.results("sda1") == {}
    assert port.rig.look().done_ever == 1


def test_a_full_stick_is_told_and_the_results_are_on_the_box(desk: Callable[[str], Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    stick = desk("stick")
    write = os.write

    def full(file: int, data: bytes) -> int:
        if "AnonBox-out" in str(Path(f"/proc/self/fd/{file}").readlink()) and bytes(data) == clean(b"jpeg b"):
            write(file, b"half")
            raise OSError(errno.ENOSPC, "full")
        return write(file, data)

    monkeypatch.setattr(os, "write", full)
    for name in ("a", "b"):
        stick.write(1, f"{name}.jpg", f"jpeg {name}".encode())
    stick.plug(1)
    stick.settled("results do not fit")
    seen = stick.rig.look()
    assert seen.state == "Needs attention"
    assert seen.detail.startswith("Results do not fit")
    assert list(stick.results().values()) == [clean(b"jpeg a")], "nothing half"
    assert len(stick.rig.files("out")) == 2
    assert stick.log[-2].startswith("mount -o remount,ro") and stick.log[-1].startswith("blockdev --setro")
    stick.pull()
    stick.rig.go(2)
    assert stick.states() == [], "it was not pulled too early"


def test_a_folder_of_results_is_left_before_fat32_says_that_it_is_full(
    desk: Callable[[str], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stick_writer, "PER_FOLDER", 3)
    stick = desk("stick")
    for number in range(7):
        stick.write(1, f"{number}.jpg", f"jpeg {number}".encode())
    stick.plug(1)
    stick.settled("safe to remove")
    folders = [Path(name).parent.name for name in stick.results()]
    assert [folders.count(f"AnonBox-out-{number:04d}") for number in (1, 2, 3)] == [3, 3, 1] and len(folders) == 7


def test_a_result_that_got_another_number_is_given_too(desk: Callable[[str], Desk]) -> None:
    """Its first one was taken in out/, by a file that is not this stick's."""
    stick = desk("stick")
    other = stick.rig.config.folders.out / "E000001/0001.jpg"
    other.parent.mkdir()
    other.write_bytes(b"another's")
    stick.write(1, "a.jpg", b"jpeg a")
    stick.plug(1)
    stick.settled("safe to remove")
    assert stick.results() == {"AnonBox-out-0001/E000002-0001.jpg": clean(b"jpeg a")}


def asked(stick: Desk) -> Desk:
    """A stick whose results were asked for, and nobody answers."""
    stick.helps = False
    stick.write(1, "a.jpg", b"jpeg a")
    stick.plug(1)
    stick.go(lambda: stick.states() == ["writing results"] and bool(list(stick.places.requests.glob("*.request"))))
    return stick


def test_pulled_while_results_are_written(desk: Callable[[str], Desk]) -> None:
    stick = asked(desk("stick"))
    stick.pull()
    stick.rig.go(2)
    assert stick.states() == ["pulled too early"]
    assert list(stick.places.requests.iterdir()) == []


def test_a_helper_that_never_answers(desk: Callable[[str], Desk]) -> None:
    stick = asked(desk("stick"))
    stick.rig.go(PATIENCE_S + 60, step=60)
    assert (stick.states(), stick.rig.look().state) == (["results not written"], "Needs attention")


@pytest.mark.parametrize(
    "change",
    [{"numbers": ["../../etc/0001"]}, {"numbers": ["E000001/0001\n"]}, {"device": 99}, {"numbers": "E000001/0001"}, {"numbers": [7]}],
)
def test_what_is_asked_is_not_trusted(desk: Callable[[str], Desk], change: dict[str, object]) -> None:
    stick = desk("box")
    stick.plug(1)
    stick.places.requests.mkdir(exist_ok=True)
    request = {"token": "t", "device": 1, "numbers": ["E000001/0001"], **change}
    (stick.places.requests / "sda1.request").write_text(json.dumps(request))
    stick_writer.serve(stick.places)
    assert json.loads((stick.places.outcomes / "sda1.json").read_text())["fault"] == "failed"
    assert (stick.log, stick.results(), list(stick.places.requests.iterdir())) == ([], {}, [])


def test_no_link_is_followed(desk: Callable[[str], Desk], tmp_path: Path) -> None:
    stick = desk("box")
    stick.plug(1)
    stick.places.requests.mkdir(exist_ok=True)
    (tmp_path / "shadow").write_bytes(b"secret")
    out = stick.places.out / "E000001"
    out.mkdir()
    (out / "0001.jpg").symlink_to(tmp_path / "shadow")
    request = {"token": "t", "device": 1, "numbers": ["E000001/0001"]}
    (stick.places.requests / "sda1.request").write_text(json.dumps(request))
    stick_writer.serve(stick.places)
    assert json.loads((stick.places.outcomes / "sda1.json").read_text()) == {"token": "t", "written": 0, "fault": "failed"}
    assert stick.results() == {}


def test_a_stick_that_is_not_mounted_is_not_written(desk: Callable[[str], Desk]) -> None:
    """Its folder would be the box's own disk."""
    stick = desk("box")
    (stick.mounts / "sda1").mkdir()
    stick.places.requests.mkdir(exist_ok=True)
    (stick.places.requests / "sda1.request").write_text(json.dumps({"token": "t", "device": 0, "numbers": []}))
    stick_writer.serve(stick.places)
    assert (stick.log, json.loads((stick.places.outcomes / "sda1.json").read_text())["fault"]) == ([], "failed")


def test_results_cannot_go_to_a_share_and_to_a_stick() -> None:
    with pytest.raises(BadConfig, match="choose one of the two"):
        parse({"usb": {"results": "stick"}, "shares": {"out": "//a/b"}})


def test_neither_stick_looks_safe_to_remove_before_the_second_has_the_results(desk: Callable[[str], Desk]) -> None:
    """The one that takes results was plugged in first."""
    port = desk("second")
    port.write(2, "AnonBox-results/for results", b"")
    port.plug(2, "sda1")
    port.settled("safe to remove")
    port.write(1, "a.jpg", b"jpeg one")
    port.plug(1, "sdb1")
    early: list[str] = []

    def until() -> bool:
        is_safe = port.states() == ["safe to remove"] * 2
        early.extend(port.states() if is_safe and not port.results("sda1") else ())
        return is_safe and len(port.results("sda1")) == 1

    port.go(until)
    assert early == []
