"""The sender, against a node of pynetdicom's and, where it is installed, DCMTK's storescp."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dicomnets import configured
from dicoms import ENDOSCOPIC, ULTRASOUND, endoscopic, written
from pynetdicom import AE, evt

from appliance.dicomnet.send import REFUSED_AGAIN_S, Sender

EXPLICIT = "1.2.840.10008.1.2.1"


@contextmanager
def node(answers: Callable[[], int] = lambda: 0, port: int = 0) -> Iterator[tuple[int, list[str]]]:
    """A node that takes endoscopic pictures; its port, and the UIDs of what it was offered."""
    entity, got = AE("PACS"), []
    entity.add_supported_context(ENDOSCOPIC, EXPLICIT)

    def store(event: evt.Event) -> int:
        got.append(str(event.request.AffectedSOPInstanceUID))
        return answers()

    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    yield server.server_address[1], got
    server.shutdown()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def sender(home: Path, port: int, clock: Callable[[], float] = time.monotonic) -> Sender:
    config = configured(home / "box", send_to=f"PACS@127.0.0.1:{port}")
    return Sender(config, home / "sent", home / "status.json", clock)


def result(home: Path, name: str, sop_class: str = ENDOSCOPIC) -> str:
    path = home / "box" / "out" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    uid = f"1.2.276.0.7230010.3.1.4.{abs(hash(name)) % 10**6}"
    path.write_bytes(written(endoscopic(sop_class, SOPInstanceUID=uid)))
    return uid


def told(home: Path) -> dict[str, object]:
    value: dict[str, object] = json.loads((home / "status.json").read_text())
    return value


def test_results_are_sent_in_order_and_once(home: Path) -> None:
    uids = [result(home, name) for name in ("E000001/0001.dcm", "E000001/0002.dcm", "E000002/0001.dcm")]
    with node() as (port, got):
        sender(home, port).turn()
        sender(home, port).turn()  # after a restart
        assert got == uids
    assert told(home) == {"away": "", "sent": 3, "waiting": 0, "refused": {}}


def test_a_node_that_is_away_gets_all_when_it_is_back(home: Path) -> None:
    result(home, "E000001/0001.dcm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = sender(home, port)
    one.turn()
    assert told(home) == {"away": "does not answer", "sent": 0, "waiting": 1, "refused": {}}
    with node(port=port) as (_, got):
        one.turn()
        assert len(got) == 1
    assert told(home)["away"] == ""


def test_what_the_node_does_not_take_is_told_and_offered_again_later(home: Path) -> None:
    result(home, "E000001/0001.dcm", ULTRASOUND)
    result(home, "E000001/0002.dcm")
    clock = Clock()
    with node() as (port, got):
        one = sender(home, port, clock)
        one.turn()
        assert len(got) == 1  # the other waits for nobody
        assert told(home)["refused"] == {"Ultrasound Image Storage in Explicit VR Little Endian": 1}
        clock.now += REFUSED_AGAIN_S + 1
        assert list(one._waiting()) == ["E000001/0001.dcm"]


@pytest.mark.parametrize(("status", "away", "refused"), [(0xA700, "has no room (status A700)", {}), (0xC000, "", {"status C000": 1})])
def test_a_status_is_told(status: int, away: str, refused: dict[str, int], home: Path) -> None:
    result(home, "E000001/0001.dcm")
    answers = iter([status, 0])
    clock = Clock()
    with node(lambda: next(answers)) as (port, got):
        one = sender(home, port, clock)
        one.turn()
        assert (told(home)["away"], told(home)["refused"]) == (away, refused)
        clock.now += REFUSED_AGAIN_S + 1
        one.turn()
        assert len(got) == 2
    assert told(home) == {"away": "", "sent": 1, "waiting": 0, "refused": {}}


@pytest.mark.skipif(shutil.which("storescp") is None, reason="storescp is not installed (dcmtk)")
def test_dcmtk_receives(home: Path) -> None:
    result(home, "E000001/0001.dcm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "pacs").mkdir()
    process = subprocess.Popen(["storescp", "-aet", "PACS", "-od", str(home / "pacs"), str(port)], stdout=subprocess.DEVNULL)
    try:
        one = sender(home, port)
        for _ in range(50):
            one.turn()
            if not told(home)["away"]:
                break
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait()
    assert told(home)["sent"] == 1
    assert len(list((home / "pacs").iterdir())) == 1
