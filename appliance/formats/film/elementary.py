"""A codec's bare bytes: which units of a stream a decoder needs, and which only carry words.

H.264 7.4.1 and HEVC 7.4.2.2 (NAL unit types); MPEG-2 6.2.1 and MPEG-4 Part 2 6.2.1 (start codes).
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.errors import BadFile

START = b"\0\0\1"
USER_DATA = 0xB2
"""The start code of user data, in MPEG-2 and in MPEG-4."""

H264_KEPT = frozenset({1, 2, 3, 4, 5, 7, 8})
"""Slices, and the sequence's and the picture's parameters: no SEI (6), delimiter (9), filling (12) nor what nobody defined."""
HEVC_KEPT = frozenset({*range(10), *range(16, 22), 32, 33, 34})


class Cleaner:
    """Turns a stream's packets into an elementary stream without SEI and user data.

    codec : "h264", "hevc", "mpeg2video" or "mpeg4"
    head : the parameters that the container kept beside the packets (avcC, hvcC or start codes)
    Raises BadFile.
    """

    def __init__(self, codec: str, head: bytes) -> None:
        self._codec, self._length = codec, 0
        if codec in ("h264", "hevc") and head[:1] == b"\1":
            try:
                self._length, units = _avcc(head) if codec == "h264" else _hvcc(head)
            except IndexError as error:
                raise BadFile("damaged", "the film's decoder parameters are cut off") from error
            self.head = self._joined(units)
        else:
            self.head = self.cleaned(head)

    def cleaned(self, packet: bytes) -> bytes:
        """One packet, each of its units behind a start code."""
        if self._length:
            return self._joined(self._prefixed(packet))
        if self._codec in ("h264", "hevc"):  # zeros behind a NAL unit belong to the next start code (Annex B); MPEG's units may end in them
            return self._joined(unit.rstrip(b"\0") for unit in _units(packet))
        return self._joined(_units(packet))

    def _joined(self, units: Iterator[bytes] | list[bytes]) -> bytes:
        return b"".join(piece for unit in units if unit and self._is_kept(unit[0]) for piece in (START, unit))

    def _is_kept(self, first: int) -> bool:
        if self._codec == "h264":
            return first & 31 in H264_KEPT
        if self._codec == "hevc":
            return first >> 1 & 63 in HEVC_KEPT
        return first != USER_DATA

    def _prefixed(self, packet: bytes) -> Iterator[bytes]:
        position = 0
        while position < len(packet):
            length = int.from_bytes(packet[position : position + self._length], "big")
            position += self._length
            if position + length > len(packet):
                raise BadFile("damaged", "a frame of the film is cut off")
            yield packet[position : position + length]
            position += length


def _units(data: bytes) -> Iterator[bytes]:
    """What stands between start codes."""
    begin = data.find(START)
    while begin >= 0:
        end = data.find(START, begin + 3)
        yield data[begin + 3 :] if end < 0 else data[begin + 3 : end]
        begin = end


def _avcc(head: bytes) -> tuple[int, list[bytes]]:
    """ISO/IEC 14496-15 5.3.3.1: bytes of a unit's length, and the parameter sets."""
    position, units = 5, []
    for masked in (31, 255):
        count = head[position] & masked
        position += 1
        for _ in range(count):
            unit, position = _sized(head, position)
            units.append(unit)
    return (head[4] & 3) + 1, units


def _hvcc(head: bytes) -> tuple[int, list[bytes]]:
    """ISO/IEC 14496-15 8.3.3.1."""
    position, units = 23, []
    for _ in range(head[22]):
        count = int.from_bytes(head[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            unit, position = _sized(head, position)
            units.append(unit)
    return (head[21] & 3) + 1, units


def _sized(head: bytes, position: int) -> tuple[bytes, int]:
    end = position + 2 + (head[position] << 8 | head[position + 1])
    if end > len(head):
        raise IndexError
    return head[position + 2 : end], end
