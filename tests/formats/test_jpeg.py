"""JPEG: what is outside the mask keeps its coefficients, what is inside is black, nothing else survives."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from drawn import LIMITS, SECRET, SUBSAMPLINGS, encoded, even, jpeg, masks_for, pixels_of, redone, scene, still, widened
from PIL import Image, ImageDraw, ImageFont, ImageOps
from transforms import coefficients, transform

from appliance.detect.mask import darken
from appliance.detect.scale import Scale
from appliance.errors import BadFile
from appliance.formats import markers, open_picture, turbo
from appliance.formats.common import PROFILE_DROPPED, Limits
from appliance.formats.jpeg import TURNED_BY_PIXELS, TURNED_LOSSLESSLY
from appliance.types import Mask, ceil_eighths

SIZES = [(64, 96), (61, 83), (17, 200), (8, 8), (1, 1), (33, 5)]


def segment(code: int, body: bytes) -> bytes:
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def with_segments(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[274] = orientation
    return block.tobytes()


def assert_redacted(data: bytes, finished: bytes, mask: Mask, factors: list[tuple[int, int]]) -> None:
    """factors : each component's (vertical, horizontal) sampling."""
    before, after = coefficients(data), coefficients(finished)
    assert before.keys() == after.keys()
    for (component, row), blocks in after.items():
        vertical, horizontal = factors[component]
        hit = mask.cells[row // vertical].repeat(horizontal)[: len(blocks)]
        np.testing.assert_array_equal(blocks[~hit], before[component, row][~hit])
        assert not blocks[hit][:, 1:].any()
        assert (blocks[hit][:, 0] <= (0 if component else -1)).all()
    outside, grey = ~widened(mask), pixels_of(finished) @ (0.299, 0.587, 0.114)
    np.testing.assert_array_equal(pixels_of(finished)[outside], pixels_of(data)[outside])
    inner = mask.to_pixels() & ~widened(Mask(~mask.cells, mask.cell, mask.size))
    assert not pixels_of(finished)[inner].any()
    assert (grey[mask.to_pixels()] < 60).all()  # at the edge a neighbour's colour may still glow, its brightness not


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_every_subsampling(subsampling: str, progressive: bool) -> None:
    for index, size in enumerate(SIZES):
        data = jpeg(still(*size), subsampling, progressive, quality=(30, 75, 90, 98, 100, 5)[index])
        picture, finished, (mask,) = redone(data, seed=index)
        parsed = markers.parse(data)
        assert_redacted(data, finished, mask, [(c.vertical, c.horizontal) for c in parsed.components])
        assert picture.pages[0].size == size
        assert markers.parse(finished).clean == finished


def test_restart_markers_and_rgb() -> None:
    for options in ({"restart_marker_blocks": 3}, {"restart_marker_rows": 1}, {"keep_rgb": True}, {"optimize": True}):
        data = encoded(still(50, 70), "JPEG", quality=92, **options)
        picture, finished, (mask,) = redone(data)
        parsed = markers.parse(data)
        before, after = coefficients(data), coefficients(finished)
        for (component, row), blocks in after.items():
            hit = mask.cells[row // parsed.components[component].vertical].repeat(parsed.components[component].horizontal)[: len(blocks)]
            np.testing.assert_array_equal(blocks[~hit], before[component, row][~hit])
        if "keep_rgb" in options:
            assert not pixels_of(finished)[mask.to_pixels()].any(), "every component of RGB is as dark as luma"
            assert picture.pages[0].cell == (8, 8)


def test_extreme_brightness_beside_black() -> None:
    """The coarsest difference of DC coefficients that occurs: quality 100, white against black."""
    _, finished, (mask,) = redone(jpeg(np.full((64, 64, 3), 255, np.uint8), "4:4:4", quality=100))
    assert not pixels_of(finished)[mask.to_pixels()].any()


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "grey"])
def test_orientations(value: int, subsampling: str) -> None:
    for size, whole in (((64, 96), True), ((61, 83), False)):
        smooth = np.asarray(Image.fromarray(still(8, 8)).resize(size[::-1]))
        data = oriented(jpeg(smooth, subsampling), value)
        picture, finished, (mask,) = redone(data)
        shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")).astype(int)
        assert picture.pages[0].size == shown.shape[:2]
        kept = ~widened(mask)
        assert not kept.any() or abs(pixels_of(finished).astype(int)[kept] - shown[kept]).mean() < 4
        by_pixels = subsampling == "4:1:1" and value >= 5
        if value == 1:
            assert picture.notes == ()
        elif whole:
            assert picture.notes == (TURNED_BY_PIXELS if by_pixels else TURNED_LOSSLESSLY,)


def oriented(data: bytes, value: int) -> bytes:
    return with_segments(data, segment(0xE1, b"Exif\x00\x00" + exif(value)[6:]))


def assert_turned_faithfully(data: bytes, most: int) -> tuple[str, ...]:
    """data : a JPEG with an orientation; most : how far a pixel outside the mask may be off"""
    picture, finished, (mask,) = redone(data)
    shown = pixels_of(encoded(ImageOps.exif_transpose(Image.open(io.BytesIO(data))), "PNG"))
    by_pixels = picture.notes == (TURNED_BY_PIXELS,)
    kept = ~mask.to_pixels() if by_pixels else ~widened(mask)  # in 4:4:4 not even chroma reaches over the mask's edge
    off = abs(pixels_of(finished).astype(int) - shown)
    assert off[kept].max() <= (most if by_pixels else 255)
    assert not by_pixels or not pixels_of(finished)[mask.to_pixels()].any()
    return picture.notes


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:0", "4:1:1", "4:4:4", "grey"])
def test_a_turned_picture_keeps_its_pixels(subsampling: str) -> None:
    """A fifth of 1920 x 1080 has the same incomplete MCUs; libjpeg smooths chroma, so it is the decoded pixels that are compared."""
    by_pixels = 0
    for size in ((216, 384), (217, 383)):
        data = jpeg(still(*size), subsampling, quality=85)
        notes = [assert_turned_faithfully(oriented(data, value), 6) for value in range(2, 9)]
        by_pixels += notes.count((TURNED_BY_PIXELS,))
    assert by_pixels == {
        "4:2:0": 10,
        "4:4:0": 10,
        "4:1:1": 11,
    }.get(subsampling, 6)


def test_a_turned_rgb_jpeg_stays_rgb() -> None:
    data = encoded(still(61, 83), "JPEG", quality=92, keep_rgb=True)
    assert assert_turned_faithfully(oriented(data, 6), 2) == (TURNED_BY_PIXELS,)
    _, finished, _ = redone(oriented(data, 6))
    assert turbo.header(finished).colorspace == "RGB"
    _, finished, _ = redone(oriented(jpeg(still(61, 83), "grey"), 6))
    assert turbo.header(finished).colorspace == "grey"


def with_wide_tables(data: bytes) -> bytes:
    """The same coefficients with steps of 3 times the size, stored in 16 bits."""
    start = data.index(b"\xff\xdb")
    frame = data.index(b"\xff\xc0")
    tables = markers.parse(data).tables
    assert max(map(max, tables.values())) * 3 > 255
    natural = {slot: struct.pack(">64H", *(3 * table[place] for place in markers._ZIGZAG)) for slot, table in tables.items()}
    wide = b"".join(segment(0xDB, bytes((0x10 | slot,)) + steps) for slot, steps in natural.items())
    return data[:start] + wide + b"\xff\xc1" + data[frame + 2 :]


@pytest.mark.parametrize("value", range(1, 9))
def test_quantisation_steps_beyond_255(value: int) -> None:
    for size in ((64, 96), (61, 83)):
        for subsampling in ("4:2:0", "grey"):
            pale = (still(*size).astype(int) // 3 + 85).astype(np.uint8)
            data = oriented(with_wide_tables(jpeg(pale, subsampling, quality=15)), value)
            notes = assert_turned_faithfully(data, 6)
            assert value == 1 or notes == ((TURNED_LOSSLESSLY if size == (64, 96) or value == 5 else TURNED_BY_PIXELS),)


def test_an_encoder_that_fails_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.formats.jpeg._FINEST", [40] * 64)
    with pytest.raises(BadFile, match=r"off by \d+ of 255, the limit is 6") as caught:
        open_picture(oriented(jpeg(still(61, 83)), 3), LIMITS)
    assert caught.value.code == "not-faithful"


def test_read_at_every_scale_into_a_part_of_a_canvas() -> None:
    data = jpeg(still(61, 83))
    page = open_picture(data, LIMITS).pages[0]
    for num in range(1, 17):
        height, width = ceil_eighths(page.size, num)
        canvas = np.full((height + 3, width + 5, 3), 7, np.uint8)
        page.read(num, canvas[1 : 1 + height, 2 : 2 + width])
        assert (canvas[0] == 7).all() and (canvas[:, :2] == 7).all() and (canvas[:, 2 + width :] == 7).all()
        if num == 8:
            np.testing.assert_array_equal(canvas[1 : 1 + height, 2 : 2 + width], pixels_of(data))
    with pytest.raises(ValueError, match="does not fit"):
        page.read(8, np.zeros((60, 83, 3), np.uint8))
    with pytest.raises(ValueError, match="adjacent"):
        page.read(8, np.zeros((61, 83, 3), np.uint8)[:, ::-1])
    with pytest.raises(ValueError, match="rendering 1"):
        page.read(8, np.zeros((61, 83, 3), np.uint8), 1)


ALONE = {
    "grey": range(1, 17),
    "4:4:4": range(1, 17),
    "4:2:0": range(1, 8),
    "4:2:2": (),
    "4:4:0": (),
    "4:1:1": (),
}
"""At which eighths libjpeg makes every pixel from its own MCU alone."""


@pytest.mark.parametrize("size", [(256, 320), (187, 251)])
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_a_masked_picture_looks_like_its_source_blackened(subsampling: str, size: tuple[int, int]) -> None:
    """What spares the second look its decoding: wherever a page says so, its pixels are to the bit the source's, or black."""
    data = jpeg(even(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)), subsampling)
    picture = open_picture(data, LIMITS)
    masks = masks_for(picture, share=0.5)
    (page,) = picture.check(picture.rewrite(masks), masks).pages
    told = []
    for num in range(1, 17):
        decoded, painted = (np.empty((*ceil_eighths(size, num), 3), np.uint8) for _ in range(2))
        page.read(num, decoded)
        picture.pages[0].read(num, painted)
        darken(painted, masks[0], Scale(num))
        if source := page.darkened(num):
            assert source.page is picture.pages[0] and source.mask is masks[0]
            assert np.array_equal(decoded, painted)
            told.append(num)
    assert told == list(ALONE[subsampling])


def test_nothing_is_said_of_a_picture_that_was_not_checked() -> None:
    picture = open_picture(jpeg(still(64, 64)), LIMITS)
    assert picture.pages[0].darkened(4) is None
    masks = masks_for(picture)
    assert open_picture(picture.rewrite(masks), LIMITS).pages[0].darkened(4) is None


def test_nothing_but_the_picture_survives() -> None:
    thumbnail = jpeg(scene(40, 60, seed=9)) + SECRET
    description = Image.Exif()
    description[270] = SECRET.decode()
    planted = (
        segment(0xE1, description.tobytes() + thumbnail),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x>" + SECRET + b"</x>"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + SECRET),
        segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + SECRET),
        segment(0xE2, b"MPF\x00" + SECRET),
        segment(0xEB, SECRET),
        segment(0xFE, SECRET),
        SECRET,  # junk between segments
    )
    plain = jpeg(still(61, 83))
    end = plain.index(b"\xff\xda")
    late = plain[:end] + segment(0xFE, SECRET) + plain[end:-2] + segment(0xEF, SECRET) + b"\xff\xd9" + SECRET + thumbnail + b"\xff\xd9"
    data = late[:2] + segment(0xE0, b"JFIF\x00\x01\x02\x01\x00\x48\x00\x48\x02\x02" + SECRET[:12]) + b"".join(planted) + late[2:]
    picture, finished, _ = redone(data)
    assert data.count(SECRET) > 9 and SECRET not in finished and SECRET[:8] not in finished
    assert picture.notes == (PROFILE_DROPPED,)
    codes = set()
    position = 2
    while finished[position + 1] != 0xDA:
        codes.add(finished[position + 1])
        position += 2 + struct.unpack_from(">H", finished, position + 2)[0]
    assert codes == {0xE0, 0xDB, 0xC0, 0xC4}
    assert coefficients(picture.rewrite([Mask(np.zeros_like(m.cells), m.cell, m.size) for m in masks_for(picture)]))[0, 0].any()


def test_odd_but_whole_files_pass() -> None:
    plain = jpeg(still(40, 60))
    scan = plain.index(b"\xff\xda")
    for data in (
        plain + b"\x00" * 500,
        plain[:-2] + b"\xff\xff\xff\xd9",
        plain[:-2] + b"\x00\x00padding\x00\xff\xd9",
        plain[: scan + 11] + b"\x00\x00\x00" + plain[scan + 14 :],  # spectral selection that baseline ignores
        plain[:2] + plain[20:],  # no JFIF
    ):
        _, finished, (mask,) = redone(data)
        np.testing.assert_array_equal(pixels_of(finished)[~widened(mask)], pixels_of(plain)[~widened(mask)])


def test_refusals_name_their_reason() -> None:
    plain = jpeg(still(40, 60))
    frame = plain.index(b"\xff\xc0")
    cases = [
        (encoded(Image.fromarray(still(40, 60)).convert("CMYK"), "JPEG"), "unsupported", "CMYK"),
        (plain[: frame + 4] + b"\x0c" + plain[frame + 5 :], "unsupported", "12 bits"),
        (plain[: frame + 1] + b"\xc9" + plain[frame + 2 :], "unsupported", "arithmetic"),
        (plain[: frame + 1] + b"\xc3" + plain[frame + 2 :], "unsupported", "lossless"),
        (plain[: frame + 11] + b"\x31" + plain[frame + 12 :], "unsupported", "subsampling"),
        (plain[: frame + 5] + b"\xff\xdc\xff\xdc" + plain[frame + 9 :], "too-large", "the limit is 4 Mpx"),
        (plain[:-2], "incomplete", "cut off"),
        (plain[: frame + 7], "incomplete", "cut off"),
        (plain[:-300] + b"\xff\xd9", "incomplete", "cut off"),
        (plain[:2] + b"\xff\xd8" + plain[2:], "damaged", "second start"),
        (plain[: frame - 60] + plain[frame:], "damaged", "quantisation"),
    ]
    for data, code, words in cases:
        with pytest.raises(BadFile, match=words) as caught:
            redone(data)
        assert caught.value.code == code, caught.value.reason


def test_a_hole_in_the_data_is_noticed() -> None:
    data = bytearray(encoded(still(200, 200), "JPEG", quality=95, restart_marker_rows=1))
    middle = len(data) // 2
    data[middle : middle + 900] = bytes(900)
    with pytest.raises(BadFile) as caught:
        redone(bytes(data))
    assert caught.value.code in ("damaged", "incomplete")


class TestCheck:
    """check() must see every kind of difference."""

    def setup_method(self) -> None:
        self.picture, self.finished, self.masks = redone(jpeg(still(61, 83)))

    def refused(self, finished: bytes, words: str = "finished") -> None:
        with pytest.raises(BadFile, match=words) as caught:
            self.picture.check(finished, self.masks)
        assert caught.value.code == "not-faithful"

    def test_a_changed_coefficient(self) -> None:
        for component, row in ((0, 7), (1, 3), (2, 0)):
            for place in (0, 63):

                def change(c: int, r: int, blocks: np.ndarray, at: tuple[int, int, int] = (component, row, place)) -> None:
                    if (c, r) == at[:2]:
                        blocks[-1, at[2]] ^= 1

                self.refused(transform(self.finished, change), f"component {component}, row of blocks {row}")

    def test_an_uncovered_cell(self) -> None:
        self.refused(self.picture.rewrite([Mask(np.zeros_like(m.cells), m.cell, m.size) for m in self.masks]))
        self.refused(self.picture.rewrite([Mask(np.ones_like(m.cells), m.cell, m.size) for m in self.masks]))

    def test_added_structure(self) -> None:
        self.refused(with_segments(self.finished, segment(0xFE, b"x")), "holds more")
        self.refused(with_segments(self.finished, segment(0xE1, b"Exif\x00\x00")), "holds more")
        self.refused(self.finished + b"\x00", "holds more")
        self.refused(self.finished[:-2] + bytes(5) + b"\xff\xd9", "extraneous")
        self.refused(self.finished[:13] + b"\x48" + self.finished[14:], "holds more")

    def test_another_picture(self) -> None:
        self.refused(jpeg(still(61, 84)), "another size")
        self.refused(jpeg(still(61, 83), "4:4:4"), "another size")
        self.refused(jpeg(still(61, 83), quality=80), "another size")
        self.refused(jpeg(still(61, 83), "grey"), "another size")
        self.refused(self.finished[:-2], "cannot be read")
        self.refused(encoded(still(61, 83), "PNG"), "cannot be read")
        self.refused(b"", "cannot be read")

    def test_the_finished_file_is_a_fixed_point(self) -> None:
        again = self.picture.check(self.finished, self.masks)
        assert again.pages[0].size == (61, 83)
        assert again.rewrite(self.masks) == self.finished
        again.check(self.finished, self.masks)

    def test_mask_of_another_grid_is_the_callers_fault(self) -> None:
        with pytest.raises(ValueError, match="grids"):
            self.picture.rewrite([])


def test_header_limits_come_before_decoding() -> None:
    with pytest.raises(BadFile, match=r"83 x 61 px, 0\.0 Mpx in all, the limit is 0\.005 Mpx"):
        open_picture(jpeg(still(61, 83)), Limits(5000))


def set_height(data: bytes, height: int) -> bytes:
    """The same data under a header that shows more or fewer rows: as a lossless crop leaves it, or as one reads it who looks further."""
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">H", height) + data[place + 2 :]


def saved(picture: Image.Image, quality: int, subsampling: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def unmasked(data: bytes) -> bytes:
    """The finished file of a picture in which nothing is covered, checked."""
    picture = open_picture(data, LIMITS)
    masks = [Mask(np.zeros_like(mask.cells), mask.cell, mask.size) for mask in masks_for(picture)]
    finished = picture.rewrite(masks)
    picture.check(finished, masks)
    return finished


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [60, 95])
def test_nothing_beyond_the_edge_survives(subsampling: int, quality: int) -> None:
    """A name bar was cut off without loss: half a name is readable in the rows that the last blocks hold beyond the picture."""
    picture = Image.fromarray(np.full((592, 960, 3), 40, np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.text((20, 562), "MUSTER ANNA 07.03.1961", fill=(255, 220, 60), font=ImageFont.load_default(size=16))
    cropped = set_height(saved(picture, quality, subsampling), 562)
    assert pixels_of(set_height(cropped, 568))[562:].std() > 15, "or there is nothing to hide"
    finished = unmasked(cropped)
    assert pixels_of(set_height(finished, 568))[562:].std() < 6
    assert np.abs(pixels_of(finished).astype(int) - pixels_of(cropped)).max() < 40
    np.testing.assert_array_equal(pixels_of(finished)[:544], pixels_of(cropped)[:544])


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_an_edge_as_encoders_make_it_stays_as_stored(subsampling: int) -> None:
    rng = np.random.default_rng(3)
    picture = Image.fromarray(rng.integers(60, 160, (9, 9, 3), dtype=np.uint8)).resize((603, 401), Image.Resampling.BICUBIC)
    data = saved(picture, 90, subsampling)
    before, after = coefficients(data), coefficients(unmasked(data))
    assert before.keys() == after.keys() and all(np.array_equal(before[place], after[place]) for place in before)
