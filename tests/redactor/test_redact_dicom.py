"""DICOM files drawn in code, one of every codec: redacted, read back by pydicom, compared with what was drawn."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import BrightEngine, picture
from PIL import Image as Pillow
from pydicom import dcmread
from pydicom.dataset import Dataset

from appliance.errors import BadFile
from appliance.formats import Limits, sniff
from appliance.formats.dicom import codecs
from appliance.formats.dicom.encapsulation import HEAD, ITEM
from appliance.formats.dicom.frame import FramePicture
from appliance.formats.dicom.image import Image
from appliance.formats.dicom.syntaxes import EXPLICIT, EXTENDED, IMPLICIT, JPEG, JPEG_2000, JPEG_LOSSLESS, RLE, SYNTAXES
from appliance.redactor.detector import Detector
from appliance.redactor.redact import redact
from appliance.redactor.warmup_dicom import file_of
from appliance.types import Header, Mask, Report

LIMITS = Limits(max_pixels=10**6)
HEADER = Header("E000123", "0001", b"s" * 32)
SQUARE = (32, 48, 24)
TOP, LEFT, SIDE = SQUARE
ROWS, COLUMNS = 144, 200
COLOUR = Image(ROWS, COLUMNS, 1, 3, 8, 8, False, 0, "RGB")
GREY = Image(ROWS, COLUMNS, 1, 1, 8, 8, False, 0, "MONOCHROME2")
HERE = Path(__file__).parents[2].parent / "shared" / "dicom" / "dicom"

KINDS = {
    "explicit": (EXPLICIT, COLOUR),
    "implicit": (IMPLICIT, COLOUR),
    "planar": (EXPLICIT, replace(COLOUR, planar=1)),
    "grey": (EXPLICIT, GREY),
    "inverted": (EXPLICIT, replace(GREY, photometric="MONOCHROME1")),
    "rle": (RLE, COLOUR),
    "lossless": (JPEG_LOSSLESS, COLOUR),
    "jpeg-ls": (f"{JPEG}80", COLOUR),
    "jpeg-ls near": (f"{JPEG}81", GREY),
    "jpeg 2000": (JPEG_2000, replace(COLOUR, photometric="YBR_RCT")),
    "jpeg 2000 rgb": (f"{JPEG}91", COLOUR),
    "htj2k": (f"{JPEG}201", replace(COLOUR, photometric="YBR_RCT")),
}


DEEP_SYNTAXES = (EXPLICIT, RLE, JPEG_LOSSLESS, f"{JPEG}80", JPEG_2000)
DEEP = [(uid, stored, signed) for uid in DEEP_SYNTAXES for stored, signed in ((12, False), (16, True))]


def drawn(image: Image, square: tuple[int, int, int] | None = SQUARE) -> np.ndarray:
    """Samples with a white square: what BrightEngine takes for text."""
    pixels = np.asarray(picture((ROWS, COLUMNS), squares=(square,) if square else ()))
    values = pixels if image.samples == 3 else pixels[..., 0]
    values = values.astype(image.dtype) << (image.stored - 8)
    if square and image.stored > 8:
        values[square[0] : square[0] + square[2], square[1] : square[1] + square[2]] = 2**image.stored - 1
    return 2**image.stored - 1 - values if image.photometric == "MONOCHROME1" else values


def run(data: bytes, engine: BrightEngine | None = None, threshold: int = 250) -> tuple[bytes, Report]:
    return redact(data, Detector(engine or BrightEngine(), "mask", threshold), LIMITS, header=HEADER)


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", KINDS)
def test_text_goes_and_the_rest_is_what_was_drawn(name: str) -> None:
    uid, image = KINDS[name]
    if codecs.encodable(SYNTAXES[uid]) is not SYNTAXES[uid]:
        pytest.skip("this Python's imagecodecs encodes no HTJ2K")
    values = drawn(image)
    finished, report = run(file_of(uid, image, [codecs.encode(values, image, SYNTAXES[uid])]))
    after = dcmread(io.BytesIO(finished))
    black = 2**image.stored - 1 if image.photometric == "MONOCHROME1" else 0
    expected, covered = values.copy(), report.masks[0].to_pixels()
    expected[covered] = black
    assert covered[TOP : TOP + SIDE, LEFT : LEFT + SIDE].all() and covered.mean() < 0.3
    assert np.array_equal(codecs.decode(frame_of(after), image, SYNTAXES[uid]), expected)
    assert after.file_meta.TransferSyntaxUID == uid
    assert (after.Rows, after.Columns, after.BitsStored) == (ROWS, COLUMNS, image.stored)
    assert after.PhotometricInterpretation == image.photometric
    assert (report.format, report.looks) == ("dicom", 2)


@pytest.mark.parametrize(("uid", "stored", "signed"), DEEP)
def test_samples_of_more_than_8_bits_stay_what_they_are(uid: str, stored: int, signed: bool) -> None:
    image = replace(GREY, allocated=16, stored=stored, signed=signed)
    values = np.random.default_rng(3).integers(0, 2**stored, (ROWS, COLUMNS), np.uint16)
    frame = codecs.encode(values, image, SYNTAXES[uid])
    source = FramePicture(frame, (image, image), (SYNTAXES[uid], SYNTAXES[uid]), False)
    (page,) = source.pages
    cells = np.zeros((ROWS // 8, COLUMNS // 8), np.bool_)
    cells[2:4, 3:9] = True
    mask = Mask(cells, (8, 8), (ROWS, COLUMNS))
    finished = source.rewrite([mask])
    source.check(finished, [mask])
    values[mask.to_pixels()] = 0x8000 if signed else 0
    assert np.array_equal(codecs.decode(finished, image, SYNTAXES[uid]), values) and page.renderings > 2
    with pytest.raises(BadFile, match="is not its source"):
        source.check(frame, [mask])


def frame_of(dataset: Dataset, index: int = 0) -> bytes:
    if "PixelData" in dataset and not dataset.file_meta.TransferSyntaxUID.is_compressed:
        return bytes(dataset.PixelData)
    from pydicom.encaps import get_frame

    return get_frame(dataset.PixelData, index, number_of_frames=int(dataset.get("NumberOfFrames", 1)))


def test_the_header_says_what_was_done_and_for_whom() -> None:
    dataset = dcmread(io.BytesIO(run(file_of(EXPLICIT, COLOUR, [drawn(COLOUR).tobytes()]))[0]))
    assert (dataset.PatientID, str(dataset.PatientName)) == ("E000123", "E000123")
    assert (dataset.PatientIdentityRemoved, dataset.BurnedInAnnotation) == ("YES", "NO")
    assert [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence][:2] == ["113100", "113101"]


def test_without_a_header_no_dicom_is_taken() -> None:
    with pytest.raises(BadFile, match="under which number"):
        redact(file_of(EXPLICIT, COLOUR, [drawn(COLOUR).tobytes()]), Detector(BrightEngine(), "mask", 250), LIMITS)


@pytest.mark.parametrize("fragments", [1, 3])
def test_frames_of_jpeg_agree_on_what_is_covered(fragments: int) -> None:
    """One frame's text is covered in its neighbours, too, and each frame keeps its own pixels."""
    image = replace(COLOUR, photometric="YBR_FULL_422", frames=3)
    frames = [jpeg(drawn(COLOUR, square)) for square in (None, SQUARE, None)]
    data = file_of(f"{JPEG}50", image, frames)
    finished, report = run(data if fragments == 1 else in_fragments(data, frames, fragments))
    after = dcmread(io.BytesIO(finished))
    assert int(after.NumberOfFrames) == len(report.masks) == 3
    assert all(mask.to_pixels()[TOP : TOP + SIDE, LEFT : LEFT + SIDE].all() for mask in report.masks)
    for index, frame in enumerate(frames):
        before, now = (np.asarray(Pillow.open(io.BytesIO(each))).astype(int) for each in (frame, frame_of(after, index)))
        assert np.array_equal(before[100:], now[100:])
        assert now[TOP : TOP + SIDE, LEFT : LEFT + SIDE].max() <= 40


def in_fragments(data: bytes, frames: list[bytes], pieces: int) -> bytes:
    """The same file with an empty offset table and each frame in pieces."""
    start = data.index(b"\xe0\x7f\x10\x00OB") + 12
    items = [HEAD.pack(ITEM, 0)]
    for frame in frames:
        size = (len(frame) // pieces + 1) // 2 * 2
        for at in range(pieces):
            part = frame[at * size : (at + 1) * size if at < pieces - 1 else None]
            items.append(HEAD.pack(ITEM, len(part) + len(part) % 2) + part + bytes(len(part) % 2))
    return data[:start] + b"".join(items) + data[-8:]


def test_where_header_and_jpeg_disagree_on_colours_both_are_looked_at() -> None:
    engine = BrightEngine()
    finished, report = run(file_of(EXTENDED, COLOUR, [jpeg(drawn(COLOUR), subsampling=0)]), engine)
    assert engine.runs == 4 and "disagree" in report.notes[-1]
    assert frame_of(dcmread(io.BytesIO(finished))).startswith(b"\xff\xd8\xff\xe0")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Rows": 30000, "Columns": 30000}, "too-large"),
        ({"Rows": ROWS + 1}, "damaged"),
        ({"BitsAllocated": 32}, "unsupported"),
        ({"PhotometricInterpretation": "CMYK"}, "unsupported"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, "unsupported"),
    ],
)
def test_what_cannot_be_redacted_is_refused_for_a_true_reason(change: dict[str, object], code: str) -> None:
    dataset = dcmread(io.BytesIO(file_of(EXPLICIT, COLOUR, [drawn(COLOUR).tobytes()])))
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    stream = io.BytesIO()
    dataset.save_as(stream)
    with pytest.raises(BadFile) as refused:
        run(stream.getvalue())
    assert refused.value.code == code


def test_a_cut_off_file_may_still_be_growing() -> None:
    data = file_of(EXPLICIT, COLOUR, [drawn(COLOUR).tobytes()])
    for end in (50, len(data) // 2, len(data) - 1):
        with pytest.raises(BadFile) as refused:
            run(data[:end])
        assert refused.value.code == "incomplete"


def test_bits_that_are_not_shown_hide_no_text() -> None:
    image = replace(GREY, allocated=16, stored=12)
    values = drawn(image) | 0x8000
    with pytest.raises(BadFile, match="bits beyond"):
        run(file_of(EXPLICIT, image, [values.tobytes()]))


@pytest.mark.skipif(not HERE.is_dir(), reason="the collected DICOM files are not there")
@pytest.mark.slow
def test_damaged_files_are_refused_and_nothing_else() -> None:
    random = np.random.default_rng(15)
    files = [path.read_bytes() for path in sorted(HERE.glob("*.dcm")) if path.stat().st_size < 100_000]
    detector = Detector(BrightEngine(), "mask", 250)
    for index in range(100):
        data = bytearray(files[index % len(files)])
        for place in random.integers(0, min(len(data), 3000), 4):
            data[place] = random.integers(0, 256)
        if index % 3 == 0:
            del data[random.integers(132, len(data)) :]
        try:
            redact(bytes(data), detector, LIMITS, header=HEADER)
        except BadFile:
            continue


def test_the_prefix_tells_dicom_from_the_tiff_in_its_preamble() -> None:
    data = bytearray(file_of(EXPLICIT, COLOUR, [drawn(COLOUR).tobytes()]))
    data[:4] = b"II*\0"
    assert sniff(bytes(data[:132])) == "dicom"
    with pytest.raises(BadFile, match="still being written"):
        sniff(bytes(132))
