"""Shares: the box's own, from outside by smbclient; and a hospital's, which the box mounts, and which crashes and is cut off."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from .hospital import NFS_SETTINGS, SETTINGS, Hospital
from .machine import Machine
from .sticks import pictures, sums

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1500)]
OUT, DONE, AWAY = "/var/lib/anonbox/out", "/var/lib/anonbox/done", "Waiting for share"
NEGOTIATE = (
    b"\xfeSMB"
    + struct.pack("<H58x", 64)
    + struct.pack("<HHHHI16xIHHH2x", 36, 1, 1, 0, 0, 104, 1, 0, 0x0311)
    + struct.pack("<HHIHHH32x", 1, 38, 0, 1, 32, 1)
)
"""SMB 3.1.1's first request, which says that the client can sign and need not ([MS-SMB2] 2.2.3)."""


def smb(machine: Machine, share: str, command: str, login: str = "nurse%secret", dialect: str = "SMB3_11") -> tuple[int, str]:
    """Exit code of smbclient, and what it said. login : "" is nobody; dialect : the newest that it offers"""
    who = ["-U", login] if login else ["-N"]
    words = ["smbclient", "-p", str(machine.smb_port), "-m", dialect, *who, f"//127.0.0.1/{share}", "-c", command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    return result.returncode, result.stdout + result.stderr


def test_pictures_dropped_on_the_box_come_out_on_its_other_share(machine: Machine, tmp_path: Path) -> None:
    dropped, before = pictures(40, 6), set(machine.fetch(OUT))
    for name, content in dropped.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "got").mkdir()
    code, said = smb(machine, "in", f"mkdir MUSTERMANN; cd MUSTERMANN; lcd {tmp_path}; prompt; mput IMG_*")
    assert code == 0, said
    done = machine.status()["done_ever"] + 6
    machine.wait_for("all six done", lambda now: now["done_ever"] == done and now["state"] == "Ready", 120)
    assert not [path for path in machine.fetch("/var/lib/anonbox/in") if "IMG" in path]
    code, said = smb(machine, "out", f"recurse; prompt; lcd {tmp_path / 'got'}; mget *")
    assert code == 0, said
    got = {str(path.relative_to(tmp_path / "got")): path.read_bytes() for path in (tmp_path / "got").rglob("*.*")}
    results = machine.fetch(OUT)
    assert sums(got.values()) == sorted(results.values())
    assert len(set(results) - before) == 6
    assert not set(sums(got.values())) & set(sums(dropped.values()))


@pytest.mark.parametrize(
    ("share", "command", "login", "answer"),
    [
        pytest.param("out", "put /etc/hostname x", "nurse%secret", "ACCESS_DENIED", id="out cannot be written"),
        pytest.param("out", "mkdir x", "nurse%secret", "ACCESS_DENIED", id="no folder in out"),
        pytest.param("out", "rename {folder} x", "nurse%secret", "ACCESS_DENIED", id="nothing in out is renamed"),
        pytest.param("out", "del {folder}/{name}", "nurse%secret", "ACCESS_DENIED", id="nothing in out is deleted"),
        pytest.param("in", "get ../state/journal.sqlite /dev/null", "nurse%secret", "OBJECT_PATH_NOT_FOUND", id="no way out of in"),
        pytest.param("in", "ls leads-away/*", "nurse%secret", "", id="no link is followed"),
        pytest.param("in", "get leads-away/hostname /dev/null", "nurse%secret", "", id="nor read through"),
        pytest.param("state", "ls", "nurse%secret", "BAD_NETWORK_NAME", id="no other folder"),
        pytest.param("in", "ls", "", "ACCESS_DENIED", id="no guest in in"),
        pytest.param("out", "ls", "", "ACCESS_DENIED", id="no guest in out"),
        pytest.param("out", "ls", "nurse%wrong", "LOGON_FAILURE", id="no wrong password"),
        pytest.param("in", "ls", "root%secret", "LOGON_FAILURE", id="nobody without a password of its own"),
        pytest.param("in", "ls", "visitor%secret", "ACCESS_DENIED", id="nobody who is not in anonbox-staff"),
    ],
)
def test_what_the_box_does_not_let_happen(machine: Machine, share: str, command: str, login: str, answer: str) -> None:
    machine.run(
        "ln -sfn /etc /var/lib/anonbox/in/leads-away; id visitor >/dev/null 2>&1 || "
        "{ useradd -M -s /usr/sbin/nologin visitor && printf 'secret\\nsecret\\n' | smbpasswd -s -a visitor; }"
    )
    before = machine.fetch(OUT)
    folder, _, name = max(before).partition("/")
    _, said = smb(machine, share, command.format(folder=folder, name=name), login)
    machine.run("rm /var/lib/anonbox/in/leads-away")
    assert f"NT_STATUS_{answer}" in said, said
    assert machine.fetch(OUT) == before


def test_whoever_does_not_sign_is_not_served(machine: Machine) -> None:
    """The server's first answer says that it signs, and that it wants all others to; no dialect before SMB 3.0 is spoken."""
    with socket.create_connection(("127.0.0.1", machine.smb_port), timeout=60) as line:
        line.sendall(len(NEGOTIATE).to_bytes(4, "big") + NEGOTIATE)
        answer = line.recv(4096)[4:]
    assert (answer[:4], answer[8:12]) == (b"\xfeSMB", bytes(4))
    assert answer[66] & 2, "SMB2_NEGOTIATE_SIGNING_REQUIRED"
    assert smb(machine, "out", "ls", dialect="SMB2_10")[0]
    assert not smb(machine, "out", "ls", dialect="SMB3_00")[0]


@pytest.fixture(scope="module")
def hospital(machine: Machine) -> Hospital:
    """The box is told of its shares as an administrator tells it, and has nothing else in out/ that would be delivered."""
    hospital = Hospital(machine)
    machine.run(f"rm -rf {OUT}/*")
    machine.configure(SETTINGS, AWAY)
    for name in ("in", "out"):
        credential = f"systemd-creds encrypt --name=share - /etc/credstore.encrypted/anonbox-share-{name}"
        machine.run(f"mkdir -p -m 700 /etc/credstore.encrypted && {credential}", stdin="username=hospital\npassword=other\n")
    machine.run("/root/anonbox-*/deploy/install.sh", 900)
    return hospital


def all_arrived(machine: Machine, done: int) -> None:
    machine.wait_for("all done", lambda now: now["done_ever"] == done and now["state"] == "Ready", 300)
    end = time.monotonic() + 120
    while machine.fetch(OUT) and time.monotonic() < end:
        time.sleep(1)
    assert machine.fetch(OUT) == {}, "what was delivered leaves the box"


def check(machine: Machine, hospital: Hospital, *sets: dict[str, bytes]) -> None:
    """Every picture of these came once, whole, and redacted."""
    originals = sums(content for files in sets for content in files.values())
    assert hospital.waiting() == 0
    kept = list(machine.fetch(DONE).values())
    assert [kept.count(original) for original in originals] == [1] * len(originals), "each once, none lost"
    delivered = machine.fetch(f"{hospital.SHARE}/out")
    assert len(delivered) == len(originals)
    last = max(delivered).partition("/")[0]
    machine.run("rm -rf /tmp/again && mkdir /tmp/again")
    machine.run(f"/opt/anonbox/current/bin/anonbox redact {DONE}/{last} --out /tmp/again", 600)
    here = sorted(content for name, content in delivered.items() if name.startswith(last))
    assert here == sorted(machine.fetch("/tmp/again").values()), "what was delivered is what the box made"


FIRST, SECOND, THIRD, FOURTH = pictures(80, 12), pictures(120), pictures(160), pictures(180)


def test_a_hospitals_shares_are_mounted_and_served(machine: Machine, hospital: Hospital) -> None:
    machine.becomes("Ready")
    assert {(share["folder"], share["state"]) for share in machine.status()["shares"]} == {("in", "connected"), ("out", "connected")}
    mounts = [line for line in machine.run("cat /proc/mounts").splitlines() if " cifs " in line]
    assert len(mounts) == 2
    assert all("nosuid,nodev,noexec" in line and "vers=3" in line and "other" not in line for line in mounts)
    done = machine.status()["done_ever"]
    hospital.put("MUSTERMANN", FIRST)
    all_arrived(machine, done + len(FIRST))
    check(machine, hospital, FIRST)


def test_a_server_that_crashes_is_waited_for(machine: Machine, hospital: Hospital) -> None:
    """It comes back after the box gave its mounts up, so that they have to be mounted anew; nothing is written where they were."""
    done = machine.status()["done_ever"]
    hospital.put("second", SECOND)
    hospital.crash(left=20)
    machine.becomes(AWAY, 120)
    left = hospital.waiting()
    assert left > 0
    machine.run("umount -l /run/anonbox/shares/in /run/anonbox/shares/out")
    time.sleep(15)
    now = machine.becomes(AWAY)
    assert hospital.waiting() == left
    assert now["waiting"] == now["working"] == 0, "what the box has fetched is done meanwhile"
    assert " cifs " not in machine.run("cat /proc/mounts")
    machine.run("systemctl stop run-anonbox-shares-in.automount run-anonbox-shares-out.automount")
    assert machine.run("find /run/anonbox/shares -mindepth 2") == ""
    machine.run("systemctl start run-anonbox-shares-in.automount run-anonbox-shares-out.automount")
    hospital.serve()
    all_arrived(machine, done + len(SECOND))
    check(machine, hospital, FIRST, SECOND)


def cut_and_mended(machine: Machine, hospital: Hospital, folder: str, files: dict[str, bytes]) -> None:
    done = machine.status()["done_ever"]
    hospital.put(folder, files)
    hospital.cut(left=20)
    machine.becomes(AWAY, 120)
    assert hospital.waiting() > 0
    assert machine.run("systemctl is-active anonbox").strip() == "active"
    hospital.mend()
    all_arrived(machine, done + len(files))


def test_a_cable_that_is_cut_is_waited_for(machine: Machine, hospital: Hospital) -> None:
    cut_and_mended(machine, hospital, "third", THIRD)
    check(machine, hospital, FIRST, SECOND, THIRD)
    restarts = machine.run("systemctl show -P NRestarts anonbox").strip()
    assert restarts == "0", "a share that hangs holds up nothing, the watchdog least of all"


def test_the_same_by_nfs(machine: Machine, hospital: Hospital) -> None:
    """Other shares in the settings, the installer once more; then the cable again."""
    hospital.serve_by_nfs()
    machine.configure(NFS_SETTINGS, AWAY)
    machine.run("/root/anonbox-*/deploy/install.sh", 900)
    machine.becomes("Ready")
    mounts = [line.split() for line in machine.run("cat /proc/mounts").splitlines() if "/run/anonbox/shares/" in line]
    shares = [(kind, options) for _, _, kind, options, *_ in mounts if kind != "autofs"]
    assert [kind for kind, _ in shares] == ["nfs4", "nfs4"]
    assert all("nosuid,nodev,noexec" in options and "soft" in options for _, options in shares)
    cut_and_mended(machine, hospital, "fourth", FOURTH)
    check(machine, hospital, FIRST, SECOND, THIRD, FOURTH)
