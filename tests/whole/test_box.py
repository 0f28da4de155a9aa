"""The box as a user has it: `anonbox run` as a process, real folders, the shipped network, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import decoded, encoded
from PIL import Image
from screens import SECRET, screen

Start = Callable[..., "Box"]
CONFIG = """
[intake]
settle_s = 0.2
sweep_s = 0.2
incomplete_s = 0.5
min_free_mib = 1
[page]
port = 0
"""


class Box:
    """One box on its own folders, and the process that runs it."""

    def __init__(self, root: Path) -> None:
        self.root, self.process = root, None
        self.config = root.parent / "box.toml"
        self.config.write_text(CONFIG)
        (root / "in").mkdir(parents=True, exist_ok=True)

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "appliance", "run", "--config", str(self.config), "--box", str(self.root), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        return self.process

    def snapshot(self) -> dict:
        try:
            return json.loads((self.root / "state" / "status.json").read_text())
        except FileNotFoundError:
            return {"state": "Starting", "done_ever": 0, "refused_ever": 0, "waiting": 0, "working": 0}

    def wait(self, ready: Callable[[dict], bool], seconds: float = 60) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process and self.process.poll() is not None:
                pytest.fail(f"the box ended with {self.process.returncode}: {self.process.communicate()[1][-2000:]}")
            if ready(now := self.snapshot()):
                return now
            time.sleep(0.05)
        pytest.fail(f"the box did not come so far: {now}")

    def stop(self, signal_: int = signal.SIGTERM) -> tuple[int, str]:
        assert self.process
        process, self.process = self.process, None
        process.send_signal(signal_)
        log = process.communicate(timeout=20)[1]
        return process.returncode, log

    def results(self) -> list[Path]:
        return sorted(path for path in (self.root / "out").rglob("*") if path.is_file())

    def refused(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted((self.root / "quarantine").rglob("reason.json"))]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "box")
    yield box
    if box.process:
        box.process.kill()
        box.process.communicate()


def settled(total: int) -> Callable[[dict], bool]:
    return lambda now: now["done_ever"] + now["refused_ever"] >= total and not now["working"]


def test_pictures_come_out_without_their_text(box: Box) -> None:
    inbox = box.root / "in"
    (inbox / "Meier, Anna" / "deep").mkdir(parents=True)
    drawn = screen(0)
    (inbox / "Meier, Anna" / "10.jpg").write_bytes(encoded(drawn.image, comment=SECRET))
    (inbox / "Meier, Anna" / "9.jpg").write_bytes(encoded(screen(1).image))
    (inbox / "Meier, Anna" / "deep" / "A.PNG").write_bytes(encoded(drawn.image, "PNG"))
    box.start()
    now = box.wait(settled(3))
    code, log = box.stop()

    assert code == 0
    assert (now["state"], now["done_ever"], now["refused_ever"]) == ("Ready", 3, 0)
    names = [str(path.relative_to(box.root / "out")) for path in box.results()]
    assert names == ["E000001/0001.jpg", "E000001/0002.jpg", "E000002/0001.png"]
    result = box.results()[1]  # 10.jpg comes after 9.jpg
    after, before = decoded(result.read_bytes()), np.asarray(drawn.image)
    for top, left, bottom, right in drawn.boxes:
        assert np.abs(after[top:bottom, left:right].astype(int)).max() <= 40, "text is still there"
    assert after.shape == before.shape
    times = {path.stat().st_mtime for path in box.results()}
    assert len(times) == 1
    everything = b"".join(path.read_bytes() for path in box.results()) + log.encode() + (box.root / "state" / "status.json").read_bytes()
    assert SECRET.encode() not in everything and b"Meier" not in everything
    assert not any(path.is_file() for path in inbox.rglob("*"))


def test_hostile_things_are_refused_or_left_and_the_box_goes_on(box: Box) -> None:
    inbox = box.root / "in"
    good = encoded(screen(2).image)
    (inbox / "cut.jpg").write_bytes(good[: len(good) // 2])
    (inbox / "zip.jpg").write_bytes(b"PK\x03\x04" + bytes(2000))
    header = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452" + f"{60000:08x}{60000:08x}" + "0802000000")
    (inbox / "bomb.png").write_bytes(header + zlib.crc32(header[12:]).to_bytes(4, "big") + bytes(100))
    (inbox / "empty.jpg").touch()
    (inbox / "folder.jpg").mkdir()
    (inbox / "folder.jpg" / "good.jpg").write_bytes(good)
    (inbox / "link.jpg").symlink_to("/etc/passwd")
    (inbox / "Thumbs.db").write_bytes(b"thumbnails")
    (inbox / ".hidden.jpg").write_bytes(good)
    (inbox / "copying.jpg.part").write_bytes(good)
    (inbox / "notes.txt").write_text("a note")
    box.start()
    now = box.wait(settled(5))
    assert box.stop()[0] == 0

    assert (now["done_ever"], now["refused_ever"]) == (1, 4)
    assert sorted(entry["code"] for entry in box.refused()) == ["incomplete", "too-large", "unsupported", "unsupported"]
    assert sum(now["left"].values()) >= 1 and any("link" in reason for reason in now["left"])
    assert {path.name for path in inbox.iterdir()} >= {"empty.jpg", "link.jpg", "Thumbs.db", ".hidden.jpg", "copying.jpg.part"}
    assert box.results()[0].suffix == ".jpg"


def test_a_box_killed_at_work_loses_and_doubles_nothing(box: Box) -> None:
    inbox, count = box.root / "in", 200
    small = [encoded(screen(seed, (270, 480)).image) for seed in range(4)]
    for index in range(count):
        folder = inbox / f"stick{index % 3}"
        folder.mkdir(exist_ok=True)
        # every file has its own size, so that a doubled result would show
        (folder / f"{index:03}.jpg").write_bytes(small[index % 4] + bytes(index))
    for done in (20, 70, 120):
        box.start()
        box.wait(lambda now, done=done: now["done_ever"] >= done)
        box.stop(signal.SIGKILL)
        for path in box.results():
            if not path.name.startswith("."):
                Image.open(path).load()
    box.start()
    now = box.wait(settled(count), 120)
    code, _ = box.stop()
    assert code == 0
    assert (now["done_ever"], now["refused_ever"]) == (count, 0)
    assert len(box.results()) == count and not any(path.name.startswith(".") for path in box.results())
    originals = list((box.root / "done").rglob("*.jpg"))
    assert len(originals) == count and len({path.stat().st_size for path in originals}) == count


def test_sigterm_finishes_what_is_in_hand(box: Box) -> None:
    for index in range(30):
        (box.root / "in" / f"{index}.jpg").write_bytes(encoded(screen(0, (540, 960)).image))
    box.start()
    box.wait(lambda now: now["done_ever"] >= 3)
    start = time.monotonic()
    code, _ = box.stop()
    assert code == 0 and time.monotonic() - start < 10
    assert box.snapshot()["state"] == "Stopped"
    assert not any((box.root / "out").rglob(".*"))
    waiting = len(list((box.root / "in").rglob("*.jpg")))
    assert waiting + len(box.results()) + len(list((box.root / "state" / "work").rglob("*.jpg"))) == 30


def test_a_second_box_on_the_same_folders_is_refused(box: Box) -> None:
    box.start()
    box.wait(lambda now: now["state"] == "Ready")
    second = Box(box.root)
    process = second.start()
    second.process = None
    assert process.wait(30) == 78
    assert "another" in process.communicate()[1]


def test_a_bad_configuration_is_refused_by_name(box: Box) -> None:
    box.config.write_text("[intake]\nsetle_s = 3\n")
    process = box.start()
    box.process = None
    assert process.wait(30) == 78
    assert "intake.setle_s" in process.communicate()[1]
    command = [sys.executable, "-m", "appliance", "page", "--config", str(box.config), "--box", str(box.root)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as page:
        try:
            assert page.stderr
            port = next(int(line.rsplit(":", 1)[1].strip("/\n")) for line in page.stderr if "status page: http" in line)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status") as answer:
                now = json.load(answer)
        finally:
            page.terminate()
    assert now["state"] == "Needs attention" and "intake.setle_s is unknown" in now["detail"]


def test_a_configuration_that_turns_out_bad_is_on_the_page_until_the_next_start(box: Box) -> None:
    box.config.write_text(CONFIG + '[engine]\nname = "tensorrt"\n')
    process = box.start()
    box.process = None
    code = process.wait(60)
    if code == 0:
        pytest.skip("there is a GPU")
    process.communicate()
    now = box.snapshot()
    assert (now["state"], now["final"]) == ("Needs attention", True)
    assert "TensorRT" in now["detail"] or "pycuda" in now["detail"] or "cuInit" in now["detail"]


def test_stopped_while_it_starts_it_says_so(box: Box) -> None:
    process = box.start()
    while not (box.root / "state" / "status.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    code, _ = box.stop()
    assert (code, box.snapshot()["state"]) == (0, "Stopped")


def test_the_page_tells_of_the_box(box: Box) -> None:
    (box.root / "in" / "1.jpg").write_bytes(encoded(screen(3).image))
    process = box.start("--page")
    assert process.stderr
    port = 0
    for line in process.stderr:
        if "status page: http://" in line:
            port = int(line.rsplit(":", 1)[1].strip().rstrip("/"))
            break
    box.wait(settled(1))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status") as answer:
        assert json.load(answer)["done_ever"] == 1
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200
    assert box.stop()[0] == 0
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2)


def test_an_original_without_read_permission_is_left_and_named_by_reason(box: Box) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (box.root / "in" / "closed.jpg").write_bytes(b"x")
    (box.root / "in" / "closed.jpg").chmod(0)
    box.start()
    now = box.wait(lambda now: any("permission" in reason for reason in now.get("left", {})))
    assert now["state"] == "Ready"
