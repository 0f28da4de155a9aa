"""Broken and hostile files: a BadFile or a verified result, never anything else; and never a wait."""

from __future__ import annotations

import io
import struct
import threading
import zipfile

import numpy as np
import pytest
from drawn import LIMITS, encoded, jpeg, masks_for, redone, scene
from PIL import Image

from appliance.errors import BadFile
from appliance.formats import exif, ifd, open_picture, png, sniff, turbo
from appliance.types import ceil_eighths

PALETTE = Image.fromarray(scene(40, 56)).quantize(32)
ROTATED = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06" + bytes(6)
FILES = {
    "jpeg": jpeg(scene(40, 56)),
    "progressive": jpeg(scene(40, 56), "4:2:2", progressive=True),
    "turned": encoded(scene(40, 56), "JPEG", exif=ROTATED),
    "png": encoded(scene(40, 56), "PNG"),
    "png palette": encoded(PALETTE, "PNG"),
    "bmp": encoded(scene(12, 16), "BMP"),
    "bmp palette": encoded(PALETTE, "BMP"),
    "tiff": encoded(scene(12, 16), "TIFF"),
    "tiff lzw": encoded(scene(40, 56), "TIFF", compression="tiff_lzw"),
    "tiff jpeg": encoded(scene(48, 64), "TIFF", compression="jpeg"),
    "tiff pages": encoded(PALETTE, "TIFF", save_all=True, append_images=[PALETTE], compression="packbits"),
}


def works_or_is_refused(data: bytes) -> bool:
    """Whether the file came through; anything but a BadFile fails the test."""
    try:
        picture = open_picture(data, LIMITS)
        for page in picture.pages:
            page.read(4, np.zeros((*ceil_eighths(page.size, 4), 3), np.uint8))
        masks = masks_for(picture)
        picture.check(picture.rewrite(masks), masks)
    except BadFile as error:
        assert error.code in ("unsupported", "damaged", "incomplete", "too-large"), (error.code, error.reason)
        return False
    return True


@pytest.mark.parametrize("name", FILES)
def test_flipped_bits(name: str) -> None:
    rng = np.random.default_rng(len(name))
    results = []
    for _ in range(120):
        data = bytearray(FILES[name])
        reach = len(data) if rng.random() < 0.5 else min(len(data), 200)  # headers are where parsers break
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(0, reach)] = rng.integers(0, 256)
        results.append(works_or_is_refused(bytes(data)))
    assert not all(results)


@pytest.mark.parametrize("name", FILES)
def test_cut_anywhere(name: str) -> None:
    data = FILES[name]
    needless = 16 if name == "tiff pages" else 0  # the resolution, which ends this file
    for keep in sorted({0, 1, 2, 3, 7, 8, 20, 33, 54, *np.linspace(9, len(data) - 1 - needless, 40).astype(int)}):
        with pytest.raises(BadFile) as caught:
            redone(data[:keep])
        assert caught.value.code == "incomplete", (keep, caught.value.reason)


def test_values_that_baseline_cannot_hold_are_refused() -> None:
    """Found by chance: a second Huffman table made legal codes of wild values, which the encoder wrote as nonsense."""
    data = FILES["jpeg"]
    with pytest.raises(BadFile, match="beyond what 8-bit pictures can have") as caught:
        redone(data[:351] + data[177:])
    assert caught.value.code == "damaged"


@pytest.mark.parametrize("name", FILES)
def test_parts_left_out_or_doubled(name: str) -> None:
    rng = np.random.default_rng(7)
    data = FILES[name]
    for _ in range(60):
        start, end = sorted(rng.integers(0, len(data), 2))
        works_or_is_refused(data[:start] + data[end:])
        works_or_is_refused(data[:end] + data[start:])


def test_sniff_goes_by_content() -> None:
    assert [sniff(FILES[name][:16]) for name in ("jpeg", "png", "bmp", "tiff")] == ["jpeg", "png", "bmp", "tiff"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("x.jpg", FILES["jpeg"])
    for data in (archive.getvalue(), b"GIF89a" + bytes(9), b"RIFF\x00\x00\x00\x00WEBP", b"%PDF-1.7", b"<svg>", b"not a picture at all"):
        with pytest.raises(BadFile, match="not a picture type this box handles") as caught:
            open_picture(data, LIMITS)
        assert caught.value.code == "unsupported"
    for data in (b"", bytes(4096)):
        with pytest.raises(BadFile) as caught:
            open_picture(data, LIMITS)
        assert caught.value.code == "incomplete"
    assert open_picture(memoryview(FILES["png"]), LIMITS).format == "png"


def test_messages_hold_nothing_of_the_file() -> None:
    data = png._file([(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)), (b"NAME", b"MUSTERMANN"), (b"IEND", b"")])
    with pytest.raises(BadFile) as caught:
        open_picture(data, LIMITS)
    assert "NAME" not in caught.value.reason and "MUSTER" not in caught.value.reason


def test_tiff_rings_and_bombs() -> None:
    page = {256: (4,), 257: (4,), 258: (8,), 259: (1,), 262: (1,), 277: (1,), 278: (4,)}
    good = bytearray(ifd.build("<", [(page, [bytes(range(16))])]))
    (start,) = struct.unpack_from("<I", good, 4)
    ring = bytearray(good)
    struct.pack_into("<I", ring, len(ring) - 4, start)
    with pytest.raises(BadFile, match="ring"):
        open_picture(bytes(ring), LIMITS)
    shared = ifd.build("<", [(page, [bytes(16)] * 50)])
    (start,) = struct.unpack_from("<I", shared, 4)
    many = bytearray(shared)
    count = struct.unpack_from("<H", shared, start)[0]
    for index in range(count):
        tag, _, _, place = struct.unpack_from("<HHII", many, start + 2 + 12 * index)
        if tag == 279:
            struct.pack_into("<50I", many, place, *[len(shared) - 900] * 50)
    with pytest.raises(BadFile):
        open_picture(bytes(many), LIMITS)
    for tag, kind, number in ((320, 3, 2**31), (258, 5, 2**29), (273, 4, 2**32 - 1)):
        entry = struct.pack("<HHII", tag, kind, number, 8)
        with pytest.raises(BadFile):
            open_picture(b"II*\x00\x08\x00\x00\x00\x01\x00" + entry + bytes(4), LIMITS)


def test_orientation_parser_never_fails() -> None:
    rng = np.random.default_rng(3)
    block = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00" + bytes(4)
    assert exif.orientation(block) == 6
    for length in range(len(block)):
        assert exif.orientation(block[:length]) in (1, 6)
    for _ in range(300):
        noise = bytearray(block)
        noise[rng.integers(2, len(block))] = rng.integers(0, 256)
        assert 1 <= exif.orientation(bytes(noise)) <= 8
    assert exif.orientation(block[:18] + b"\x09\x00" + block[20:]) == 1


def test_several_threads_at_once() -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for seed in range(5):
                redone(FILES[name], seed)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in FILES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_library_is_found_and_named() -> None:
    assert turbo.library_version() in ("TurboJPEG 2", "TurboJPEG 3")
    with pytest.raises(ValueError, match="adjacent"):
        turbo.decode(FILES["jpeg"], np.zeros((3, 40, 56), np.uint8).transpose(1, 2, 0))


def test_sniff_knows_films() -> None:
    heads = {
        b"\0\0\0\x18ftypmp42": "mp4",
        b"\0\0\0\x08wide\0\0\0\0mdat": "mp4",
        b"RIFF\0\0\0\0AVI LIST": "avi",
        b"\0\0\1\xba\x44\0": "mpg",
        b"\x1aE\xdf\xa3\x01": "mkv",
        (b"G" + bytes(187)) * 3: "ts",
    }
    assert {head: sniff(head) for head in heads} == heads
    for head in (b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavif", b"RIFF\0\0\0\0WAVE", b"GIF89a" + bytes(400), b"G" + bytes(400)):
        with pytest.raises(BadFile, match="not a picture type"):
            sniff(head)
