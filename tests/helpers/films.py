"""Films drawn in code: a moving ramp with white squares, which BrightEngine takes for text, in any codec and container."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import av
import numpy as np

SIZE = (144, 192)
Square = tuple[int, int, int]
"""top, left, side"""

CODECS = {
    "h264": ("libx264", {"preset": "ultrafast", "crf": "16"}),
    "hevc": ("libx265", {"preset": "ultrafast", "crf": "14", "x265-params": "log-level=none"}),
    "mpeg2video": ("mpeg2video", {"flags": "+qscale", "global_quality": "236"}),
    "mpeg4": ("mpeg4", {"flags": "+qscale", "global_quality": "236"}),
    "mjpeg": ("mjpeg", {}),
}


def drawn(index: int, squares: Sequence[Square] = (), size: tuple[int, int] = SIZE) -> np.ndarray:
    """One frame, RGB: dim, so that only squares are bright."""
    height, width = size
    ramp = np.add.outer(np.arange(height), np.arange(width) + 3 * index) % 96
    pixels = np.stack([ramp + 40, ramp // 2 + 30, ramp // 2 + 20], axis=2).astype(np.uint8)
    for top, left, side in squares:
        pixels[top : top + side, left : left + side] = 255
    return pixels


def film(
    codec: str = "h264",
    container: str = "mp4",
    count: int = 30,
    squares: Callable[[int], Sequence[Square]] = lambda index: (),
    *,
    size: tuple[int, int] = SIZE,
    pixels: str = "yuv420p",
    times: Callable[[int], int] = lambda index: index,
    rate: Fraction = Fraction(25),
    aspect: Fraction | None = None,
    words: Mapping[str, str] | None = None,
    sound: bool = False,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """squares : of the frame of a number; times : when it is shown, in frames"""
    encoder, own = CODECS[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        out.metadata.update(words or {})
        stream = out.add_stream(encoder, rate=rate, options={**own, **(options or {})})
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        voice = out.add_stream("aac", rate=48000) if sound else None
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(drawn(index, squares(index), size), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = times(index), 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if voice is not None:
            samples = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            samples.sample_rate = 48000
            out.mux(voice.encode(samples))
            out.mux(voice.encode(None))
    return file.getvalue()


def frames(data: bytes, container: str | None = None) -> list[np.ndarray]:
    """Every frame, as RGB."""
    with av.open(io.BytesIO(data), format=container) as source:
        return [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
