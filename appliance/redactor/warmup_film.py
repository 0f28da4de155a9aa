"""One small film of every codec and container, drawn and encoded here, so that nothing of FFmpeg or PyAV is loaded after the lock-down."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.formats.film import libav

COUNT, SIDE = 4, 64


def files() -> Iterator[bytes]:
    """None where the part `video` is absent."""
    if libav.is_there():
        for codec, muxer in (
            ("h264", "mov"),
            ("h264", "mpegts"),
            ("h264", "matroska"),
            ("hevc", "mp4"),
            ("mpeg2video", "mpeg"),
            ("mpeg4", "avi"),
        ):
            for bright in (False, True):  # without text, and with what may be taken for it: both ways out
                yield libav.drawn(codec, muxer, COUNT, SIDE, bright)
