"""What the header says of the pixels (PS3.3 C.7.6.3), once it is known to be something this box handles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from appliance.errors import BadFile
from appliance.formats.common import Limits
from appliance.formats.dicom.dataset import guarded

GREY = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"})

FRAMES_FACTOR = 20
"""So many times the pixels of one picture may a file's frames have together: 960 of 1080p."""

Table = NDArray[np.uint8]
"""(entries, 3) uint8."""


@dataclass(frozen=True, eq=False)
class Image:
    """photometric : as the header has it; windows : (low, high) stored values that a viewer shows as black and white
    palette : and `first`, the stored value of its first entry
    """

    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    signed: bool
    planar: int
    photometric: str
    windows: tuple[tuple[float, float], ...] = ()
    palette: Table | None = None
    first: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        return np.uint8 if self.allocated == 8 else np.uint16


def describe(dataset: Dataset, limits: Limits) -> Image:
    """Raises BadFile."""
    with guarded():
        image = _read(dataset)
    _check(image, limits)
    return image


def _read(dataset: Dataset) -> Image:
    allocated, stored = _number(dataset, "BitsAllocated"), _number(dataset, "BitsStored")
    if _number(dataset, "HighBit", stored - 1) != stored - 1:
        raise BadFile("unsupported", "the DICOM file's samples do not begin at their lowest bit")
    photometric = str(dataset.get("PhotometricInterpretation") or "").strip()
    signed = bool(_number(dataset, "PixelRepresentation", 0))
    palette, first = _palette(dataset, signed) if photometric == "PALETTE COLOR" else (None, 0)
    return Image(
        rows=_number(dataset, "Rows"),
        columns=_number(dataset, "Columns"),
        frames=_number(dataset, "NumberOfFrames", 1) or 1,
        samples=_number(dataset, "SamplesPerPixel", 1),
        allocated=allocated,
        stored=stored,
        signed=signed,
        planar=_number(dataset, "PlanarConfiguration", 0),
        photometric=photometric,
        windows=_windows(dataset),
        palette=palette,
        first=first,
    )


def _number(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    value = dataset.get(keyword)
    if value is None or value == "":
        if default is None:
            raise BadFile("damaged", f"the DICOM file is damaged: it does not say its {keyword}")
        return default
    return int(value)


def _check(image: Image, limits: Limits) -> None:
    if image.rows < 1 or image.columns < 1 or image.frames < 1:
        raise BadFile("damaged", f"the DICOM file says {image.columns} x {image.rows} px, {image.frames} frames")
    _check_size(image, limits)
    if image.allocated not in (8, 16) or not 1 < image.stored <= image.allocated:
        raise BadFile(
            "unsupported", f"the DICOM file has {image.stored} bits a sample in {image.allocated}; 2 to 16 in 8 or 16 are handled"
        )
    if image.photometric not in GREY | COLOUR:
        raise BadFile("unsupported", "the DICOM file's colours (Photometric Interpretation) are of a kind that is not handled")
    if image.samples != (1 if image.photometric in GREY else 3) or image.planar not in (0, 1):
        raise BadFile("damaged", f"the DICOM file has {image.samples} samples a pixel, which do not fit its kind of colours")
    if image.signed and (image.samples != 1 or image.palette is not None):
        raise BadFile("unsupported", "the DICOM file's colours have signs")


def _check_size(image: Image, limits: Limits) -> None:
    pixels, most = image.rows * image.columns, limits.max_pixels
    if pixels > most or pixels * image.frames > most * FRAMES_FACTOR:
        raise BadFile(
            "too-large",
            f"the DICOM file has {image.frames} frames of {image.columns} x {image.rows} px, the limits are {most / 1e6:g} Mpx a frame "
            f"and {most * FRAMES_FACTOR / 1e6:g} Mpx in all",
        )


def _windows(dataset: Dataset) -> tuple[tuple[float, float], ...]:
    """Of the header's windows the first two, as stored values (PS3.3 C.11.2.1.2, C.11.1)."""
    centres, widths = (_several(dataset.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    if not slope:
        return ()
    ends = [((c - w / 2 - intercept) / slope, (c + w / 2 - intercept) / slope) for c, w in zip(centres, widths, strict=False) if w >= 1]
    return tuple((min(pair), max(pair)) for pair in ends if np.isfinite(pair).all())[:2]


def _several(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    return [float(each) for each in value] if hasattr(value, "__iter__") and not isinstance(value, str) else [float(value)]


def _palette(dataset: Dataset, signed: bool) -> tuple[Table, int]:
    """The three tables as one, 8 bits a colour (PS3.3 C.7.6.3.1.5)."""
    columns = []
    for colour in ("Red", "Green", "Blue"):
        descriptor, data = (dataset.get(f"{colour}PaletteColorLookupTable{part}") for part in ("Descriptor", "Data"))
        if descriptor is None or data is None:
            raise BadFile("unsupported", "the DICOM file's palette is missing, or segmented")
        columns.append(_column([int(each) for each in descriptor], bytes(data), dataset))
    if len({len(column) for column in columns}) != 1:
        raise BadFile("damaged", "the DICOM file's palette has colours of different length")
    first = int(dataset["RedPaletteColorLookupTableDescriptor"].value[1])
    return np.stack(columns, axis=1), first if signed else first % 2**16


def _column(descriptor: list[int], data: bytes, dataset: Dataset) -> NDArray[np.uint8]:
    entries, _, bits = descriptor
    entries = entries % 2**16 or 2**16
    order = "<" if dataset.original_encoding[1] else ">"
    if len(data) >= 2 * entries:
        values = np.frombuffer(data, f"{order}u2", entries)
        return (values if bits == 8 or values.max() < 256 else values >> 8).astype(np.uint8)
    if len(data) >= entries:
        return np.frombuffer(data, np.uint8, entries)
    raise BadFile("damaged", "the DICOM file's palette is shorter than it says")
