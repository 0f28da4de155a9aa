"""Results that come back onto sticks: anonbox-results.service on real FAT, by way of short read-write remounts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .machine import Machine
from .sticks import contents, files_of, make_stick, sums

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]
RESULT = re.compile(r"AnonBox-out-([0-9]{4})/E[0-9]{6}-[0-9]{4}\.(JPG|jpg)")


def mounts(machine: Machine) -> list[str]:
    """How each stick is mounted now, its first option."""
    return [line.split()[3].split(",")[0] for line in machine.run("cat /proc/mounts").splitlines() if " /run/anonbox/usb/" in line]


def safe_to_remove(machine: Machine, name: str, stick: Path) -> dict[str, Any]:
    """Plug it in, let the box read it and write onto it; what the page says of it then."""
    machine.plug(name, stick)
    machine.wait_for("the stick on the page", lambda now: bool(now["sticks"]), 120)
    assert mounts(machine) == ["ro"]
    seen: dict[str, Any] = machine.becomes("Safe to remove", 600)["sticks"][0]
    assert mounts(machine) == ["ro"]
    return seen


def pulled(machine: Machine, name: str) -> None:
    machine.pull(name)
    assert not machine.becomes("Ready")["sticks"]


def read(machine: Machine, name: str, stick: Path) -> None:
    safe_to_remove(machine, name, stick)
    pulled(machine, name)


def new_results(machine: Machine, before: dict[str, str]) -> list[str]:
    return sorted(content for name, content in machine.fetch("/var/lib/anonbox/out").items() if name not in before)


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_stick(tmp_path_factory.mktemp("sticks") / "four.img", contents(21))


def test_results_come_back_onto_the_same_stick(machine: Machine, stick: Path, tmp_path: Path) -> None:
    machine.configure('[usb]\nresults = "stick"\n')
    before, own = machine.fetch("/var/lib/anonbox/out"), contents(21)
    read(machine, "four", stick)
    results = new_results(machine, before)
    assert len(results) == 30
    found = files_of(stick, tmp_path)
    assert {name: found.pop(name, b"") for name in own} == own, "what was on it is as it was"
    assert {RESULT.fullmatch(name)[1] for name in found} == {"0001"}  # type: ignore[index]
    assert sums(found.values()) == results, "the very files of out/, and nothing else"


def test_plugged_in_again_it_gets_nothing_twice(machine: Machine, stick: Path, tmp_path: Path) -> None:
    read(machine, "again4", stick)
    assert len(files_of(stick, tmp_path)) == len(contents(21)) + 30


def test_a_second_stick_takes_the_results_of_the_first(machine: Machine, tmp_path: Path) -> None:
    machine.configure('[usb]\nresults = "second"\n')
    before, own = machine.fetch("/var/lib/anonbox/out"), {"AnonBox-results/read me.txt": b"for results", "holiday.jpg": b"not to be read"}
    first, second = make_stick(tmp_path / "five.img", contents(28)), make_stick(tmp_path / "six.img", own)
    machine.plug("six", second)
    machine.becomes("Safe to remove")
    unread = first.read_bytes()
    machine.plug("five", first)
    machine.wait_for("the stick on the page", lambda now: len(now["sticks"]) == 2, 120)
    machine.wait_for("both may go", lambda now: {stick["state"] for stick in now["sticks"]} == {"safe to remove"}, 600)
    now = machine.becomes("Safe to remove", 600)
    assert sorted(stick["total"] for stick in now["sticks"]) == [0, 31], "the second is not read"
    assert mounts(machine) == ["ro", "ro"]
    machine.pull("five")
    machine.pull("six")
    machine.becomes("Ready")
    results = new_results(machine, before)
    assert len(results) == 30
    (tmp_path / "six").mkdir()
    found = files_of(second, tmp_path / "six")
    assert {name: found.pop(name, b"") for name in own} == own
    assert all(map(RESULT.fullmatch, found)), list(found)
    assert sums(found.values()) == results
    assert first.read_bytes() == unread
    machine.configure("")
