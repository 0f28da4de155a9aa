"""Sharing one redactor: what waits, what has to run alone, and that nobody is blamed for a neighbour."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from fakes import BrightEngine, encoded, picture
from PIL import Image

from appliance.errors import DeviceLost, MustRunAlone
from appliance.formats import Limits, open_picture
from appliance.redactor import process
from appliance.redactor.detector import Detector
from appliance.redactor.process import Worker
from appliance.redactor.room import MOST_TILES, Room
from appliance.redactor.warmup import warm_up


def test_a_picture_waits_for_room() -> None:
    room, order, beats = Room(100), [], threading.Event()

    def second() -> None:
        with room.share(beats.set) as share:
            share.memory(45)
            order.append("second")

    with room.share() as first, room.share() as beside:
        first.memory(50)
        beside.memory(30)
        thread = threading.Thread(target=second)
        thread.start()
        assert beats.wait(5), "it gives signs of life while it waits"
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_what_takes_more_than_half_runs_alone() -> None:
    with Room(100).share() as share:
        with pytest.raises(MustRunAlone):
            share.memory(51)
        with pytest.raises(MustRunAlone):
            share.tiles(MOST_TILES + 1)
        share.memory(50)


def work(tmp_path: Path, data: bytes, room: Room | None) -> dict[str, object]:
    (tmp_path / "source").write_bytes(data)
    source, target = os.open(tmp_path / "source", os.O_RDONLY), os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    try:
        return Worker(Detector(BrightEngine(), "mask", 250), Limits(), 1 << 26, room).work(source, target, lambda done, total: None, None)
    finally:
        os.close(source)
        os.close(target)


def test_a_panorama_runs_alone_and_is_done_there(tmp_path: Path) -> None:
    panorama = encoded(picture((300, 9600)))
    assert "alone" in work(tmp_path, panorama, Room(1 << 30))
    assert "done" in work(tmp_path, panorama, None)


@pytest.mark.parametrize(("error", "code"), [(MemoryError(), "too-large"), (ZeroDivisionError("Mustermann"), "crash")])
def test_in_company_nobody_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, code: str
) -> None:
    def failing(*arguments: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(process, "redact", failing)
    assert "alone" in work(tmp_path, b"", Room(1 << 30))
    answer = work(tmp_path, b"", None)
    assert isinstance(answer["bad_file"], list) and answer["bad_file"][0] == code
    assert "Mustermann" not in caplog.text


def test_a_tiff_within_the_limits_is_opened() -> None:
    """Whose rows have 24,000 bytes, which Pillow would count as pixels: 192 of its 179 million."""
    wide = encoded(Image.new("RGB", (8000, 8000)), "TIFF", compression="tiff_lzw")
    assert open_picture(wide, Limits()).pages[0].size == (8000, 8000)


def test_a_network_that_sees_nothing_is_not_used() -> None:
    class BlindEngine(BrightEngine):
        def run(self, slot: object) -> None:
            for own in self.slots:
                own.score[...] = np.uint8(0)

    with pytest.raises(DeviceLost, match="does not find the text"):
        warm_up(Detector(BlindEngine(), "mask", 1), Limits())
