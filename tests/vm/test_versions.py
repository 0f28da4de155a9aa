"""From version to version: installed again, updates that are taken, refused and gone back from, and the box taken off the machine.

Real: bundles sealed by bundle.sh, their signatures, `anonbox update`, the installer with its self-test, systemd. Not real: the network in
them, which is network.py's stand-in, with masks of its own in reference.json; the self-test of the true one ran in image.sh.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .machine import BOOT_S, Machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]
CURRENT = "readlink /opt/anonbox/current"


def versions(machine: Machine) -> set[str]:
    """The versions whose files any process of the box has open in memory."""
    found = machine.run("cat /proc/[0-9]*/maps 2>/dev/null | grep -o '/opt/anonbox/versions/[^/]*' | sort -u", check=False)
    return set(found.split())


def update(machine: Machine, name: str) -> tuple[int, str]:
    """Exit code of `anonbox update`, and what it said."""
    command = f"anonbox update /run/anonbox/usb/sd*/{name}.tar 2>&1; echo $?"
    said, code = machine.run(command, BOOT_S).strip().rsplit("\n", 1)
    return int(code), said


def test_installing_again_changes_nothing(machine: Machine) -> None:
    before = machine.run(f"{CURRENT}; ls /opt/anonbox/versions")
    said = machine.run("/root/anonbox-*/deploy/install.sh 2>&1", BOOT_S)
    assert "passed  whole box and watchdog" in said, "the self-test, by the stand-in"
    assert machine.run(f"{CURRENT}; ls /opt/anonbox/versions") == before
    machine.becomes("Ready")


@pytest.fixture(scope="module")
def stick(machine: Machine, build: Path) -> None:
    """The updates come on a stick, as somebody brings them."""
    machine.plug("updates", build / "updates.img")
    now = machine.becomes("Safe to remove")
    assert now["sticks"][0]["not_released"] == {"other": 4}


def test_an_update_of_a_stranger_changes_nothing(machine: Machine, stick: None) -> None:
    before = machine.run(f"{CURRENT}; ls -R /opt/anonbox/versions | md5sum; systemctl show -P MainPID anonbox")
    code, said = update(machine, "stranger")
    assert (code != 0, "the signature is not one of" in said) == (True, True), said
    assert machine.run(f"{CURRENT}; ls -R /opt/anonbox/versions | md5sum; systemctl show -P MainPID anonbox") == before


def test_an_update_that_fails_its_self_test_never_runs(machine: Machine, stick: None) -> None:
    before = machine.run(f"{CURRENT}; systemctl show -P MainPID anonbox anonbox-page.socket anonbox-signal")
    code, said = update(machine, "blind")
    assert code != 0
    assert "the network does not find the text of a drawn picture" in said
    assert "the self-test failed, see above; nothing was changed that runs" in said
    assert machine.run(f"{CURRENT}; systemctl show -P MainPID anonbox anonbox-page.socket anonbox-signal") == before
    assert machine.becomes("Safe to remove")["version"] == "0.2.0"


def test_an_update_that_does_not_start_is_gone_back_from(machine: Machine, stick: None) -> None:
    before = machine.run(CURRENT).strip()
    code, said = update(machine, "broken")
    assert code != 0
    assert "this version does not start; back to 0.2.0-" in said
    assert machine.run(CURRENT).strip() == before
    assert machine.becomes("Safe to remove")["version"] == "0.2.0"
    assert versions(machine) == {before}, "nothing of the other version runs"
    assert machine.run("systemctl list-units --failed --no-legend 'anonbox*'") == ""


def test_an_update_is_taken(machine: Machine, stick: None) -> None:
    before, pictures = machine.run(CURRENT).strip(), machine.fetch("/var/lib/anonbox/done")
    code, said = update(machine, "next")
    assert code == 0, said
    after = machine.run(CURRENT).strip()
    assert after.startswith("/opt/anonbox/versions/0.2.1-")
    assert machine.becomes("Safe to remove")["version"] == "0.2.1"
    assert "0.2.1" in machine.page()
    assert versions(machine) == {after}
    assert set(machine.run("ls -d /opt/anonbox/versions/*").split()) == {before, after}, "one to go back to, and no more"
    assert machine.fetch("/var/lib/anonbox/done") == pictures
    machine.pull("updates")
    machine.becomes("Ready")


def test_uninstalling_leaves_pictures_and_settings(machine: Machine) -> None:
    pictures = machine.fetch("/var/lib/anonbox/done")
    machine.run("/root/anonbox-*/deploy/uninstall.sh", 300)
    left = machine.run("find /etc /opt /usr /run -xdev -name '*anonbox*' -not -path '/etc/credstore*' 2>/dev/null", check=False).split()
    assert set(left) <= {"/etc/anonbox", "/etc/anonbox/anonbox.toml", "/etc/anonbox/anonbox.toml.image"}
    assert machine.run("systemctl list-unit-files 'anonbox*' --no-legend", check=False).strip() == ""
    assert "/run/anonbox" not in machine.run("cat /proc/mounts")
    assert machine.fetch("/var/lib/anonbox/done") == pictures
    assert machine.run("id -un anonbox").strip() == "anonbox"


def test_purging_leaves_nothing(machine: Machine) -> None:
    """All is as image.sh saw it before the first installation, but for what these tests themselves made."""
    machine.run("/root/anonbox-*/deploy/uninstall.sh --purge", 300)
    others = "^< /etc/anonbox|/etc/hosts |/etc/credstore.encrypted d|/machine-id |/etc/apparmor.d/samba/"
    changed = machine.run(f"sh /root/files | diff /root/files.before - | grep '^[<>]' | grep -Ev '{others}'", check=False)
    assert changed == ""
    assert machine.run("getent passwd anonbox anonbox-page; getent group anonbox anonbox-page anonbox-staff", check=False) == ""
    assert machine.run("find /run /dev/shm /tmp -name '*anonbox*'").split() == []
