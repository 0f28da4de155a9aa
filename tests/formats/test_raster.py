"""PNG, BMP and TIFF: every sample outside the mask is kept, every sample inside is black, nothing else survives."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from drawn import LIMITS, SECRET, encoded, in_mode, masks_for, pixels_of, redone, scene
from PIL import Image, PngImagePlugin

from appliance.errors import BadFile
from appliance.formats import bmp, ifd, open_picture, png, tiff
from appliance.formats.common import PROFILE_DROPPED, Limits
from appliance.formats.raster import FLATTENED, NO_BLACK, TURNED, Samples, pack, unpack
from appliance.formats.raster_picture import RasterPicture
from appliance.types import Mask, ceil_eighths, grid

COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")


FILES: dict[str, Callable[[], bytes]] = {
    **{f"png {mode}": lambda mode=mode: encoded(in_mode(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    **{f"png P{2**bits}": lambda bits=bits: encoded(in_mode(f"P{2**bits}"), "PNG", bits=bits) for bits in (1, 2, 4)},
    **{f"bmp {mode}": lambda mode=mode: encoded(in_mode(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")},
    **{
        f"{compression} {mode}": lambda mode=mode, compression=compression: encoded(in_mode(mode), "TIFF", compression=compression)
        for compression in COMPRESSIONS
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
    },
}


@pytest.mark.parametrize("name", FILES)
def test_every_mode(name: str) -> None:
    data = FILES[name]()
    picture, finished, (mask,) = redone(data)
    before, after, hidden = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(finished)), mask.to_pixels()
    assert (before.format, before.mode, before.size) == (after.format, after.mode, after.size)
    np.testing.assert_array_equal(pixels_of(finished)[~hidden], pixels_of(data)[~hidden])
    darkest = pixels_of(finished)[hidden]
    assert not darkest.any() or NO_BLACK in picture.notes
    if name.startswith("png"):
        assert finished[24:26] == data[24:26], "bit depth and colour type are kept"
    if name.startswith("bmp"):
        assert finished[28] == data[28], "bits a pixel are kept"
    if picture.format == "tiff":
        assert before.tag_v2[259] == after.tag_v2[259] and before.tag_v2.get(258, (1,)) == after.tag_v2[258]
    again = open_picture(finished, LIMITS)
    again.check(again.rewrite(masks_for(again, 5)), masks_for(again, 5))


def test_png_of_few_grey_levels_keeps_its_depth() -> None:
    for bits in (2, 4):
        grey = (np.arange(61 * 83).reshape(61, 83) % 2**bits).astype(np.uint8)
        rows = b"".join(b"\x00" + row.tobytes() for row in pack(grey, bits))
        head = struct.pack(">IIBBBBB", 83, 61, bits, 0, 0, 0, 0)
        _, finished, (mask,) = redone(png._file([(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]))
        assert finished[24:26] == bytes((bits, 0))
        shown, hidden = np.asarray(Image.open(io.BytesIO(finished)).convert("L")), mask.to_pixels()
        np.testing.assert_array_equal(shown[~hidden], grey[~hidden] * (255 // (2**bits - 1)))
        assert not shown[hidden].any()


def test_png_of_16_bit_grey_with_alpha() -> None:
    values = np.stack([scene(61, 83)[..., 0].astype(np.uint16) * 201, np.full((61, 83), 65535, np.uint16)], axis=2)
    rows = b"".join(b"\x00" + row.tobytes() for row in values.astype(">u2").reshape(61, -1))
    head = struct.pack(">IIBBBBB", 83, 61, 16, 4, 0, 0, 0)
    picture, finished, (mask,) = redone(png._file([(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]))
    (again,), _ = png.read(finished, LIMITS)
    np.testing.assert_array_equal(again.values[~mask.to_pixels()], values[~mask.to_pixels()])
    assert not again.values[mask.to_pixels()][:, 0].any() and (again.values[..., 1] == 65535).all()
    assert isinstance(picture, RasterPicture)


@pytest.mark.parametrize("channels", [3, 4])
def test_png_of_16_bit_colours(channels: int) -> None:
    """With all five filters, written by hand."""
    values = np.random.default_rng(2).integers(0, 65536, (61, 83, channels)).astype(np.uint16)
    values[..., 3:] = 40000
    raw = np.ascontiguousarray(values.astype(">u2")).view(np.uint8).reshape(61, -1).astype(int)
    bpp, rows = 2 * channels, []
    for index, row in enumerate(raw):
        up = raw[index - 1] if index else np.zeros_like(row)
        left, corner = np.concatenate([np.zeros(bpp, int), row[:-bpp]]), np.concatenate([np.zeros(bpp, int), up[:-bpp]])
        guess = left + up - corner
        near = np.argmin([abs(guess - left), abs(guess - up), abs(guess - corner)], axis=0)
        paeth = np.choose(near, [left, up, corner])
        kind = index % 5
        filtered = row - (np.zeros_like(row), left, up, (left + up) // 2, paeth)[kind]
        rows.append(bytes((kind,)) + (filtered % 256).astype(np.uint8).tobytes())
    head = struct.pack(">IIBBBBB", 83, 61, 16, 2 if channels == 3 else 6, 0, 0, 0)
    _, finished, (mask,) = redone(png._file([(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]))
    (again,), _ = png.read(finished, LIMITS)
    hidden = mask.to_pixels()
    np.testing.assert_array_equal(again.values[~hidden], values[~hidden])
    assert not again.values[hidden][:, :3].any() and finished[24:26] == head[8:10]
    np.testing.assert_array_equal(pixels_of(finished)[~hidden], (values[~hidden][:, :3] >> 8).astype(np.uint8))


def test_interlaced_png() -> None:
    plain = encoded(scene(61, 83), "PNG")
    rows = []
    for top, left, down, across in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):
        rows += [b"\x00" + row.tobytes() for row in scene(61, 83)[top::down, left::across] if row.size]
    head = plain[16:28] + b"\x01"
    data = png._file([(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")])
    _, finished, (mask,) = redone(data)
    np.testing.assert_array_equal(pixels_of(finished)[~mask.to_pixels()], scene(61, 83)[~mask.to_pixels()])


@pytest.mark.parametrize("value", range(1, 9))
def test_orientations(value: int) -> None:
    block = Image.Exif()
    block[274] = value
    for data in (encoded(scene(61, 83), "PNG", exif=block), encoded(scene(61, 83), "TIFF", exif=block)):
        picture, finished, (mask,) = redone(data)
        order = (lambda a: a, *(lambda a, v=v: TRANSPOSED[v](a) for v in range(2, 9)))[value - 1]
        shown = order(scene(61, 83))
        np.testing.assert_array_equal(pixels_of(finished)[~mask.to_pixels()], shown[~mask.to_pixels()])
        assert picture.notes == ((TURNED,) if value > 1 else ())


TRANSPOSED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def test_nothing_but_the_picture_survives_png() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", SECRET.decode())
    info.add_text("Patient", SECRET.decode(), zip=True)
    info.add_itxt("Patient", SECRET.decode(), zip=False)
    info.add(b"tIME", b"\x07\xea\x0b\x17\x08\x00\x00")
    info.add(b"prVt", SECRET)
    block = Image.Exif()
    block[270] = SECRET.decode()
    picture = in_mode("P16")
    palette = np.zeros((256, 3), np.uint8)
    palette[:16] = np.reshape(picture.getpalette()[:48], (16, 3))
    palette.ravel()[-len(SECRET) :] = np.frombuffer(SECRET, np.uint8)
    picture.putpalette(palette.tobytes())
    for image in (Image.fromarray(scene(61, 83)), picture):
        data = encoded(image, "PNG", pnginfo=info, exif=block, icc_profile=SECRET, bits=8, dpi=(72, 72)) + SECRET
        opened, finished, _ = redone(data)
        assert data.count(SECRET) >= 4 and SECRET not in finished and opened.notes == (PROFILE_DROPPED,)
        names = {name for name, _ in png._chunks(finished)}
        assert names <= {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


def test_nothing_but_the_picture_survives_bmp() -> None:
    plain = encoded(scene(61, 83), "BMP")
    gap = bytearray(plain[:54] + SECRET + plain[54:] + SECRET)
    struct.pack_into("<I", gap, 10, 54 + len(SECRET))
    struct.pack_into("<I", gap, 6, 0x4D555354)  # reserved field
    padded = bytearray(encoded(scene(61, 83)[:, :81], "BMP"))
    stride = (81 * 24 + 31) // 32 * 4
    padded[54 + 243] = 0x4D  # row padding
    for data in (bytes(gap), bytes(padded)):
        _, finished, _ = redone(data)
        assert SECRET not in finished and finished[6:10] == bytes(4) and len(finished) in (len(plain), 54 + 61 * stride)
    assert not any(redone(bytes(padded))[1][54 + 243 :: stride])


def test_bmp_stored_from_the_top_and_with_a_long_header() -> None:
    plain = encoded(scene(61, 83), "BMP")
    stride = (83 * 24 + 31) // 32 * 4
    rows = b"".join(plain[54 + stride * (60 - row) :][:stride] for row in range(61))
    turned = plain[:22] + struct.pack("<i", -61) + plain[26:54] + rows
    long = plain[:10] + struct.pack("<II", 14 + 124, 124) + plain[18:54] + SECRET.ljust(84, b"x") + plain[54:]
    for data in (turned, long):
        _, finished, (mask,) = redone(data)
        np.testing.assert_array_equal(pixels_of(finished)[~mask.to_pixels()], scene(61, 83)[~mask.to_pixels()])
        assert SECRET not in finished


@pytest.mark.parametrize("masks", [None, (0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F)])
def test_bmp_of_16_bits(masks: tuple[int, int, int] | None) -> None:
    packed = np.random.default_rng(4).integers(0, 65536, (61, 84)).astype("<u2")
    fields = struct.pack("<3I", *masks) if masks else b""
    start = 54 + len(fields)
    head = struct.pack("<2sIII", b"BM", start + packed.nbytes, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, 84, 61, 1, 16, 3 if masks else 0, packed.nbytes, 0, 0, 0, 0)
    data = head + info + fields + packed.tobytes()
    picture, finished, (mask,) = redone(data)
    outside = ~mask.to_pixels()
    assert abs(pixels_of(finished)[outside].astype(int) - pixels_of(data)[outside]).max() <= 1
    assert picture.notes == (bmp.SPREAD,)
    if masks:
        with pytest.raises(BadFile, match="unusual order"):
            open_picture(data[:54] + struct.pack("<3I", *masks[::-1]) + data[66:], LIMITS)


@pytest.mark.parametrize("mode", ["1", "L", "P16", "RGB"])
def test_a_bmp_without_its_last_padding_is_whole(mode: str) -> None:
    data, plain = encoded(in_mode(mode), "BMP"), pixels_of(encoded(in_mode(mode), "BMP"))
    padding = -((83 * data[28] + 7) // 8) % 4
    assert padding
    _, finished, (mask,) = redone(data[:-padding])
    np.testing.assert_array_equal(pixels_of(finished)[~mask.to_pixels()], plain[~mask.to_pixels()])
    with pytest.raises(BadFile, match="cut off"):
        open_picture(data[: -padding - 1], LIMITS)


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparency_that_varies_is_flattened(kind: str, bright: bool) -> None:
    """Onto black where what shows is bright, else onto white; colours and text that alpha hid are gone."""
    alpha = np.tile(np.arange(83) * 3, (61, 1)).astype(np.uint8)
    alpha[20:30, 20:30] = 0
    colours = scene(61, 83) // 3 + 160 * bright
    for each in (colours, colours[..., 0]):
        data = encoded(np.dstack([each, alpha]), kind)
        picture, finished, (mask,) = redone(data)
        above = Image.open(io.BytesIO(data)).convert("RGBA")
        shown = Image.new("RGBA", above.size, (0, 0, 0, 255) if bright else (255, 255, 255, 255))
        shown.alpha_composite(above)
        outside, after = ~mask.to_pixels(), Image.open(io.BytesIO(finished))
        assert after.mode in ("RGB", "L") and picture.notes == (FLATTENED,)
        assert abs(pixels_of(finished)[outside].astype(int) - np.asarray(shown)[outside][:, :3]).max() <= 1
        out = np.zeros((61, 83, 3), np.uint8)
        picture.pages[0].read(8, out)
        np.testing.assert_array_equal(out[outside], pixels_of(finished)[outside])


def test_a_transparent_colour_is_flattened() -> None:
    flat = np.full((61, 83, 3), 9, np.uint8)
    flat[:20] = (1, 2, 3)
    for data in (
        encoded(flat, "PNG", transparency=(1, 2, 3)),
        encoded(in_mode("P16"), "PNG", transparency=3),
        encoded(flat[..., 0], "PNG", transparency=1),
    ):
        picture, finished, (mask,) = redone(data)
        above = Image.open(io.BytesIO(data)).convert("RGBA")
        hidden = np.asarray(above)[..., 3] == 0
        outside = ~mask.to_pixels()
        assert len(np.unique(pixels_of(finished)[outside & hidden])) == 1 and picture.notes == (FLATTENED,)
        np.testing.assert_array_equal(pixels_of(finished)[outside & ~hidden], np.asarray(above)[outside & ~hidden][:, :3])
        assert b"tRNS" not in finished
    _, finished, _ = redone(encoded(flat, "PNG", transparency=(4, 4, 4)))
    assert b"tRNS" not in finished
    redone(encoded(in_mode("P16"), "PNG", transparency=bytes([255] * 16)))


def test_a_fourth_channel_of_unknown_meaning_must_not_vary() -> None:
    values = np.dstack([scene(61, 83), scene(61, 83)[..., 0]])
    for extra in ({}, {338: (0,)}):
        tags = {256: (83,), 257: (61,), 258: (8,) * 4, 259: (1,), 262: (2,), 277: (4,), 278: (61,), **extra}
        with pytest.raises(BadFile, match="transparent in places"):
            open_picture(ifd.build("<", [(tags, [values.tobytes()])]), LIMITS)


def test_transparency_that_is_the_same_everywhere_is_kept() -> None:
    palette, flat = in_mode("P16"), np.full((61, 83, 3), 9, np.uint8)
    for data in (
        encoded(palette, "PNG", transparency=bytes([128] * 16)),
        encoded(flat, "PNG", transparency=(9, 9, 9)),
        encoded(flat[..., 0].copy(), "PNG", transparency=9),
    ):
        picture = open_picture(data, LIMITS)
        nothing = [Mask(np.zeros(grid(page.size, page.cell), bool), page.cell, page.size) for page in picture.pages]
        finished = picture.rewrite(nothing)
        picture.check(finished, nothing)
        shown = [np.asarray(Image.open(io.BytesIO(each)).convert("RGBA")) for each in (data, finished)]
        assert shown[0][0, 0, 3] < 255
        np.testing.assert_array_equal(*shown)
    data = encoded(palette, "PNG", transparency=bytes([128] * 16))
    picture, finished, (mask,) = redone(data)
    place = finished.index(b"tRNS")
    length = int.from_bytes(finished[place - 4 : place], "big")
    assert set(finished[place + 4 : place + 4 + length]) == {128}
    said = finished[: place - 4] + png._chunk(b"tRNS", bytes([128] * 16) + SECRET) + finished[place + 8 + length :]
    with pytest.raises(BadFile, match="holds more"):
        picture.check(said, [mask])
    with pytest.raises(BadFile, match="another size, bit depth or mode"):
        picture.check(finished[: place - 4] + finished[place + 8 + length :], [mask])


def test_a_full_palette_gives_up_a_colour_used_only_under_the_mask() -> None:
    rows = np.full((16, 16), 1, np.uint8)
    rows[:8, :8] = 0
    image = Image.fromarray(rows)
    image.putpalette(bytes((200, 0, 0, 0, 200, 0)))
    data = encoded(image, "PNG", bits=1)
    picture = open_picture(data, LIMITS)
    mask = Mask(np.array([[True, False], [False, False]]), (8, 8), (16, 16))
    finished = picture.rewrite([mask])
    picture.check(finished, [mask])
    assert not pixels_of(finished)[:8, :8].any() and picture.notes == ()
    everywhere = Mask(np.array([[False, True], [False, False]]), (8, 8), (16, 16))
    picture.check(picture.rewrite([everywhere]), [everywhere])
    assert picture.notes == (NO_BLACK,)


def test_read_keeps_the_mapping_of_detector_to_picture_pixels() -> None:
    ramp = np.repeat(np.linspace(0, 240, 1001).astype(np.uint8)[None, :, None], 45, axis=0).repeat(3, axis=2)
    page = open_picture(encoded(ramp, "PNG"), LIMITS).pages[0]
    for num in (1, 2, 3, 4, 5, 6, 7, 8, 12):
        height, width = ceil_eighths(page.size, num)
        canvas = np.full((height + 2, width + 2, 3), 7, np.uint8)
        page.read(num, canvas[1:-1, 1:-1])
        expected = np.interp((np.arange(width) + 0.5) * 8 / num - 0.5, np.arange(1001), ramp[0, :, 0])
        assert abs(canvas[1 + height // 2, 1:-1, 0] - expected).max() <= 2
        assert (canvas[0] == 7).all() and (canvas[:, -1] == 7).all()
    with pytest.raises(ValueError, match="does not fit"):
        page.read(8, np.zeros((45, 1000, 3), np.uint8))


def test_16_bit_pictures_are_shown_from_darkest_to_brightest() -> None:
    values = np.full((20, 20), 1000, np.uint16)
    values[5:9] = 1200
    page = open_picture(encoded(Image.fromarray(values), "PNG"), LIMITS).pages[0]
    out = np.zeros((20, 20, 3), np.uint8)
    page.read(8, out)
    assert out[0, 0, 0] == 0 and (out[6] == 255).all()


def test_16_bit_pictures_are_also_shown_without_their_brightest() -> None:
    values = np.linspace(100, 300, 10_000).reshape(100, 100).astype(np.uint16)
    values[0, :3] = 65535
    black = np.full((100, 100), 65535, np.uint16)
    tags = {256: (100,), 257: (100,), 258: (16,), 259: (1,), 262: (0,), 277: (1,), 278: (100,)}
    inverted = ifd.build("<", [(tags, [(65535 - values).tobytes()])])
    for data in (encoded(Image.fromarray(values), "PNG"), encoded(Image.fromarray(values), "TIFF"), inverted):
        page = open_picture(data, LIMITS).pages[0]
        assert page.renderings == 4
        for rendering, brightest in ((0, 65535), (1, 299), (2, 280)):
            out = np.zeros((100, 100, 3), np.uint8)
            page.read(8, out, rendering)
            lowest = 100 if rendering == 0 else 102
            expected = np.clip((values - float(lowest)) / (brightest - lowest), 0, 1) * 255
            assert abs(out[..., 0] - expected).max() <= 3
            assert (out[0, :3] == 255).all()
        with pytest.raises(ValueError, match="rendering 4 was asked for, the page has 4"):
            page.read(8, out, 4)
    for constant in (black, np.zeros_like(black)):
        page = open_picture(encoded(Image.fromarray(constant), "PNG"), LIMITS).pages[0]
        page.read(8, out)
        assert page.renderings == 1 and (out == (255 if constant.any() else 0)).all()
    assert all(open_picture(FILES[name](), LIMITS).pages[0].renderings == 1 for name in ("png 1", "png LA", "png P", "bmp RGB", "raw L"))


def test_a_tiff_palette_is_what_screens_show_of_it() -> None:
    """The upper 8 bits; of old writers, which filled the lower ones alone, those. Else text could be written in what no one sees."""
    rows = (np.arange(61 * 83).reshape(61, 83) % 256).astype(np.uint8)
    low = np.arange(256) * np.ones((3, 1), int)
    for colours, screen, notes in (
        *((low, low, ()), (low * 257, low, ()), (low << 8, low, ())),
        ((low // 4 << 8) + low, low // 4, (tiff.PALETTE_ROUNDED,)),
    ):
        tags = {256: (83,), 257: (61,), 258: (8,), 259: (1,), 262: (3,), 277: (1,), 278: (61,), 320: tuple(colours.ravel().tolist())}
        picture, finished, (mask,) = redone(ifd.build("<", [(tags, [rows.tobytes()])]))
        out = np.zeros((61, 83, 3), np.uint8)
        picture.pages[0].read(8, out)
        np.testing.assert_array_equal(out[..., 0], screen[0][rows])
        assert picture.pages[0].renderings == 1 and picture.notes == notes
        (again,), _ = tiff.read(finished, LIMITS)
        np.testing.assert_array_equal(again.palette[again.values][~mask.to_pixels()], out[~mask.to_pixels()])
        assert set(ifd.read(finished)[1][0].tags[320]) <= {257 * level for level in range(256)}


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_text_in_the_indices_of_equal_colours_does_not_survive(kind: str) -> None:
    shown = np.arange(61 * 83).reshape(61, 83) % 64
    written = np.zeros_like(shown)
    written[20:40, 20:60] = 1  # what a viewer with another palette would show
    image = Image.fromarray((shown + 64 * written).astype(np.uint8))
    image.putpalette(np.tile(np.arange(64)[:, None] * (4, 2, 1), (4, 1)).astype(np.uint8).tobytes())
    data = encoded(image, kind)
    picture, finished, (mask,) = redone(data)
    outside = ~mask.to_pixels()
    codec = {"png": png.CODEC, "bmp": bmp.CODEC, "tiff": tiff.CODEC}[picture.format]
    (again,), _ = codec.read(finished, LIMITS)
    np.testing.assert_array_equal(again.values[outside], shown[outside])
    np.testing.assert_array_equal(pixels_of(finished)[outside], pixels_of(data)[outside])
    colours = np.concatenate([again.palette[:64], again.palette[:64], again.palette[128:]])
    twins = Samples(again.values.copy(), 8, colours, layout=again.layout)
    twins.values[outside & (written == 1)] += 64
    with pytest.raises(BadFile, match="outside the mask has changed"):
        picture.check(codec.write([twins]), [mask])
    unmerged = Samples(np.where(outside, again.values, 64).astype(np.uint8), 8, again.palette, layout=again.layout)
    with pytest.raises(BadFile, match="the palette has changed"):
        picture.check(codec.write([unmerged]), [mask])


@pytest.mark.parametrize("above", [20, 100, 400])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_text_of_a_few_levels_is_shown_wherever_it_lies(kind: str, above: int) -> None:
    """Three grounds, the picture from 0 to 65535 beside them: no window of the whole picture tells the text from its ground."""
    values = np.zeros((150, 400), np.uint16)
    values[:, 200:] = np.linspace(0, 65535, 200)
    written = np.zeros((50, 200), bool)
    written[20:32, 40:160:7] = written[20:23, 40:160] = True
    for row, ground in enumerate((300, 30_000, 65_000)):
        values[50 * row : 50 * row + 50, :200] = ground + above * written
    page = open_picture(encoded(Image.fromarray(values), kind), LIMITS).pages[0]
    contrasts = []
    for rendering in range(page.renderings):
        out = np.zeros((150, 400, 3), np.uint8)
        page.read(8, out, rendering)
        parts = out[:, :200, 0].reshape(3, 50, 200).astype(int)
        contrasts.append([int((part[24:32, 40:154:7] - part[24:32, 43:157:7]).min()) for part in parts])
    assert min(contrasts[-1]) >= 40 and max(map(min, contrasts[:-1])) < 3


def test_a_slope_of_16_bits_is_shown_without_edges() -> None:
    values = np.add.outer(np.arange(150), np.arange(400)).astype(np.uint16) * 119
    page, out = open_picture(encoded(Image.fromarray(values), "PNG"), LIMITS).pages[0], np.zeros((150, 400, 3), np.uint8)
    page.read(8, out, page.renderings - 1)
    assert max(abs(np.diff(out[20:-20, 20:-20, 0].astype(int), axis=axis)).max() for axis in (0, 1)) < 10


@pytest.mark.parametrize("levels", [256, 40])
def test_a_grey_bmp_stays_grey(levels: int) -> None:
    """Pillow, and not only it, takes a BMP for grey where its palette is the ramp of greys, used or not."""
    grey = Image.fromarray(np.minimum(scene(61, 83)[..., 0], levels - 1).astype(np.uint8))
    picture, finished, (mask,) = redone(encoded(grey, "BMP"))
    after = Image.open(io.BytesIO(finished))
    assert (after.mode, picture.notes) == ("L", ())
    np.testing.assert_array_equal(np.asarray(after)[~mask.to_pixels()], np.asarray(grey)[~mask.to_pixels()])
    white = Image.new("1", (64, 64), 1)
    assert Image.open(io.BytesIO(redone(encoded(white, "BMP"))[1])).mode == "1"


def test_only_the_ramp_of_greys_keeps_unused_entries() -> None:
    image = Image.fromarray(np.full((16, 16), 7, np.uint8))
    ramp = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    for palette, kept in ((ramp, True), (np.concatenate([ramp[:200], ramp[:56]]), False), (ramp[::-1].copy(), False)):
        for kind in ("PNG", "BMP", "TIFF"):
            image.putpalette(palette.tobytes())
            _, finished, _ = redone(encoded(image, kind))
            again = np.reshape(Image.open(io.BytesIO(finished)).convert("RGB").getpixel((15, 15)), 3)
            assert (again == palette[7]).all()
            assert (ramp[100:].tobytes() in finished) == (kept and kind == "PNG")


def test_packing_is_reversible() -> None:
    rng = np.random.default_rng(0)
    for bits in (1, 2, 4):
        for width in (1, 7, 8, 83):
            values = rng.integers(0, 2**bits, (5, width)).astype(np.uint8)
            np.testing.assert_array_equal(unpack(pack(values, bits), width, bits), values)


CASES = {
    "png": lambda: FILES["png RGB"](),
    "png palette": lambda: FILES["png P"](),
    "bmp": lambda: FILES["bmp RGB"](),
    "tiff": lambda: FILES["tiff_lzw RGB"](),
}


@pytest.mark.parametrize("name", CASES)
def test_check_sees_every_difference(name: str) -> None:
    picture, finished, masks = redone(CASES[name]())
    (mask,) = masks
    codec = {"png": png.CODEC, "bmp": bmp.CODEC, "tiff": tiff.CODEC}[picture.format]

    def refused(data: bytes, words: str) -> None:
        with pytest.raises(BadFile, match=words) as caught:
            picture.check(data, masks)
        assert caught.value.code == "not-faithful"

    nothing = Mask(np.zeros_like(mask.cells), mask.cell, mask.size)
    refused(picture.rewrite([nothing]), "under the mask")
    refused(picture.rewrite([Mask(~nothing.cells, mask.cell, mask.size)]), "outside the mask")
    (samples,), _ = codec.read(finished, LIMITS)
    row, column = np.argwhere(~mask.to_pixels())[-1]
    samples.values[row, column] ^= 1
    refused(codec.write([samples]), "outside|palette")
    samples.values[row, column] ^= 1
    row, column = np.argwhere(mask.to_pixels())[0]
    samples.values[row, column] ^= 1
    refused(codec.write([samples]), "mask|palette")
    refused(finished + b"\x00", "holds more")
    refused(finished[:-7], "cannot be read")
    refused(b"", "cannot be read")
    refused(encoded(scene(61, 82), picture.format.upper()), "another size|holds more")
    refused(encoded(in_mode("L"), picture.format.upper()), "another size|holds more")
    if picture.format == "png":
        end = finished.index(b"IEND") - 4
        refused(finished[:end] + png._chunk(b"tEXt", b"a\x00b") + finished[end:], "holds more")
        refused(finished[:end] + png._chunk(b"tIME", bytes(7)) + finished[end:], "holds more")
    if picture.format == "tiff":
        _, (page,) = ifd.read(finished)
        known = {tag: value for tag, value in page.tags.items() if tag not in (273, 279)}
        refused(ifd.build("<", [({**known, 270: (65,)}, page.chunks)]), "holds more")
        refused(ifd.build("<", [(known, page.chunks)]) + bytes(2), "holds more")


def test_refusals_name_their_reason() -> None:
    moving = io.BytesIO()
    Image.fromarray(scene(9, 9)).save(moving, "PNG", save_all=True, append_images=[Image.fromarray(scene(9, 9, 1))])
    plain = {256: (4,), 257: (4,), 258: (8,), 259: (1,), 262: (1,), 277: (1,), 278: (4,)}
    cases = [
        (moving.getvalue(), "unsupported", "animated"),
        (ifd.build("<", [({**plain, 259: (34712,)}, [bytes(16)])]), "unsupported", "compression 34712"),
        (ifd.build("<", [({**plain, 259: (4,)}, [bytes(16)])]), "unsupported", "not black and white"),
        (encoded(in_mode("CMYK"), "TIFF"), "unsupported", "colour space 5"),
        (encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "unsupported", "32 bits"),
        (ifd.build("<", [({**plain, 277: (3,), 262: (2,), 284: (2,)}, [bytes(16)] * 3)]), "unsupported", "planes"),
        (ifd.build("<", [(plain, [bytes(16)]), ({**plain, 257: (5,)}, [bytes(3)])]), "damaged", ""),
        (b"II+\x00\x08\x00\x00\x00", "unsupported", "BigTIFF"),
        (b"II*\x00\x08\x00\x00\x00\x00\x00" + struct.pack("<I", 8), "damaged", ""),
        (encoded(in_mode("L"), "BMP")[:30] + b"\x01" + encoded(in_mode("L"), "BMP")[31:], "unsupported", "compression 1"),
        (b"BM" + bytes(12) + struct.pack("<I", 12) + bytes(40), "unsupported", "header of 12"),
        (
            encoded(in_mode("L"), "BMP")[:28] + b"\x02" + encoded(in_mode("L"), "BMP")[29:],
            "unsupported",
            "2 bits a pixel; 1, 4, 8, 16, 24 and 32",
        ),
        (ifd.build("<", [({**plain, 262: (2,), 277: (4,), 259: (7,)}, [bytes(16)])]), "unsupported", "JPEG inside with 4 channels, 3 are"),
        (ifd.build("<", [({**plain, 262: (5,), 277: (4,), 259: (7,)}, [bytes(16)])]), "unsupported", "JPEG inside in colour space 5"),
        (ifd.build("<", [({**plain, 262: (3,), 277: (2,)}, [bytes(32)])]), "unsupported", "palette and 2 channels"),
        (ifd.build("<", [({**plain, 262: (2,), 277: (3,), 258: (8, 8, 16)}, [bytes(64)])]), "unsupported", "different depths"),
        (ifd.build("<", [({tag: value for tag, value in plain.items() if tag != 262}, [bytes(16)])]), "damaged", "does not say its colour"),
        (
            ifd.build("<", [(plain, [bytes(16)])]).replace(b"\x17\x01\x04\x00", b"\x16\x81\x04\x00"),
            *("unsupported", "does not say how long its strips"),
        ),
    ]
    for data, code, words in cases:
        with pytest.raises(BadFile, match=words or ".") as caught:
            redone(data)
        assert caught.value.code == code, caught.value.reason


def test_header_limits_come_before_decoding() -> None:
    for kind in ("PNG", "BMP", "TIFF"):
        with pytest.raises(BadFile, match="the limit is"):
            open_picture(encoded(scene(61, 83), kind), Limits(5000))
    pages = encoded(in_mode("1"), "TIFF", save_all=True, append_images=[in_mode("1")] * 9)
    with pytest.raises(BadFile, match="on the first of 10 pages"):
        open_picture(pages, Limits(61 * 83 * 9))
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    with pytest.raises(BadFile, match=r"60000 x 60000 px, 3600\.0 Mpx"):
        open_picture(png._file([(b"IHDR", head)]), Limits())


def test_pixels_without_a_palette_entry_are_refused() -> None:
    """Where the offset cuts the palette off, a viewer makes up colours, and black would hide what the bytes hold."""
    whole = encoded(in_mode("P"), "BMP")
    few = np.asarray(in_mode("P4"))
    for offset, entries in ((54, 256), (54 + 4 * 100, 256), (54 + 4 * 200, 50)):
        cut = bytearray(whole)
        struct.pack_into("<I", cut, 10, offset)
        struct.pack_into("<I", cut, 46, entries)
        with pytest.raises(BadFile, match=f"of a palette that has {min(entries, (offset - 54) // 4)}") as caught:
            open_picture(bytes(cut), LIMITS)
        assert caught.value.code == "damaged"
    short = png._file(
        [
            *((b"IHDR", struct.pack(">IIBBBBB", 83, 61, 8, 3, 0, 0, 0)), (b"PLTE", bytes(9))),
            *((b"IDAT", zlib.compress(b"".join(b"\x00" + row.tobytes() for row in few))), (b"IEND", b"")),
        ]
    )
    tags = {256: (83,), 257: (61,), 258: (8,), 259: (1,), 262: (3,), 277: (1,), 278: (61,), 320: tuple(range(3 * 4))}
    for data in (short, ifd.build("<", [(tags, [few.tobytes()])])):
        with pytest.raises(BadFile, match="palette"):
            open_picture(data, LIMITS)
