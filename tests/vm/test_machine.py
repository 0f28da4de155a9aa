"""The whole machine, one story: make test-vm. Each test goes on where the one before stopped; a failed one is told by the page's words."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import encoded, picture

from .machine import BOOT_S, Machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]
BUILD = Path(__file__).parents[2] / "build/vm"
SIDE_FILES = ("DCIM/report.pdf", "patient.txt", "DCIM/Thumbs.db", "DICOMDIR", "study.xml")


def contents(number: int) -> dict[str, bytes]:
    """A stick's files: 30 pictures with white squares for text, one of them deep down; side files; odd names; a broken picture."""
    pictures = {}
    for index in range(30):
        folder = "deep/" * 8 if index == 29 else f"DCIM/{100 + index // 10}"
        square = (32 + index, 48 + number, 24)
        pictures[f"{folder}/IMG_{index}.JPG".replace("//", "/")] = encoded(picture(squares=(square,)))
    files = {**pictures, **{name: f"Mustermann {name}".encode() for name in SIDE_FILES}}
    files["broken.jpg"] = pictures["DCIM/100/IMG_0.JPG"][:900]
    files["link.lnk"] = b"a name like a link's"
    return files


def make_stick(path: Path, files: dict[str, bytes]) -> Path:
    subprocess.run(["truncate", "-s", "64M", path], check=True)
    subprocess.run(["mkfs.vfat", "-F", "32", "-n", "MUSTERMANN", path], check=True, capture_output=True)
    folder = path.with_suffix(".files")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    subprocess.run(["mcopy", "-s", "-Q", "-i", path, *folder.iterdir(), "::/"], check=True)
    return path


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    assert (BUILD / "disk.raw").exists(), "make test-vm builds the image first"
    machine = Machine(BUILD, tmp_path_factory.mktemp("vm") / "layer.qcow2")
    machine.boot()
    yield machine
    machine.power_cut()


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_stick(tmp_path_factory.mktemp("sticks") / "one.img", contents(0))


def test_the_installed_machine_boots_to_ready(machine: Machine) -> None:
    machine.wait_for("ready after the boot", lambda now: now["state"] == "Ready", BOOT_S)
    assert machine.run("systemctl is-system-running --wait", check=False).strip() == "running", machine.run("systemctl --failed")
    assert "Ready" in machine.page()


def test_a_stick_is_read_until_safe_to_remove(machine: Machine, stick: Path) -> None:
    before = hashlib.sha256(stick.read_bytes()).hexdigest()
    machine.plug("one", stick)
    machine.wait_for("a stick on the page", lambda now: bool(now["sticks"]), 120)
    now = machine.wait_for("safe to remove", lambda now: now["state"] == "Safe to remove", 600)
    (seen,) = now["sticks"]
    assert (seen["state"], seen["done"], seen["total"], seen["unreadable"]) == ("safe to remove", 31, 31, 0)
    assert seen["not_released"] == {"PDF": 1, "text": 1, "thumbnail database": 1, "DICOM": 1, "XML or HTML": 1, "other": 1}
    assert "MUSTERMANN" not in machine.page().upper()
    machine.pull("one")
    machine.wait_for("ready when it is pulled", lambda now: now["state"] == "Ready" and not now["sticks"], 60)
    assert hashlib.sha256(stick.read_bytes()).hexdigest() == before, "nothing is written to a stick"
    assert machine.status()["done_ever"] == 30
    assert machine.status()["refused_ever"] == 1


def test_the_outputs_are_those_of_this_machine_byte_by_byte(machine: Machine, tmp_path: Path) -> None:
    """The same pictures through `anonbox redact` here give the same bytes; nothing else is in out/."""
    pictures = {name: content for name, content in contents(0).items() if name.endswith(".JPG")}
    for index, content in enumerate(pictures.values()):
        (tmp_path / f"{index}.jpg").write_bytes(content)
    machine.run("mkdir -p /tmp/again")
    out = machine.fetch("/var/lib/anonbox/out")
    assert len(out) == 30
    originals = machine.fetch("/var/lib/anonbox/done")
    assert sorted(originals.values()) == sorted(hashlib.sha256(content).hexdigest() for content in pictures.values())
    machine.run("/opt/anonbox/current/bin/anonbox redact /var/lib/anonbox/done --out /tmp/again", 600)
    assert sorted(machine.fetch("/tmp/again").values()) == sorted(out.values())
    assert not set(out.values()) & set(originals.values())


def test_the_same_stick_again_is_already_done(machine: Machine, stick: Path) -> None:
    machine.plug("again", stick)
    now = machine.wait_for("safe to remove", lambda now: now["state"] == "Safe to remove", 300)
    (seen,) = now["sticks"]
    assert (seen["done"], seen["total"], seen["already_done"]) == (31, 31, 31)
    machine.pull("again")
    machine.wait_for("ready", lambda now: now["state"] == "Ready")
    assert machine.status()["done_ever"] == 30


def test_pulled_while_it_is_read_then_power_cut_then_all_arrives_once(machine: Machine, tmp_path: Path) -> None:
    second = make_stick(tmp_path / "two.img", contents(7))
    machine.plug("two", second)
    machine.wait_for("some of it read", lambda now: any(0 < stick["done"] < 25 for stick in now["sticks"]), 300)
    machine.pull("two")
    machine.wait_for("pulled too early", lambda now: [stick["state"] for stick in now["sticks"]] == ["pulled too early"], 60)
    machine.plug("two2", second)
    machine.wait_for("it goes on", lambda now: any(0 < stick["done"] < 29 and stick["state"] == "working" for stick in now["sticks"]), 300)
    machine.power_cut()
    machine.boot()
    machine.wait_for("up again", lambda now: now["state"] == "Ready", BOOT_S)
    machine.plug("two3", second)
    now = machine.wait_for("safe to remove", lambda now: now["state"] == "Safe to remove", 600)
    assert (now["sticks"][0]["done"], now["sticks"][0]["total"]) == (31, 31)
    expected = [content for number in (0, 7) for name, content in contents(number).items() if name.endswith(".JPG")]
    done = machine.fetch("/var/lib/anonbox/done")
    assert sorted(done.values()) == sorted(hashlib.sha256(content).hexdigest() for content in expected), "each once, none lost"
    assert len(machine.fetch("/var/lib/anonbox/out")) == 60
    assert machine.fetch("/var/lib/anonbox/state/work") == {}
    machine.pull("two3")


def test_a_full_disk_is_said_and_waited_for_and_a_killed_redactor_loses_nothing(machine: Machine, tmp_path: Path) -> None:
    before = machine.status()["done_ever"]
    third = make_stick(tmp_path / "three.img", contents(14))
    machine.run("fallocate -l $(( $(stat -f -c '%a*%S' /) - 32*1024*1024 )) /var/lib/full")
    machine.wait_for("waiting for space", lambda now: now["state"] == "Waiting for space", 60)
    machine.plug("three", third)
    machine.wait_for("the stick on the page", lambda now: bool(now["sticks"]), 120)
    now = machine.status()
    assert (now["state"], now["done_ever"], now["sticks"][0]["done"]) == ("Waiting for space", before, 0)
    machine.run("rm /var/lib/full")
    machine.wait_for("it goes on by itself", lambda now: now["done_ever"] > before, 120)
    machine.run("pkill -KILL -f appliance.redactor.process")
    machine.wait_for("safe to remove", lambda now: now["state"] == "Safe to remove", 600)
    expected = [content for number in (0, 7, 14) for name, content in contents(number).items() if name.endswith(".JPG")]
    done = machine.fetch("/var/lib/anonbox/done")
    assert sorted(done.values()) == sorted(hashlib.sha256(content).hexdigest() for content in expected), "each once, none lost"
    assert len(machine.fetch("/var/lib/anonbox/out")) == 90
    machine.pull("three")


def test_a_stopped_daemon_is_started_anew_by_the_watchdog(machine: Machine) -> None:
    old = machine.run("systemctl show -P MainPID anonbox").strip()
    machine.run(f"kill -STOP {old}")
    machine.wait_for("the page says that it does not report", lambda now: now["state"] == "Needs attention", 60)
    machine.wait_for("ready again", lambda now: now["state"] == "Ready", 300)
    assert machine.run("systemctl show -P MainPID anonbox").strip() not in ("0", old)


def test_installing_again_changes_nothing_and_uninstalling_leaves_the_pictures(machine: Machine) -> None:
    before = machine.run("readlink /opt/anonbox/current; ls /opt/anonbox/versions")
    # all of it but the self-test, which must not pass with network.py's stand-in; image.sh ran that twice with the real network
    machine.run("cd /root/anonbox-* && bash -c '. deploy/install.sh; self_test() { :; }; main'", 900)
    assert machine.run("readlink /opt/anonbox/current; ls /opt/anonbox/versions") == before
    machine.wait_for("ready", lambda now: now["state"] == "Ready", 300)
    machine.run("/root/anonbox-*/deploy/uninstall.sh", 300)
    assert machine.run("find / -xdev -path '*anonbox*' -prune -print").splitlines()
    left = machine.run("find /etc /opt /usr /run -xdev -name '*anonbox*' 2>/dev/null", check=False).split()
    assert left == ["/etc/anonbox"] or set(left) <= {"/etc/anonbox", "/etc/anonbox/anonbox.toml"}
    assert machine.run("systemctl list-unit-files 'anonbox*' --no-legend", check=False).strip() == ""
    assert len(machine.fetch("/var/lib/anonbox/out")) == 90
