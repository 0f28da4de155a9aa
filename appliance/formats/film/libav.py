"""Everything that is asked of FFmpeg's libraries, by PyAV, in one place.

FFmpeg knows hundreds of formats and decoders, and some of them open other files. So the demuxer is the one that the file's signature
names, formats and protocols are on a list, and the decoder is compared with a list before it sees a byte.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from appliance.errors import BadFile
from appliance.formats.common import DECODER_ERRORS
from appliance.formats.film.elementary import Cleaner

if TYPE_CHECKING:
    from av import VideoFrame as VideoFrame  # noqa: PLC0414 exported

DEMUXERS = {
    "mp4": ("mov", "mov,mp4,m4a,3gp,3g2,mj2"),
    "avi": ("avi", "avi"),
    "mpg": ("mpeg", "mpeg"),
    "ts": ("mpegts", "mpegts"),
    "mkv": ("matroska", "matroska,webm"),
}
"""Signature -> FFmpeg's name of the demuxer, and the list of formats that may be opened."""

RAW = {"h264": "h264", "hevc": "hevc", "mpeg2video": "mpegvideo", "mpeg4": "m4v"}
"""Decoder that is allowed -> the demuxer of its elementary stream."""

ENCODERS = {"h264": "libx264", "hevc": "libx265", "mpeg2video": "mpeg2video", "mpeg4": "mpeg4"}
FLAT = frozenset({"mpeg2video", "mpeg4"})
"""Codecs whose frames have numbers, not times."""

PIXELS = frozenset({"yuv420p", "yuvj420p"})
THREADS = 2
HEVC_CRF = {18: 16, 14: 12, 10: 8}
HEVC_BLOCKS = "ctu=16:min-cu-size=8:max-tu-size=8:no-sao=1:deblock=-6,-6"
"""No block lies across a mask's edge and no filter softens it: x265's larger ones ring by 30 steps of luma in what is black."""
MPEG_QUALITY = {18: 2, 14: 2, 10: 1}
"""CRF of x264 -> what looks alike: x265's CRF, the quantiser scale of MPEG-2 and MPEG-4."""
LAMBDA = 118
"""FF_QP2LAMBDA: FFmpeg's unit of a quantiser scale."""


def is_there() -> bool:
    return find_spec("av") is not None


@dataclass(frozen=True)
class Packet:
    """A compressed frame. time : when it is shown, in units of the stream's time base"""

    data: bytes
    time: int | None
    is_shown: bool


@dataclass(frozen=True)
class Properties:
    """What a stream says of itself. head : a decoder's parameters, as the container keeps them; words : all texts of the container
    others : kinds of the other streams"""

    codec: str
    head: bytes
    base: Fraction
    aspect: Fraction | None
    promised: int
    others: tuple[str, ...]
    words: tuple[str, ...]


class Source:
    """A film's bytes; each use opens them anew and reads forward. Raises BadFile."""

    def __init__(self, data: bytes, kind: str) -> None:
        if not is_there():
            raise BadFile("unsupported", "films need the part `video`, which is not installed here (make setup)")
        self._data, self._kind = data, kind
        with self._opened("incomplete") as container:
            self.properties = _properties(container)

    def packets(self) -> Iterator[Packet]:
        with self._opened("damaged") as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    if packet.is_corrupt:
                        raise BadFile("damaged", "the film has damaged frames")
                    yield Packet(bytes(packet), packet.pts, not packet.is_discard)

    def frames(self) -> Iterator[VideoFrame]:
        with self._opened("damaged") as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "AUTO", THREADS
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise BadFile("damaged", "the film has damaged frames")
                yield frame

    @contextmanager
    def _opened(self, code: Any) -> Iterator[Any]:
        import av

        av.logging.set_level(None)
        demuxer, formats = DEMUXERS.get(self._kind, (self._kind, self._kind))
        options = {"protocol_whitelist": "pipe", "format_whitelist": formats}
        try:
            with av.open(io.BytesIO(self._data), format=demuxer, container_options=options, **_text_options(av)) as container:
                _check_decoder(container)
                yield container
        except BadFile:
            raise
        except DECODER_ERRORS as error:
            raise BadFile(code, "the film is cut off or damaged") from error


def _text_options(av: Any) -> dict[str, Any]:
    """Names in another encoding than UTF-8 are no reason to refuse a film; from PyAV 19 on that needs no option."""
    return {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}


def _check_decoder(container: Any) -> None:
    if len(container.streams.video) != 1:
        raise BadFile("unsupported", f"the file has {len(container.streams.video)} picture streams, one is taken")
    context = container.streams.video[0].codec_context
    if context is None or context.name not in RAW:
        raise BadFile("unsupported", "the film's codec is not one this box handles (H.264, HEVC, MPEG-2, MPEG-4 Part 2)")


def _properties(container: Any) -> Properties:
    stream = container.streams.video[0]
    context = stream.codec_context
    if context.pix_fmt not in PIXELS:
        raise BadFile("unsupported", "the film does not have 8 bits and 4:2:0, which is what this box handles")
    words = [value for texts in (container.metadata, *(each.metadata for each in container.streams)) for value in texts.values()]
    words += [value for chapter in container.chapters() for value in chapter["metadata"].values()]
    others = tuple(sorted({each.type for each in container.streams if each is not stream}))
    aspect, base = stream.sample_aspect_ratio, Fraction(stream.time_base)
    return Properties(
        context.name, bytes(context.extradata or b""), base, aspect or None, stream.frames, others, tuple(str(word) for word in words)
    )


@dataclass(frozen=True)
class Coded:
    """An elementary stream, how long each of its packets is, and when each is shown, in the order in which they are decoded."""

    codec: str
    data: bytes
    times: Sequence[int]
    base: Fraction
    aspect: Fraction | None


def encoded(first: VideoFrame, frames: Iterable[VideoFrame], source: Properties, times: Sequence[int], step: Fraction, crf: int) -> Coded:
    """Encode frames whose pts are their numbers, each to be shown at its time.

    first : one of them, for what they have in common; step : seconds a frame, on average
    Raises BadFile.
    """
    import av

    context: Any = av.CodecContext.create(ENCODERS[source.codec], "w")
    context.width, context.height, context.pix_fmt = first.width, first.height, first.format.name
    context.framerate = rate = (1 / step).limit_denominator(1001 if source.codec in FLAT else 60000)
    context.time_base = 1 / rate if source.codec in FLAT else source.base
    context.sample_aspect_ratio = source.aspect or Fraction(0, 1)
    context.thread_count, numbered = THREADS, source.codec in FLAT
    context.color_range, context.colorspace = first.color_range, first.colorspace
    context.color_primaries, context.color_trc = first.color_primaries, first.color_trc
    _set_quality(context, source.codec, crf)
    cleaner, data, order = Cleaner(source.codec, b""), bytearray(), []

    def stamped() -> Iterator[VideoFrame | None]:
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index if numbered else times[index], context.time_base
            yield frame
        yield None

    try:
        for frame in stamped():
            for packet in context.encode(frame):
                data += cleaner.cleaned(bytes(packet))
                order.append(times[packet.pts] if numbered else packet.pts)
        head = Cleaner(source.codec, bytes(context.extradata or b"")).head
    except BadFile:
        raise
    except DECODER_ERRORS as error:
        raise BadFile(
            "unsupported", "the film cannot be encoded as it is: its size or rate is not one its codec's encoder takes"
        ) from error
    return Coded(source.codec, head + bytes(data), order, source.base, source.aspect)


def _set_quality(context: Any, codec: str, crf: int) -> None:
    if codec == "h264":
        context.options = {"preset": "veryfast", "crf": str(crf)}
    elif codec == "hevc":
        parameters = f"log-level=none:info=0:pools={THREADS}:{HEVC_BLOCKS}"
        context.options = {"preset": "ultrafast", "crf": str(HEVC_CRF[crf]), "x265-params": parameters}
    else:
        scale = MPEG_QUALITY[crf]
        context.qmin, context.gop_size, context.max_b_frames = 1, 12, 0 if codec == "mpeg4" else 2
        context.options = {"flags": "+qscale", "global_quality": str(scale * LAMBDA)}


def copied(source: Source, times: Sequence[int]) -> Coded:
    """The source's packets as they are, without SEI and user data. times : of the frames that it shows, in order

    Raises BadFile when the packets cannot be shown to be those frames.
    """
    properties = source.properties
    cleaner, order = Cleaner(properties.codec, properties.head), []
    data = bytearray(cleaner.head)
    for packet in source.packets():
        if packet.time is None or not packet.is_shown:
            raise BadFile("not-faithful", "the film's packets do not tell when they are shown")
        data += cleaner.cleaned(packet.data)
        order.append(packet.time)
    start = min(order)
    if sorted(time - start for time in order) != list(times):
        raise BadFile("not-faithful", "the film's packets are not its frames")
    return Coded(properties.codec, bytes(data), [time - start for time in order], properties.base, properties.aspect)


def muxed(coded: Coded, last: int, beat: Callable[[], None]) -> bytes:
    """An MP4 of nothing but these frames. last : how long the last one is shown, in units of the time base. Raises BadFile."""
    import av

    shown = sorted(coded.times)
    ends = {time: end - time for time, end in zip(shown, [*shown[1:], shown[-1] + last], strict=True)}
    delay = max(due - time for due, time in zip(shown, coded.times, strict=True))
    target = io.BytesIO()
    source: Any
    raw = RAW[coded.codec]
    try:
        with (
            av.open(
                io.BytesIO(coded.data), format=raw, container_options={"protocol_whitelist": "pipe", "format_whitelist": raw}
            ) as source,
            av.open(
                target, "w", format="mp4", options={"fflags": "+bitexact", "video_track_timescale": str(coded.base.denominator)}
            ) as out,
        ):
            stream: Any = out.add_stream_from_template(source.streams.video[0])
            stream.time_base = coded.base
            if coded.codec == "hevc":
                stream.codec_context.codec_tag = "hvc1"  # parameters beside the frames, as players of Apple's want it
            if coded.aspect:
                stream.sample_aspect_ratio = coded.aspect
            count = 0
            for packet in source.demux(source.streams.video[0]):
                if not packet.size:
                    continue
                packet.stream, packet.time_base = stream, coded.base
                packet.pts, packet.dts = coded.times[count], shown[count] - delay
                packet.duration = ends[packet.pts]
                out.mux(packet)
                count += 1
                beat()
    except DECODER_ERRORS as error:
        raise BadFile("not-faithful", "the film's frames cannot be put into an MP4") from error
    if count != len(shown):
        raise BadFile("not-faithful", f"the film came to {count} packets, it has {len(shown)} frames")
    return target.getvalue()


def like(frame: VideoFrame) -> VideoFrame:
    """An empty frame of the same size, pixels and colours."""
    import av

    empty = av.VideoFrame(frame.width, frame.height, frame.format.name)
    empty.color_range, empty.colorspace = frame.color_range, frame.colorspace
    empty.color_primaries, empty.color_trc = frame.color_primaries, frame.color_trc
    return empty


def drawn(codec: str, muxer: str, count: int, side: int, bright: bool) -> bytes:
    """A film of grey squares for the warm-up. bright : with white stripes"""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as out:
        stream: Any = out.add_stream(ENCODERS[codec], rate=25, options={"x265-params": "log-level=none"} if codec == "hevc" else {})
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for index in range(count):
            frame: Any = av.VideoFrame(side, side, "yuv420p")
            for plane in frame.planes:
                rows = bytes([128]) * plane.line_size + (bytes([235 if bright else 128]) * plane.line_size)
                plane.update((rows * plane.height)[: plane.buffer_size])
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()
