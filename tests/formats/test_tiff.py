"""TIFF: strips and tiles, both byte orders, several pages, tags that must not survive."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from drawn import LIMITS, SECRET, encoded, in_mode, masks_for, pixels_of, redone, scene
from PIL import Image

from appliance.errors import BadFile
from appliance.formats import ifd, open_picture, tiff
from appliance.formats.common import PROFILE_DROPPED
from appliance.types import Mask


def big_tiff_page(bits: int, channels: int, predictor: int, tiled: bool, order: str, compression: int) -> tuple[bytes, np.ndarray]:
    """A TIFF built by hand: 8 or 16 bits, strips or tiles, either byte order."""
    rng = np.random.default_rng(bits + channels)
    kind = np.uint8 if bits == 8 else np.uint16
    values = rng.integers(0, 2**bits, (61, 83, channels)).astype(kind)
    side = 32
    tiles = [values[i : i + side, j : j + side] for i in range(0, 61, side) for j in range(0, 83, side)]
    blocks = tiles if tiled else [values[:40], values[40:]]
    chunks = []
    for block in blocks:
        part = np.zeros((side, side, channels), kind) if tiled else block.copy()
        part[: block.shape[0], : block.shape[1]] = block
        if predictor == 2:
            part[:, 1:] = np.diff(part, axis=1)
        raw = part.astype(order + "u2" if bits == 16 else np.uint8).tobytes()
        chunks.append(zlib.compress(raw) if compression != 1 else raw)
    tags: dict[int, tuple[int, ...]] = {
        **{256: (83,), 257: (61,), 258: (bits,) * channels, 259: (compression,), 262: (2 if channels == 3 else 1,), 277: (channels,)},
        **({322: (side,), 323: (side,)} if tiled else {278: (40,)}),
        **({317: (2,)} if predictor == 2 else {}),
    }
    return ifd.build(order, [(tags, chunks)]), values if channels > 1 else values[..., 0]


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_8_and_16_bits(order: str, predictor: int, tiled: bool) -> None:
    for bits in (8, 16):
        for channels in (1, 3):
            for compression in (1, 8, 32946):
                data, values = big_tiff_page(bits, channels, predictor, tiled, order, compression)
                _, finished, (mask,) = redone(data)
                (page,), _ = tiff.read(finished, LIMITS)
                assert page.bits == bits
                np.testing.assert_array_equal(page.values[~mask.to_pixels()], values[~mask.to_pixels()])
                assert not page.values[mask.to_pixels()].any()


def test_tiff_white_is_zero() -> None:
    rows = scene(61, 83)[..., 0]
    tags = {256: (83,), 257: (61,), 258: (8,), 259: (1,), 262: (0,), 277: (1,), 278: (61,)}
    _, finished, (mask,) = redone(ifd.build("<", [(tags, [rows.tobytes()])]))
    shown = np.asarray(Image.open(io.BytesIO(finished)).convert("L"))
    assert not shown[mask.to_pixels()].any()
    np.testing.assert_array_equal(shown[~mask.to_pixels()], 255 - rows[~mask.to_pixels()])


def test_jpeg_inside_tiff_keeps_its_pixels() -> None:
    for mode in ("L", "RGB"):
        data = encoded(in_mode(mode, 64, 96), "TIFF", compression="jpeg")
        picture, finished, (mask,) = redone(data)
        np.testing.assert_array_equal(pixels_of(finished)[~mask.to_pixels()], pixels_of(data)[~mask.to_pixels()])
        assert picture.notes == (tiff.JPEG_UNPACKED,)


def test_tiff_pages_are_masked_one_by_one() -> None:
    first = in_mode("RGB")
    data = encoded(first, "TIFF", save_all=True, append_images=[in_mode("L", 40, 50), in_mode("1", 33, 44)], compression="tiff_lzw")
    picture = open_picture(data, LIMITS)
    masks = masks_for(picture)
    masks[0] = Mask(np.zeros_like(masks[0].cells), masks[0].cell, masks[0].size)
    masks[2] = Mask(np.zeros_like(masks[2].cells), masks[2].cell, masks[2].size)
    finished = picture.rewrite(masks)
    again = picture.check(finished, masks)
    assert [page.size for page in again.pages] == [(61, 83), (40, 50), (33, 44)]
    image = Image.open(io.BytesIO(finished))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(first))
    image.seek(1)
    assert not np.asarray(image)[masks[1].to_pixels()].any()
    image.seek(2)
    assert image.mode == "1"
    with pytest.raises(BadFile, match="1 pages"):
        picture.check(encoded(first, "TIFF"), masks)


def test_tiff_thumbnails_are_dropped() -> None:
    rows = scene(61, 83)
    page = {256: (83,), 257: (61,), 258: (8, 8, 8), 259: (1,), 262: (2,), 277: (3,), 278: (61,)}
    small = {**page, 254: (1,), 256: (8,), 257: (6,), 278: (6,)}
    picture, finished, _ = redone(ifd.build("<", [(small, [SECRET * 9]), (page, [rows.tobytes()])]))
    assert picture.notes == (tiff.THUMBNAIL_DROPPED,) and SECRET not in finished and len(picture.pages) == 1


def test_nothing_but_the_picture_survives_tiff() -> None:
    extra = Image.Exif()
    for tag in (270, 315, 306, 305, 33432):
        extra[tag] = SECRET.decode()
    for tag in (700, 33723, 65000, 34377):
        extra[tag] = SECRET
    extra.get_ifd(34665)[37510] = SECRET
    data = encoded(scene(61, 83), "TIFF", exif=extra, icc_profile=SECRET) + SECRET
    picture, finished, _ = redone(data)
    assert data.count(SECRET) >= 9 and SECRET not in finished and picture.notes == (PROFILE_DROPPED,)
    assert set(Image.open(io.BytesIO(finished)).tag_v2) <= {256, 257, 258, 259, 262, 273, 277, 278, 279}


def compressed(rows: np.ndarray, compression: int) -> bytes:
    """One strip or tile of grey."""
    if compression in (1, 8):
        return rows.tobytes() if compression == 1 else zlib.compress(rows.tobytes())
    if compression == 7:
        return encoded(Image.fromarray(rows), "JPEG", quality=95)
    name = {5: "tiff_lzw", 32773: "packbits"}[compression]
    _, (page,) = ifd.read(encoded(Image.fromarray(rows), "TIFF", compression=name))
    return page.chunks[0]


@pytest.mark.parametrize("compression", [1, 5, 7, 8, 32773])
@pytest.mark.parametrize("tiled", [False, True])
def test_strips_and_tiles_too_many_or_too_short(tiled: bool, compression: int) -> None:
    """Surplus ones belong to no part of the picture; what a short one lacks must not be made up."""
    rows = scene(96, 64)[..., 0]
    blocks = [rows[top : top + 32] for top in (0, 32, 64)]
    blocks = [half for block in blocks for half in np.hsplit(block, 2)] if tiled else blocks
    chunks = [compressed(np.ascontiguousarray(block), compression) for block in blocks]
    tags = {
        256: (64,),
        257: (96,),
        258: (8,),
        259: (compression,),
        262: (1,),
        277: (1,),
        **({322: (32,), 323: (32,)} if tiled else {278: (32,)}),
    }
    (whole,), _ = tiff.read(ifd.build("<", [(tags, chunks)]), LIMITS)
    assert compression == 7 or np.array_equal(whole.values, rows)
    surplus = compressed(np.zeros_like(blocks[0]), compression)
    _, finished, (mask,) = redone(ifd.build("<", [(tags, [*chunks, surplus, surplus[:9]])]))
    (again,), _ = tiff.read(finished, LIMITS)
    np.testing.assert_array_equal(again.values[~mask.to_pixels()], whole.values[~mask.to_pixels()])
    for index, block in enumerate(blocks):
        fewer = compressed(np.ascontiguousarray(block[:20]), compression)
        for short in (fewer, chunks[index][: len(chunks[index]) // 2]):
            parts = [*chunks[:index], short, *chunks[index + 1 :]]
            with pytest.raises(BadFile, match=f"tile {index + 1} h|cut off|cannot be decoded"):
                open_picture(ifd.build("<", [(tags, parts)]), LIMITS)


def test_a_tag_that_is_there_twice_is_refused() -> None:
    """Readers differ in which one they take."""
    rows = scene(61, 83)[..., 0]
    tags = {256: (83,), 257: (61,), 258: (8,), 259: (1,), 262: (1,), 277: (1,), 278: (61,)}
    data = ifd.build("<", [(tags, [rows.tobytes()])])
    twice = data.replace((259).to_bytes(2, "little") + b"\x03\x00\x01", (256).to_bytes(2, "little") + b"\x03\x00\x01")
    with pytest.raises(BadFile, match="tag 256 twice"):
        open_picture(twice, LIMITS)


@pytest.mark.parametrize("extra", [(), (0,), (1,), (2,)])
def test_what_is_said_of_the_fourth_channel_is_kept(extra: tuple[int, ...]) -> None:
    """Readers take 0 for no alpha, 1 for colours that are multiplied by it, 2 for colours that are not."""
    values = np.dstack([scene(61, 83) // 2, np.full((61, 83), 128, np.uint8)])
    tags = {256: (83,), 257: (61,), 258: (8,) * 4, 259: (1,), 262: (2,), 277: (4,), 278: (61,), **({338: extra} if extra else {})}
    data = ifd.build("<", [(tags, [values.tobytes()])])
    picture, finished, (mask,) = redone(data)
    assert ifd.read(finished)[1][0].tags.get(338, ()) == extra
    before, after = (np.asarray(Image.open(io.BytesIO(each)).convert("RGBA")) for each in (data, finished))
    np.testing.assert_array_equal(before[~mask.to_pixels()], after[~mask.to_pixels()])
    page, out = picture.pages[0], np.zeros((61, 83, 3), np.uint8)
    assert page.renderings == (2 if extra == (1,) else 1)
    page.read(8, out, page.renderings - 1)
    shown = values[..., :3] * (255 / 128) if extra == (1,) else values[..., :3]
    assert abs(out - np.minimum(shown, 255)).max() <= 1


def test_depths_beyond_the_channels_say_nothing() -> None:
    rows = scene(61, 83)
    tags = {256: (83,), 257: (61,), 258: (8, 8, 8, 1), 259: (1,), 262: (2,), 277: (3,), 278: (61,)}
    _, finished, (mask,) = redone(ifd.build("<", [(tags, [rows.tobytes()])]))
    np.testing.assert_array_equal(pixels_of(finished)[~mask.to_pixels()], rows[~mask.to_pixels()])


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4"])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("reversed_bits", [False, True])
def test_fax(compression: str, white_is_zero: bool, reversed_bits: bool) -> None:
    """As scanners write it: either colour 0, bits in either order, in two strips."""
    ink = scene(61, 83)[..., 0] > 120
    chunks = []
    for part in (ink[:40], ink[40:]):
        _, (page,) = ifd.read(encoded(Image.fromarray(part), "TIFF", compression=compression))
        (chunk,) = page.chunks
        chunks.append(bytes(int(f"{byte:08b}"[::-1], 2) for byte in chunk) if reversed_bits else chunk)
    tags = {**{tag: page.tags[tag] for tag in (258, 259)}, 256: (83,), 257: (61,), 262: (0 if white_is_zero else 1,), 277: (1,), 278: (40,)}
    picture, finished, (mask,) = redone(ifd.build("<", [({**tags, 266: (2 if reversed_bits else 1,)}, chunks)]))
    shown = np.asarray(Image.open(io.BytesIO(finished)))
    np.testing.assert_array_equal(shown[~mask.to_pixels()], (ink ^ white_is_zero)[~mask.to_pixels()])
    assert not shown[mask.to_pixels()].any() and picture.notes == (tiff.FAX_UNPACKED,)
