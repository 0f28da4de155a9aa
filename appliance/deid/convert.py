"""Values out of the source and into the new dataset, each looked at on the way. pydicom's own conversion is not used: it warns and
guesses where a value is not as the standard has it, and here such a value does not stay."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import numpy as np
from pydicom.charset import python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from appliance.deid.iods import Attribute
from appliance.deid.rules import DECIMALS, LUTS, NUMBERS

DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INTEGER = re.compile(r"[+-]?\d{1,12}")
AGE = re.compile(r"\d{3}[DWMY]")
DATE = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})")
TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
DATE_TIME = re.compile(r"(\d{8})((\d{2}){0,3}(\.\d{1,6})?)([+-]\d{4})?")
UID = re.compile(r"[0-9.]{1,64}")

STRUCTS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "AT": "HH"}
LONGEST_DS = 16
MOST_TEXT = 64
"""Characters of an LO."""
MOST_LUT = 2 * 2**16
"""Bytes of a table: 65536 entries of 16 bits."""


def values_of(source: Dataset, attribute: Attribute) -> list[Any]:
    """The values an attribute has in the source: int, float, bytes for a table, else str; [] where the VR is not the attribute's."""
    element = source.get_item(attribute.tag)
    if not isinstance(element, RawDataElement):
        return _converted(element, attribute)
    if element.VR not in {None, "UN", *attribute.vr.split(" or ")} or not element.value:
        return []
    if attribute.vr in LUTS:
        return [_table(element)]
    if attribute.vr in NUMBERS or attribute.vr == "AT":
        return _numbers(element, _signed(attribute, source))
    raw = element.value if isinstance(element.value, bytes) else b""
    return [part.strip(" \0") for part in decoded(raw, source).split("\\")]


def _converted(element: Any, attribute: Attribute) -> list[Any]:
    """pydicom has read this one before."""
    if element is None or element.VR not in {"UN", *attribute.vr.split(" or ")} or element.value is None:
        return []
    if attribute.vr in LUTS:
        raw = element.value if isinstance(element.value, bytes) else b"".join(struct.pack("<H", value) for value in element.value)
        return [raw[:MOST_LUT]]
    many = element.value if element.VM > 1 else [element.value]
    return [value if attribute.vr in NUMBERS or attribute.vr == "AT" else str(value).strip(" \0") for value in many]


def _signed(attribute: Attribute, source: Dataset) -> str:
    if attribute.vr != "US or SS":
        return attribute.vr
    return "SS" if source.get("PixelRepresentation") == 1 else "US"


def _numbers(element: RawDataElement, vr: str) -> list[Any]:
    kind = STRUCTS[vr]
    order = "<" if element.is_little_endian else ">"
    raw = element.value or b""
    if len(raw) % struct.calcsize(order + kind):
        return []
    unpacked = list(struct.iter_unpack(order + kind, raw))
    return [one[0] << 16 | one[1] for one in unpacked] if vr == "AT" else [one[0] for one in unpacked]


def _table(element: RawDataElement) -> bytes:
    raw = (element.value or b"")[:MOST_LUT]
    return raw if element.is_little_endian else np.frombuffer(raw[: len(raw) // 2 * 2], "<u2").byteswap().tobytes()


def decoded(raw: bytes, source: Dataset) -> str:
    """By the first of the source's character sets: later ones come in by escape sequences, which no value that stays needs."""
    if raw.isascii():
        return raw.decode("ascii")
    named = source.get("SpecificCharacterSet") or ""
    first = named if isinstance(named, str) else next((name for name in named if name), "")
    return raw.decode(python_encoding.get(first, "iso8859"), "replace")


def number(vr: str, value: str) -> str | None:
    """A DS or IS as the standard writes it; None where it is no number."""
    if vr == "IS":
        return value if INTEGER.fullmatch(value) else None
    if not DECIMAL.fullmatch(value) or not math.isfinite(float(value)):
        return None
    return value if len(value) <= LONGEST_DS else format_number_as_ds(float(value))


def text(value: str) -> str:
    return "".join(character for character in value if character.isprintable())[:MOST_TEXT]


def vr_to_write(attribute: Attribute, source: Dataset) -> str:
    """The VR where the standard leaves a choice."""
    if attribute.vr == "US or SS":
        return _signed(attribute, source)
    return "OW" if attribute.vr in LUTS else attribute.vr


def element(attribute: Attribute, vr: str, values: list[Any] | tuple[Any, ...] | str | bytes) -> DataElement:
    """An element of the new dataset; its values were looked at."""
    if isinstance(values, (list, tuple)) and vr != "SQ":
        values = list(values) if len(values) != 1 else values[0]
    if vr in DECIMALS and values == []:
        values = ""
    return DataElement(attribute.tag, vr, values, validation_mode=0)
