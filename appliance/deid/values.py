"""What goes into the header's cleaning and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import FileDataset

UidScope = Literal["examination", "box"]


@dataclass(frozen=True)
class Rules:
    """The options of PS3.15's profile that a site may choose, all off by default.

    retain_characteristics : the patient's sex, age, size and weight stay (113108)
    retain_device : the device's maker, model, software, serial number, station name and UIDs stay (113109)
    shift_dates : dates stay, earlier by a secret number of days an examination; without it they are removed (113107)
    uids : how far one secret reaches, and with it the references between files: an examination or the box
    """

    retain_characteristics: bool = False
    retain_device: bool = False
    shift_dates: bool = False
    uids: UidScope = "examination"


@dataclass(frozen=True)
class Identity:
    """Who a file is from here on.

    number : the examination's, "E000123"; becomes Patient ID and Patient's Name
    index : the file's within it, "0001"
    secret : 32 bytes that turn the source's UIDs into new ones; who has them can tell which old UID became which new one
    """

    number: str
    index: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Identity(number={self.number!r}, index={self.index!r})"  # a secret must not reach a log by way of a message


@dataclass(frozen=True)
class Verdict:
    """That the gate saw no text in the finished pixels; there is none for a picture that it refused.

    model : the first 12 hexadecimal digits of the model's SHA-256
    looks : how often the pictures were looked at
    """

    model: str
    looks: int


@dataclass(frozen=True)
class Cleaned:
    """A header without a patient.

    dataset : new, with file meta and without pixel data; its transfer syntax is the source's until the pixels' writer says otherwise
    strings : texts of the source that must not be in the finished file, bytes
    runs : readable bytes from the source's binary values, which must not be in the finished header
    own : values in the dataset that are this program's, not the source's
    notes : what was done, for the report; no values
    """

    dataset: FileDataset
    strings: frozenset[bytes]
    runs: frozenset[bytes]
    own: frozenset[bytes]
    notes: tuple[str, ...] = ()
