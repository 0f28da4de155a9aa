"""The receiver, with DCMTK's clients where they are installed and with pynetdicom's everywhere."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from dicomnets import configured
from dicoms import ENDOSCOPIC, PIXELS, endoscopic, written
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from appliance.dicomnet.receive import RECEIVING, Receiver

STORESCU = shutil.which("storescu")
needs_dcmtk = pytest.mark.skipif(STORESCU is None, reason="storescu is not installed (dcmtk)")


@pytest.fixture
def receiver(home: Path) -> Iterator[Receiver]:
    made = Receiver(configured(home / "box"))
    made.start()
    yield made
    made.close()


def received(home: Path) -> list[Path]:
    return sorted(path for path in (home / "box" / "in" / "dicom").glob("[!.]*/*"))


def pictures(folder: Path, count: int, studies: int = 1) -> list[Path]:
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:04d}.dcm"
        study = f"1.2.276.0.7230010.3.1.2.{number % studies}"
        path.write_bytes(written(endoscopic(SOPInstanceUID=f"1.2.276.0.7230010.3.1.4.{number}", StudyInstanceUID=study)))
    return sorted(folder.iterdir())


def storescu(port: int, *what: str | Path, calling: str = "STATION", called: str = "ANONBOX") -> subprocess.CompletedProcess[str]:
    command = [str(STORESCU), "-aet", calling, "-aec", called, "127.0.0.1", str(port), *map(str, what)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@needs_dcmtk
def test_two_hundred_files_come_whole_and_by_study(receiver: Receiver, home: Path) -> None:
    sources = pictures(home / "source", 200, studies=2)
    assert storescu(receiver.port, *sources).returncode == 0
    arrived = received(home)
    assert len(arrived) == 200
    assert len({path.parent for path in arrived}) == 2
    assert not list((home / "box" / "in" / "dicom" / RECEIVING).iterdir())
    assert {path.read_bytes()[-768:] for path in arrived} == {sources[0].read_bytes()[-768:]}


@needs_dcmtk
@pytest.mark.parametrize(("calling", "called"), [("SOMEBODY", "ANONBOX"), ("STATION", "OTHERBOX")])
def test_who_does_not_know_the_names_is_rejected(calling: str, called: str, receiver: Receiver, home: Path) -> None:
    sources = pictures(home / "source", 1)
    assert storescu(receiver.port, *sources, calling=calling, called=called).returncode != 0
    assert received(home) == []


def client(title: str = "STATION") -> AE:
    made = AE(title)
    made.add_requested_context(Verification)
    made.add_requested_context(ENDOSCOPIC, "1.2.840.10008.1.2.1")
    return made


def test_an_echo_is_answered(receiver: Receiver) -> None:
    association = client().associate("127.0.0.1", receiver.port, ae_title="ANONBOX")
    assert association.send_c_echo().Status == 0
    association.release()


def test_an_address_that_is_not_listed_gets_no_answer(home: Path) -> None:
    made = Receiver(configured(home / "box", addresses="10.9.8.0/24"))
    made.start()
    with socket.create_connection(("127.0.0.1", made.port)) as line:
        line.settimeout(10)
        assert line.recv(1) == b""
    made.close()


def test_a_pdu_of_four_gibibytes_is_not_read(receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port)) as line:
        line.settimeout(20)
        line.sendall(struct.pack(">BBL", 1, 0, 0xFFFFFFF0) + bytes(1000))
        with suppress(ConnectionResetError):
            assert line.recv(1) == b""
    test_an_echo_is_answered(receiver)


def test_an_object_over_the_limit_is_refused_as_such_and_a_larger_one_is_cut_off(receiver: Receiver, home: Path) -> None:
    for mebibytes, status in ((1.5, 0xA900), (4, None)):
        association = client().associate("127.0.0.1", receiver.port, ae_title="ANONBOX")
        source = endoscopic()
        source.PixelData = bytes(int(mebibytes * 2**20))
        path = home / "large.dcm"
        path.write_bytes(written(source))
        assert association.send_c_store(path).get("Status") == status
        association.abort()
    for _ in range(100):
        left = list((home / "box" / "in" / "dicom" / RECEIVING).iterdir())
        if not left:
            break
        time.sleep(0.1)
    assert left == [] and received(home) == []


def test_a_disk_without_room_is_told(home: Path) -> None:
    config = configured(home / "box")
    made = Receiver(config)
    made._least_free = shutil.disk_usage(home).free * 3 // 2  # between the bound and half of it
    made.start()
    association = client().associate("127.0.0.1", made.port, ae_title="ANONBOX")
    path = home / "one.dcm"
    path.write_bytes(written(endoscopic()))
    assert association.send_c_store(path).Status == 0xA700
    made._least_free *= 2
    association.send_c_store(path)
    association.abort()
    made.close()
    assert received(home) == []


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_a_kill(home: Path) -> None:
    """The process is killed at an arbitrary moment while files come; every one that got 0000 is whole in the drop folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = home / "box"
    (box / "in").mkdir(parents=True)
    config = home / "box.toml"
    config.write_text(
        f'[intake]\nmin_free_mib = 0\n[dicom]\nport = {port}\nhost = "127.0.0.1"\ncallers = "STATION"\naddresses = "127.0.0.1"\n'
    )
    command = [sys.executable, "-m", "appliance", "dicom", "--config", str(config), "--box", str(box)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and "listens" in process.stderr.readline()
    association = client().associate("127.0.0.1", port, ae_title="ANONBOX")
    acknowledged = 0
    for number, path in enumerate(pictures(home / "source", 60)):
        if number == 40:
            os.kill(process.pid, signal.SIGKILL)
        if not association.is_established or association.send_c_store(path).get("Status") != 0:
            break
        acknowledged += 1
    process.wait()
    process.stderr.close()
    association.abort()
    whole = [path for path in received(home) if path.read_bytes()[-768:] == PIXELS]
    assert 40 <= acknowledged <= len(whole) <= acknowledged + 1
