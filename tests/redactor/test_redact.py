"""Bytes in, redacted bytes out, with an engine whose answers are known exactly."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from fakes import BrightEngine, LostEngine, RestlessEngine, StripeEngine, decoded, encoded, picture
from PIL import Image

from appliance.detect.tone import curve
from appliance.engine import Slot
from appliance.errors import BadFile, DeviceLost
from appliance.formats import Limits, open_picture
from appliance.formats.jpeg import JpegPage
from appliance.redactor.detector import AGAIN, Detector
from appliance.redactor.redact import MOST_LOOKS, redact
from appliance.redactor.stages import Stages
from appliance.types import Look, Report

LIMITS = Limits(max_pixels=10**7)
SQUARES = ((32, 48, 24), (150, 200, 40))


def run(data: bytes, engine: BrightEngine | None = None, again: Look = AGAIN) -> tuple[np.ndarray, Report]:
    finished, report = redact(data, Detector(engine or BrightEngine(), "mask", 200, again), LIMITS)
    return decoded(finished), report


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
def test_text_goes_and_the_rest_stays(kind: str) -> None:
    data = encoded(picture(squares=SQUARES), kind)
    after, report = run(data)
    before, (mask,) = decoded(data), report.masks
    covered = mask.to_pixels()
    for top, left, side in SQUARES:
        assert covered[top : top + side, left : left + side].all()
        # the decoder smooths chroma over the mask's edge: a neighbour's colour tints the outermost black pixels
        assert after[top : top + side, left : left + side].max() <= (40 if kind == "JPEG" else 0)
    near = np.pad(covered, 16, mode="edge")
    near = np.lib.stride_tricks.sliding_window_view(near, (33, 33)).any(axis=(2, 3)) if kind == "JPEG" else covered
    assert np.array_equal(after[~near], before[~near])
    assert report.format == kind.lower() and report.looks == 2
    assert 0.01 < report.removed_share < 0.2


def test_a_picture_without_text_is_looked_at_twice_and_left_whole() -> None:
    engine = BrightEngine()
    data = encoded(picture(squares=()))
    after, report = run(data, engine)
    assert np.array_equal(after, decoded(data))
    assert (report.removed_share, engine.runs) == (0.0, 2)


def test_stages_are_timed() -> None:
    _, report = run(encoded(picture()))
    assert list(report.stages_ms) == ["read", "decode", "infer", "mask", "rewrite", "verify"]


def test_text_that_never_ends_is_not_published() -> None:
    engine = RestlessEngine()
    with pytest.raises(BadFile, match="still seen") as caught:
        run(encoded(picture(squares=())), engine)
    assert (caught.value.code, engine.runs) == ("text-left", MOST_LOOKS)


def test_a_lost_device_is_not_no_text() -> None:
    with pytest.raises(DeviceLost):
        run(encoded(picture()), LostEngine())


def test_a_picture_larger_than_a_slot_is_looked_at_in_tiles() -> None:
    squares = ((8, 8, 24), (700, 2900, 24), (300, 1500, 24), (700, 8, 24))
    engine = BrightEngine(slots=2)
    after, report = run(encoded(picture((760, 3000), squares)), engine)
    assert engine.runs > 2
    covered = report.masks[0].to_pixels()
    for top, left, side in squares:
        assert covered[top : top + side, left : left + side].all()
        assert after[top : top + side, left : left + side].max() <= 40


def deep(brightest: float, stripes: bool = False) -> tuple[Image.Image, np.ndarray]:
    """16-bit grey with values 40..130, squares of 255, and pixels of 65535 along the top: their share, or one if 0; the squares."""
    ramp = (np.add.outer(np.arange(240), np.arange(320)) * 90 / 560 + 40).astype(np.uint16)
    squares = np.zeros(ramp.shape, bool)
    for top, left, side in (*SQUARES, (40, 100, 80), (60, 230, 50)):
        squares[top : top + side, left : left + side] = True
    ramp[squares & (np.arange(320) % 2 == 0) if stripes else squares] = 255
    ramp.flat[: int(brightest * ramp.size) or 1] = 65535
    return Image.fromarray(ramp), squares


@pytest.mark.parametrize("brightest", [0, 0.02])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_few_bright_pixels_do_not_hide_text_of_16_bits(kind: str, brightest: float) -> None:
    image, squares = deep(brightest)
    engine = BrightEngine()
    (page,) = open_picture(encoded(image, kind), LIMITS).pages
    with Detector(engine, "mask", 200).sight() as sight:
        found = sight.look(page, Stages()).to_pixels()
    assert found[squares].all() and engine.runs == page.renderings == (4 if brightest else 3)
    image, squares = deep(brightest, stripes=True)
    data = encoded(image, kind)
    finished, report = redact(data, Detector(StripeEngine(canvas=(240, 320)), "mask", 200), LIMITS)
    before, after = (np.asarray(Image.open(io.BytesIO(file))) for file in (data, finished))
    covered = report.masks[0].to_pixels()
    assert not after[squares].any() and report.looks == 2 and 0.1 < report.removed_share < 0.3
    assert np.array_equal(after[~covered], before[~covered]) and (after == 65535).sum() > 0


def test_a_second_look_sees_every_rendering() -> None:
    """Text that the first look missed is found, though the picture's one bright pixel is left."""
    image, squares = deep(0, stripes=True)

    class LateEngine(StripeEngine):
        def run(self, slot: Slot) -> None:
            super().run(slot)
            slot.score[...] *= self.runs > 4

    finished, report = redact(encoded(image, "PNG"), Detector(LateEngine(canvas=(240, 320)), "mask", 200), LIMITS)
    assert not np.asarray(Image.open(io.BytesIO(finished)))[squares].any() and report.looks == 3


def test_the_threshold_of_later_looks_is_their_own_but_never_below_the_first() -> None:
    detector = Detector(BrightEngine(), "mask", 77, Look(120, True))
    assert (detector.first.threshold, detector.again.threshold) == (77, 120)
    assert Detector(BrightEngine(), "mask", 200, Look(120)).again.threshold == 200


class WatchedEngine(BrightEngine):
    """Keeps what it was shown; sees at every look one square more, up to the third."""

    def run(self, slot: Slot) -> None:
        super().run(slot)
        self.shown = [*getattr(self, "shown", []), slot.pixels.copy()]
        slot.score[...] = 0
        if self.runs <= 3:
            slot.score[20 * self.runs :][:4, 40:50] = 255


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_a_second_look_sees_what_decoding_the_finished_file_would_show(subsampling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8))
    data = encoded(image, subsampling=subsampling)
    fast, slow = WatchedEngine(), WatchedEngine()
    reads = []
    monkeypatch.setattr(JpegPage, "read", lambda page, *args, read=JpegPage.read: (reads.append(1), read(page, *args))[1])
    one = run(data, fast)
    decoded_fast = len(reads)
    monkeypatch.setattr(JpegPage, "darkened", lambda page, num: None)
    two = run(data, slow)
    assert np.array_equal(one[0], two[0]) and one[1].masks[0].cells.tolist() == two[1].masks[0].cells.tolist()
    assert one[1].looks == 4 and all(np.array_equal(a, b) for a, b in zip(fast.shown, slow.shown, strict=True))
    assert decoded_fast == (4 if subsampling == "4:2:2" else 1) and len(reads) == decoded_fast + 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_later_looks_see_the_finished_picture_with_its_highlights_stretched(kind: str) -> None:
    image = np.random.default_rng(1).integers(0, 256, (576, 960, 3), np.uint8)
    engine = WatchedEngine()
    run(encoded(Image.fromarray(image), kind), engine, Look(128, stretched=True))
    first, second, third, last = (shown.astype(int) for shown in engine.shown)
    gone = [(later == 0).all(axis=2) & (first > 3).any(axis=2) for later in (second, third, last)]
    assert [bool((more & ~less).any()) for less, more in itertools.pairwise(gone)] == [True, True]  # a square more each time
    for later, black in zip((second, third, last), gone, strict=True):  # and stretched once only
        assert np.mean(later[~black] != curve()[first[~black]]) < 0.002  # the decoder lets black bleed a pixel far


def test_nothing_of_the_last_picture_is_left_in_a_slot() -> None:
    engine = BrightEngine()
    run(encoded(picture((500, 800), ((450, 750, 24),))), engine)
    _, report = run(encoded(picture((100, 100), ())), engine)
    assert report.removed_share == 0.0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_before_looking(orientation: int) -> None:
    image = picture((160, 240), ((16, 32, 32),))
    exif = image.getexif()
    exif[0x0112] = orientation
    data = encoded(image, exif=exif)
    after, report = run(data)
    assert after.shape[:2] == report.masks[0].size == ((160, 240) if orientation < 5 else (240, 160))
    assert after.max() < 250
    assert report.masks[0].cells.any()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "incomplete"),
        (b"PK\x03\x04" + bytes(100), "unsupported"),
        (encoded(picture())[:-500], "incomplete"),
        (encoded(picture((4000, 4000), ())), "too-large"),
    ],
    ids=["empty", "zip", "cut off", "too large"],
)
def test_what_cannot_be_released_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(BadFile) as caught:
        run(data)
    assert caught.value.code == code
