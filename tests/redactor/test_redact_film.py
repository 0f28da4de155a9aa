"""Films drawn in code, in every codec and container: redacted, read back, compared with what was drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import BrightEngine, RestlessEngine

av = pytest.importorskip("av", reason="the part `video` is not installed")

from films import Square, film, frames  # noqa: E402

from appliance.engine import EngineOptions, open_engine  # noqa: E402
from appliance.engine.model import load_model  # noqa: E402
from appliance.errors import BadFile, MustRunAlone  # noqa: E402
from appliance.formats import Limits, sniff  # noqa: E402
from appliance.formats.film import libav, mp4, open_film  # noqa: E402
from appliance.formats.film.compare import LEAST_PSNR, psnr  # noqa: E402
from appliance.redactor import redact_film  # noqa: E402
from appliance.redactor.detector import Detector  # noqa: E402
from appliance.redactor.redact import redact  # noqa: E402
from appliance.redactor.room import Room  # noqa: E402
from appliance.types import Report  # noqa: E402

LIMITS = Limits(max_pixels=10**6)
SQUARE: Square = (32, 48, 24)
OTHER: Square = (96, 128, 20)
NAMES = {"title": "MUSTERMANN^ERIKA", "comment": "ID 4711-0815"}
SHARED = Path(__file__).parents[2].parent / "shared" / "dicom" / "video"

KINDS = [
    ("h264", "mp4"),
    ("h264", "mov"),
    ("h264", "mpegts"),
    ("h264", "matroska"),
    ("hevc", "mp4"),
    ("mpeg2video", "mpeg"),
    ("mpeg4", "avi"),
]


def redacted(data: bytes, engine: BrightEngine | None = None) -> tuple[bytes, Report]:
    return redact(data, Detector(engine or BrightEngine(), "mask", 200), LIMITS)


def always(index: int) -> Sequence[Square]:
    return (SQUARE,)


def brightest(data: bytes, square: Square) -> int:
    top, left, side = square
    return max(int(frame[top : top + side, left : left + side].max()) for frame in frames(data))


@pytest.mark.parametrize(("codec", "container"), KINDS)
def test_text_is_black_in_every_frame_and_the_rest_is_as_it_was(codec: str, container: str) -> None:
    source = film(codec, container, squares=always, words=NAMES)
    kind = sniff(source)
    finished, report = redacted(source)
    assert (report.format, report.looks) == ("mp4", 2)
    assert brightest(finished, SQUARE) <= 20
    before, after = open_film(source, kind), open_film(finished, "mp4")
    pairs = list(zip(before.frames(), after.frames(), strict=True))
    assert len(pairs) == 30
    assert after.properties.codec == codec
    assert (b"hvc1" in finished, b"hev1" in finished) == (codec == "hevc", False)
    covered = np.zeros(before.size, np.bool_)
    covered[16:64, 32:96] = True
    assert min(psnr(one, other, covered) for one, other in pairs) >= LEAST_PSNR
    assert [one.time * before.properties.base for one, _ in pairs] == pytest.approx(
        [Fraction(index, 25) for index in range(30)], abs=0.0011
    )
    assert [other.time * after.properties.base for _, other in pairs] == [one.time * before.properties.base for one, _ in pairs]
    assert not any(name.encode() in finished for name in NAMES.values())


@pytest.mark.parametrize(("codec", "container"), KINDS)
def test_a_film_without_text_keeps_its_packets(codec: str, container: str) -> None:
    source = film(codec, container, words=NAMES)
    finished, report = redacted(source)
    assert redact_film.COPIED in report.notes
    assert report.removed_share == 0
    assert all(map(np.array_equal, frames(source), frames(finished)))
    assert not any(name.encode() in finished for name in NAMES.values())
    if codec == "h264":
        assert b"x264 - core" in source and b"x264" not in finished


@pytest.mark.parametrize("first", [3, 4, 7])
def test_text_of_one_frame_is_found_by_one_of_the_looks(first: int) -> None:
    source = film(squares=lambda index: (OTHER,) if index == first else (SQUARE,) if index > 20 else ())
    finished, report = redacted(source)
    assert brightest(finished, OTHER) <= 20 and brightest(finished, SQUARE) <= 20
    assert report.looks == 2 + first % 2


def test_text_of_one_odd_frame_alone_is_found_before_packets_are_copied() -> None:
    finished, report = redacted(film(squares=lambda index: (OTHER,) if index == 5 else ()))
    assert brightest(finished, OTHER) <= 20
    assert redact_film.COPIED not in report.notes


def test_sound_chapters_names_and_dates_are_gone() -> None:
    words = {**NAMES, "creation_time": "2026-11-23T10:11:12.000000Z"}
    finished, report = redacted(film(squares=always, words=words, sound=True))
    assert "the film's sound was removed" in report.notes
    with av.open(__import__("io").BytesIO(finished)) as again:
        assert [stream.type for stream in again.streams] == ["video"]
        assert not set(again.metadata) - {"major_brand", "minor_version", "compatible_brands"}


def test_a_name_in_another_encoding_is_gone_and_no_reason_to_refuse() -> None:
    name = b"M\xfcSTERMANN^J\xd6HANN"
    source = film(count=6, words={"title": "MUSTERMANN^JOHANN"}).replace(b"MUSTERMANN^JOHANN", name)
    assert any(word.encode("utf-8", "surrogateescape") == name for word in open_film(source, "mp4").properties.words)
    assert name not in redacted(source)[0]


def test_a_varying_rate_and_the_shape_of_pixels_are_carried_over() -> None:
    source = film(squares=always, times=lambda index: index + index // 7, aspect=Fraction(4, 3))
    finished, _ = redacted(source)
    before, after = open_film(source, "mp4"), open_film(finished, "mp4")
    assert after.properties.aspect == Fraction(4, 3)
    moments = [[frame.time * each.properties.base for frame in each.frames()] for each in (before, after)]
    assert moments[0] == moments[1]
    assert len({later - sooner for sooner, later in zip(moments[0], moments[0][1:])}) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"codec": "mjpeg", "container": "avi", "pixels": "yuvj420p"}, "codec is not one"),
        ({"pixels": "yuv444p"}, "8 bits and 4:2:0"),
        ({"pixels": "yuv420p10le"}, "8 bits and 4:2:0"),
        ({"codec": "mpeg2video", "container": "mpeg", "options": {"flags": "+ildct+ilme"}, "squares": always}, "interlaced"),
        ({"size": (1040, 1200)}, "limit is 1.0 Mpx"),
    ],
)
def test_what_is_not_handled_is_refused_with_the_reason(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(BadFile, match=words):
        redacted(film(count=4, **arguments))  # type: ignore[arg-type]


def test_a_film_that_stays_restless_is_refused() -> None:
    with pytest.raises(BadFile) as caught:
        redacted(film(count=6, size=(576, 960)), RestlessEngine())
    assert caught.value.code == "text-left"


def test_without_the_part_video_a_film_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(count=3)
    monkeypatch.setattr(libav, "is_there", lambda: False)
    with pytest.raises(BadFile, match="films need the part `video`"):
        redacted(data)


def test_a_film_runs_alone() -> None:
    detector = Detector(BrightEngine(), "mask", 200)
    with Room(2**30).share() as share, pytest.raises(MustRunAlone):
        redact(film(count=3), detector, LIMITS, share=share)


def test_progress_is_told_in_frames_and_never_goes_back() -> None:
    told: list[tuple[int, int]] = []
    redact(film(count=12, squares=always), Detector(BrightEngine(), "mask", 200), LIMITS, lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {36}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (36, 36)


@pytest.mark.parametrize("at", ["mdat", "moov", "free"])
def test_a_finished_film_with_something_else_in_it_is_refused(at: str) -> None:
    finished, _ = redacted(film(count=6))
    place = finished.index(at.encode()) - 4
    stranger = b"\0\0\0\x14udta" + b"MUSTERMANN E"
    mp4.check(finished, 6)
    with pytest.raises(BadFile, match="not as it should be"):
        mp4.check(finished[:place] + stranger + finished[place:], 6)


def test_a_finished_film_that_names_the_patient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    muxed = libav.muxed
    monkeypatch.setattr(libav, "muxed", lambda *some: muxed(*some).replace(b"VideoHandler", b"MUSTERMANN^E"))
    with pytest.raises(BadFile, match="words of its own"):
        redacted(film(count=6, squares=always))


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "container"), [("h264", "mp4"), ("h264", "mpegts"), ("mpeg2video", "mpeg"), ("mpeg4", "avi")])
def test_mutated_films_are_right_or_refused(codec: str, container: str) -> None:
    source, random, released = film(codec, container, count=10, squares=always), np.random.default_rng(5), 0
    for number in range(25):
        data = bytearray(source)
        if number % 5 == 4:
            del data[int(random.integers(400, len(data))) :]
        else:
            for place in random.integers(0, len(data), 1 + number % 4):
                data[place] = random.integers(256)
        try:
            finished, _ = redacted(bytes(data))
        except BadFile as error:
            assert error.code in {"damaged", "incomplete", "unsupported", "not-faithful", "too-large"}, error.reason
        else:
            released += 1
            mp4.check(finished, len(frames(finished)))
            assert brightest(finished, SQUARE) <= 40  # a broken frame may show it elsewhere, but what is bright is covered
            assert max(int(frame.max()) for frame in frames(finished)) < 200
    assert released < 25


FILMS = sorted(SHARED.glob("overlay_*[!n]")) if SHARED.is_dir() else []


REFUSED = pytest.mark.xfail(
    raises=BadFile, strict=False, reason="refused, which leaks nothing: the shipped weights still see text in what x265 makes"
)


def shared(path: Path) -> Any:
    return pytest.param(path, id=path.name, marks=[REFUSED] if "hevc" in path.name else [])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not FILMS, reason="the shared films are not there")
@pytest.mark.parametrize("path", [shared(path) for path in FILMS if "mjpeg" not in path.name])
def test_every_box_of_the_truth_is_black_in_every_frame(path: Path, tmp_path: Path) -> None:
    model = load_model("mask")
    engine = open_engine("openvino", EngineOptions(model.path, model.sha256, 1, 0, tmp_path, "auto"), "")
    finished, _ = redact(path.read_bytes(), Detector(engine, "mask", model.threshold), Limits())
    truth = json.loads((SHARED / "overlay_truth.json").read_text())["truth"]
    shown = list(open_film(finished, "mp4").frames())
    assert len(shown) == len(truth)
    bright = [
        (frame.index, *box)
        for frame, boxes in zip(shown, truth, strict=True)
        for box in boxes
        if frame.planes[0][box[1] : box[3], box[0] : box[2]].max() > 20
    ]
    assert not bright
    assert not any(name in finished for name in (b"MUSTERMANN", b"DR HUBER", b"4711-0815"))
