"""The whole machine: make test-vm. Sticks, pulled and plugged in again, a power cut, a full disk, a redactor and a daemon that die.

Each test goes on where the one before stopped; a failed one is told by the page's words.
"""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from pathlib import Path

import pytest

from .machine import BOOT_S, SETTINGS, Machine, until
from .sticks import contents, make_stick, sums

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]


ONE, TWO, THREE = contents(0), contents(7, 120), contents(14, 120)
"""The larger ones take long enough for what happens to them in between."""


def good(*sticks: dict[str, bytes]) -> list[str]:
    """SHA-256 of the whole pictures on these sticks."""
    return sums(content for stick in sticks for name, content in stick.items() if name.endswith(".JPG"))


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_stick(tmp_path_factory.mktemp("sticks") / "one.img", ONE)


def test_the_installed_machine_boots_to_ready(machine: Machine) -> None:
    machine.becomes("Ready")
    assert machine.run("systemctl is-system-running --wait", check=False).strip() == "running", machine.run("systemctl --failed")


def test_it_was_installed_from_the_bundle_alone(machine: Machine, build: Path, tmp_path: Path) -> None:
    """image.sh cut it off the network; here: there is no compiler, and the C extension is the one of the bundle's wheel."""
    assert machine.run("command -v gcc cc clang", check=False) == ""
    installed = machine.fetch("/opt/anonbox/current/lib/python3*/site-packages/appliance")
    (bundle,) = (build / "bundle").glob("*.tar")
    with tarfile.open(bundle) as archive:
        (wheel,) = (member for member in archive.getmembers() if Path(member.name).match("wheels/anonbox-*.whl"))
        archive.extract(wheel, tmp_path, filter="data")
    with zipfile.ZipFile(tmp_path / wheel.name) as program:
        extensions = {name: program.read(name) for name in program.namelist() if name.endswith(".so")}
    assert [Path(name).match("formats/_coefficients*.so") for name in extensions] == [True]
    for name, content in extensions.items():
        assert installed[name.removeprefix("appliance/")] == hashlib.sha256(content).hexdigest()


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


def test_the_outputs_are_right_byte_by_byte(machine: Machine) -> None:
    """The same pictures once more, through `anonbox redact`, give the same bytes; nothing else is in out/."""
    out = machine.fetch("/var/lib/anonbox/out")
    assert len(out) == 30
    originals = machine.fetch("/var/lib/anonbox/done")
    assert sorted(originals.values()) == good(ONE)
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
    second = make_stick(tmp_path / "two.img", TWO)
    machine.plug("two", second)
    machine.wait_for("some of it read", lambda now: any(0 < stick["done"] < 60 for stick in now["sticks"]), 300)
    machine.pull("two")
    machine.wait_for("pulled too early", lambda now: [stick["state"] for stick in now["sticks"]] == ["pulled too early"], 60)
    machine.becomes("Needs attention")
    machine.plug("two2", second)
    machine.wait_for("it goes on", lambda now: any(60 < stick["done"] < 115 for stick in now["sticks"]), 300)
    machine.power_cut()
    machine.boot()
    machine.wait_for("up again", lambda now: now["state"] == "Ready", BOOT_S)
    machine.plug("two3", second)
    now = machine.wait_for("safe to remove", lambda now: now["state"] == "Safe to remove", 600)
    assert (now["sticks"][0]["done"], now["sticks"][0]["total"]) == (121, 121)
    assert sorted(machine.fetch("/var/lib/anonbox/done").values()) == good(ONE, TWO), "each once, none lost"
    assert len(machine.fetch("/var/lib/anonbox/out")) == 150
    assert machine.fetch("/var/lib/anonbox/state/work") == {}
    machine.pull("two3")


def test_a_full_disk_is_said_and_waited_for(machine: Machine, tmp_path: Path) -> None:
    before = machine.status()["done_ever"]
    machine.run("fallocate -l $(( $(stat -f -c '%a*%S' /) - 32*1024*1024 )) /var/lib/full")
    machine.becomes("Waiting for space", 60)
    machine.plug("three", make_stick(tmp_path / "three.img", THREE))
    machine.wait_for("the stick on the page", lambda now: bool(now["sticks"]), 120)
    now = machine.becomes("Waiting for space")
    assert (now["done_ever"], now["sticks"][0]["done"]) == (before, 0)
    machine.run("rm /var/lib/full")
    machine.wait_for("it goes on by itself", lambda now: now["done_ever"] > before, 120)


def test_a_redactor_killed_in_the_middle_of_a_picture_loses_nothing(machine: Machine) -> None:
    """The stick of the test before is being read. A hidden file in out/ is a picture that the redactor has in its hands: it is stopped
    for the look, so that none is finished between look and kill."""
    assert machine.status()["sticks"][0]["done"] < 100
    killed = machine.run("""
        for turn in $(seq 200); do
            process=$(pgrep -f [a]ppliance.redactor.process) && kill -STOP $process || continue
            if ls /var/lib/anonbox/out/.E*.part >/dev/null 2>&1; then kill -KILL $process; echo $process; exit; fi
            kill -CONT $process; sleep 0.05
        done; exit 1""").strip()
    machine.becomes("Safe to remove", 600)
    assert machine.run("pgrep -f [a]ppliance.redactor.process").strip() not in ("", killed)
    told = machine.run("journalctl -b -u anonbox --no-pager")
    assert "lost the redactor, try 1 of 3" in told
    assert "keeps failing" not in told, "once is not a call for help"
    assert sorted(machine.fetch("/var/lib/anonbox/done").values()) == good(ONE, TWO, THREE), "each once, none lost"
    assert len(machine.fetch("/var/lib/anonbox/out")) == 270
    assert machine.status()["refused_ever"] == 1, "the broken one, which is the same on every stick"
    machine.pull("three")


def test_a_stopped_daemon_is_started_anew_by_the_watchdog(machine: Machine) -> None:
    machine.becomes("Ready")
    old = machine.run("systemctl show -P MainPID anonbox").strip()
    machine.run(f"kill -STOP {old}")
    machine.becomes("Needs attention", 60)
    machine.becomes("Ready")
    assert machine.run("systemctl show -P MainPID anonbox").strip() not in ("0", old)
    assert "Watchdog timeout" in machine.run("journalctl -b -u anonbox --no-pager")


def test_a_wrong_setting_is_told_with_its_key_until_it_is_right(machine: Machine) -> None:
    """By the page and to whoever sends messages; the daemon does not start with it, and is not tried over and over."""
    units = "anonbox-page anonbox-signal"
    machine.run(f"cp -p {SETTINGS} /root/right; printf '[signal]\\nsoond = 1\\n' >>{SETTINGS}")
    machine.run(f"systemctl restart {units}; ! systemctl restart anonbox")
    machine.wait_for("what is wrong", lambda now: now["state"] == "Needs attention" and "signal.soond" in now["detail"], 120)
    assert "signal.soond" in machine.page()
    until(lambda: "Needs attention" in machine.run("cat /run/anonbox-signal/state", check=False), 180, "a message is asked for")
    assert machine.run("systemctl show -p ExecMainStatus -p NRestarts anonbox").split() == ["NRestarts=0", "ExecMainStatus=78"]
    machine.run(f"mv /root/right {SETTINGS}; systemctl reset-failed anonbox; systemctl restart anonbox {units}", BOOT_S)
    machine.becomes("Ready")
