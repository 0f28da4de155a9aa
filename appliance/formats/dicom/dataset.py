"""Reads a file's header, up to its pixel data, by pydicom within fixed limits."""

from __future__ import annotations

import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import pydicom.config
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from appliance.errors import BadFile
from appliance.formats.common import DECODER_ERRORS
from appliance.formats.dicom.syntaxes import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # a warning would quote the header
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module="pydicom")

PREAMBLE, META = 128, 132
GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
SYNTAX = re.compile(rb"\x02\x00\x10\x00UI(..)", re.DOTALL)
FURTHEST = 4096
"""Bytes from the start within which the transfer syntax is looked for."""

PARSER_ERRORS = (*DECODER_ERRORS, AttributeError, NotImplementedError, RecursionError, InvalidDicomError, BytesLengthException, zlib.error)
"""What pydicom raises on broken data."""


@dataclass(frozen=True, eq=False)
class Header:
    """dataset : all elements before the pixel data; data : the file, inflated; position : of the pixel data's tag in it."""

    dataset: Dataset
    data: bytes
    position: int
    syntax: str
    notes: tuple[str, ...] = ()

    @property
    def is_big_endian(self) -> bool:
        return self.syntax == BIG_ENDIAN


@contextmanager
def guarded() -> Iterator[None]:
    """What a broken header makes a parser raise becomes BadFile("damaged"), without its words, which quote the file."""
    try:
        yield
    except PARSER_ERRORS as error:
        why = "its sequences are nested without end" if isinstance(error, RecursionError) else "its header cannot be read"
        raise BadFile("damaged", f"the DICOM file is damaged: {why}") from error


def read_header(data: bytes, largest: int) -> Header:
    """largest : bytes that a deflated file may become. Raises BadFile."""
    has_meta = data[PREAMBLE:META] == b"DICM"
    with guarded():
        if has_meta and _named_syntax(data) == DEFLATED:
            return _inflated(data, largest)
        stream = BytesIO(data)
        dataset = dcmread(stream, stop_before_pixels=True, force=not has_meta)
        syntax = str(dataset.file_meta.get("TransferSyntaxUID") or (IMPLICIT if dataset.original_encoding[0] else EXPLICIT))
        return Header(dataset, data, stream.tell(), syntax)


def _named_syntax(data: bytes) -> str:
    found = SYNTAX.search(data, META, META + FURTHEST)
    if not found:
        return ""
    (length,) = struct.unpack("<H", found[1])
    return data[found.end() : found.end() + length].rstrip(b" \0").decode("ascii", "replace")


def _inflated(data: bytes, largest: int) -> Header:
    """A deflated dataset, never more of it than `largest` bytes."""
    if data[META : META + 8] != GROUP_LENGTH:
        raise BadFile("damaged", "the DICOM file is damaged: its File Meta Information has no length")
    end = META + 12 + int.from_bytes(data[META + 8 : META + 12], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflater.decompress(data[end:], largest + 1)
    if len(plain) > largest:
        raise BadFile("too-large", f"the DICOM file is deflated and becomes larger than {largest / 2**20:.0f} MiB")
    if not inflater.eof:
        raise BadFile("incomplete", "the DICOM file is cut off: its deflated data do not end")
    stream = BytesIO(plain)
    dataset = dcmread(stream, stop_before_pixels=True, force=True)
    position = stream.tell()
    dataset.file_meta = dcmread(BytesIO(data[:end])).file_meta
    return Header(dataset, plain, position, DEFLATED)
