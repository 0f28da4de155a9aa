"""Gathers every string and date of the source, wherever it stands, and searches the finished bytes for them.

The search knows nothing of the rules: it is there for what they have forgotten. What it leaves out is what would be found by chance.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from appliance.deid.convert import decoded
from appliance.deid.uids import WELL_KNOWN
from appliance.deid.values import Cleaned
from appliance.errors import BadFile

DEEPEST = 16
"""Sequences within sequences; a file with more is made to hurt, or broken."""

SHORTEST = 4
"""Characters of a text that is searched for; three are found by chance."""
SHORTEST_NUMBER = 6
"""Digits of a number that is: shorter ones are what a pixel's or a frame's measures look like. A date has eight."""
SHORTEST_RUN = 6
"""Characters of a readable run in binary values."""
SHORTEST_IN_PIXELS = 8
"""Bytes of a text that is searched for in the pixels too: eight are found by chance once in 2^64 places."""
MOST_MINED = 2**16
"""Bytes of a binary value that is searched for readable runs; larger ones are pictures."""

ONE_TEXT = frozenset({"ST", "LT", "UT", "UR"})
TEXT = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UC", "UI"}) | ONE_TEXT
BINARY = frozenset({"OB", "OW", "UN"})
PIXELS, TABLES = 0x7FE0, 0x0028
"""Groups of the pixel data, and of the colour tables, which stay."""
RUN = re.compile(rb"[\x20-\x7e]{%d,}" % SHORTEST_RUN)
PARTS = re.compile(rb"[\\^=\r\n\t\f]")
NUMBER = re.compile(rb"[\d.+-]+")


def strings_of(source: Dataset) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """What must not be found in the finished file: texts, and readable runs from binary values.

    Raises BadFile("damaged") for sequences nested too deep.
    """
    texts: set[bytes] = set()
    runs: set[bytes] = set()
    try:
        for dataset in (getattr(source, "file_meta", None) or Dataset(), source):
            _gather(dataset, texts, runs, 0)
    except RecursionError as error:
        raise BadFile("damaged", "the DICOM file's sequences are nested without end") from error
    runs.update(RUN.findall(getattr(source, "preamble", None) or b""))
    return frozenset(filter(_tells, texts)), frozenset(filter(_tells, runs))


def _gather(dataset: Dataset, texts: set[bytes], runs: set[bytes], depth: int) -> None:
    if depth > DEEPEST:
        raise BadFile("damaged", f"the DICOM file's sequences are nested more than {DEEPEST} deep")
    for tag, element in list(dataset.items()):
        if tag.group == PIXELS or tag.element == 0:
            continue
        vr = _vr(tag, element)
        if vr == "SQ":
            for item in dataset[tag].value or ():
                _gather(item, texts, runs, depth + 1)
        elif vr in TEXT:
            for raw in _raw_values(element):
                texts.update(_pieces(raw, vr, dataset))
        elif vr in BINARY and tag.group != TABLES:
            for raw in _raw_values(element):
                runs.update(run.strip() for run in RUN.findall(raw[:MOST_MINED]))


def _vr(tag: int, element: DataElement | RawDataElement) -> str:
    if element.VR not in (None, "UN"):
        return str(element.VR)
    try:
        return dictionary_VR(tag)
    except KeyError:  # private, or in no dictionary
        return "UN"


def _raw_values(element: DataElement | RawDataElement) -> Iterator[bytes]:
    """As they stand in the file; as UTF-8 where pydicom has read them before."""
    if element.value is None:
        return
    if isinstance(element, RawDataElement):
        yield element.value if isinstance(element.value, bytes) else b""
        return
    for value in element.value if element.VM > 1 else [element.value]:
        yield value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _pieces(raw: bytes, vr: str, dataset: Dataset) -> Iterator[bytes]:
    """A value as it stands, in parts, and as UTF-8: a copy of it may be written in any of these ways."""
    forms = [raw] if raw.isascii() else [raw, decoded(raw, dataset).encode("utf-8", "replace")]
    for form in forms:
        for value in [form] if vr in ONE_TEXT else form.split(b"\\"):
            whole = value.strip(b" \0")
            yield whole
            if vr in {"PN", *ONE_TEXT}:
                yield from (part.strip(b" \0") for part in PARTS.split(whole))


def _tells(value: bytes) -> bool:
    """Whether finding it would say anything."""
    if value.startswith(WELL_KNOWN.encode()):
        return False
    least = SHORTEST_NUMBER if NUMBER.fullmatch(value) else SHORTEST
    return len(value) >= least and len(set(value)) > 2


def check(cleaned: Cleaned, finished: bytes) -> None:
    """Search a finished file. Raises BadFile("not-faithful") when it holds a string or date of the source."""
    stream = io.BytesIO(finished)
    dcmread(stream, stop_before_pixels=True)
    header = _without_own(finished[: stream.tell()], cleaned)
    if any(_in_header(value, header) for value in cleaned.strings | cleaned.runs):
        raise BadFile("not-faithful", "the finished file's header holds a text of the original; it was not released")
    if in_pixels(cleaned.strings, memoryview(finished)[stream.tell() :]):
        raise BadFile("not-faithful", "the finished file's pixel data hold a text of the original's header; it was not released")


def _without_own(header: bytes, cleaned: Cleaned) -> bytes:
    """The header with blanks for what this program wrote itself, in which digits of the source may stand by chance."""
    model = [str(value).encode() for value in cleaned.dataset.get("DeidentificationMethod") or ()]
    for own in sorted({*cleaned.own, *model}, key=len, reverse=True):
        if len(own) >= SHORTEST:
            header = header.replace(own, b" " * len(own))
    return header


def _in_header(value: bytes, header: bytes) -> bool:
    if value not in header:
        return False
    if not NUMBER.fullmatch(value):
        return True
    rest = rb"(?![\d.])" if len(value) != 8 else b""  # a date may be the beginning of a longer time
    return re.search(rb"(?<![\d.])" + re.escape(value) + rest, header) is not None


def in_pixels(values: Iterable[bytes], data: memoryview) -> bool:
    """Whether one of the longer values is in the pixel data. One pass looks for pieces of four bytes, which most often are nowhere."""
    longer = [value for value in values if len(value) >= SHORTEST_IN_PIXELS and not _ramp(value)]
    if not longer or len(data) < SHORTEST_IN_PIXELS:
        return False
    pieces = np.frombuffer(b"".join(value[at : at + 4] for value in longer for at in range(4)), "<u4")
    known = np.zeros(2**16, np.bool_)
    known[_hash(pieces)] = True
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    for start in range(0, len(words), 2**20):
        part = words[start : start + 2**20]
        if np.isin(part[known[_hash(part)]], pieces).any():
            raw = bytes(data)
            return any(value in raw for value in longer)
    return False


def _hash(words: np.ndarray[tuple[int, ...], np.dtype[np.uint32]]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return (words * np.uint32(2654435761)) >> np.uint32(16)  # Knuth's multiplicative hash


def _ramp(value: bytes) -> bool:
    """Whether it is what a grey wedge of raw pixels looks like: equal steps."""
    step = value[1] - value[0]
    return all((after - before - step) % 256 == 0 for before, after in pairwise(value))
