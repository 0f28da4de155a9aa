"""Which units of a stream are kept: written here by hand, byte by byte."""

from __future__ import annotations

import pytest

from appliance.errors import BadFile
from appliance.formats.film.elementary import START, Cleaner

SPS, PPS, SEI, SLICE = b"\x67sps", b"\x68pps", b"\x06MUSTERMANN", b"\x65slice"


def sized(*units: bytes, length: int = 4) -> bytes:
    return b"".join(len(unit).to_bytes(length, "big") + unit for unit in units)


def coded(*units: bytes) -> bytes:
    return b"".join(START + unit for unit in units)


def test_h264_keeps_slices_and_parameters() -> None:
    avcc = b"\1\x64\0\x1f\xff\xe1" + sized(SPS, length=2) + b"\1" + sized(PPS, length=2)
    cleaner = Cleaner("h264", avcc)
    assert cleaner.head == coded(SPS, PPS)
    assert cleaner.cleaned(sized(SEI, SLICE)) == coded(SLICE)
    assert Cleaner("h264", b"").cleaned(b"\0" + START + SEI + b"\0" + START + SLICE) == coded(SLICE)


def test_hevc_keeps_slices_and_parameters() -> None:
    vps, sei, slice_ = b"\x40\1v", b"\x4e\1MUSTERMANN", b"\x26\1s"
    hvcc = b"\1" + bytes(20) + b"\3\2" + b"\x20\0\1" + sized(vps, length=2) + b"\x27\0\1" + sized(sei, length=2)
    cleaner = Cleaner("hevc", hvcc)
    assert cleaner.head == coded(vps)
    assert cleaner.cleaned(sized(sei, slice_)) == coded(slice_)


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg4"])
def test_mpeg_loses_user_data_and_no_zero(codec: str) -> None:
    header, words, picture = b"\xb8\0\x08\0\0", b"\xb2MUSTERMANN", b"\0\x01\xff\0\0"
    assert Cleaner(codec, b"").cleaned(coded(header, words, picture)) == coded(header, picture)


@pytest.mark.parametrize("cut", [5, 7, 10])
def test_what_is_cut_off_is_refused(cut: int) -> None:
    avcc = b"\1\x64\0\x1f\xff\xe1" + sized(SPS, length=2) + b"\1" + sized(PPS, length=2)
    with pytest.raises(BadFile, match="cut off"):
        Cleaner("h264", avcc[:cut])
    with pytest.raises(BadFile, match="cut off"):
        Cleaner("h264", avcc).cleaned(sized(SLICE)[:-2])
