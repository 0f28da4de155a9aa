"""`python -m engines.bench`: the study's table 2 and the way on from there, one change a row, file bytes in to redacted file bytes out.

All rows work on the same drawn 1920x1080 pictures, in turn, round after round, so that what disturbs the machine disturbs them alike;
a row's time is the median of its rounds. None of them verifies what it wrote, as the study's did not; the shipped pipeline, which
does and which looks twice, is measured beside them.
"""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.bench.frames import drawn_files
from appliance.bench.throughput import cores
from appliance.engine import EngineOptions, open_engine
from appliance.engine.choose import precision_for
from appliance.engine.model import load_model
from appliance.formats import Limits
from appliance.redactor.client import SPARE_LANES
from appliance.redactor.detector import Detector
from appliance.redactor.redact import redact
from appliance.redactor.stages import Stages
from engines.bench import others, steps
from engines.bench.steps import Kit

FRAMES = 8
SLOW_S = 0.4
"""A row that takes longer for a picture is measured on one a round."""


@dataclass(frozen=True)
class Row:
    """How a picture goes from file to file.

    decode : file -> the picture for the network
    network : opens it; what it gives takes the pictures of a batch and returns their maps
    find : maps -> where the picture is removed
    write : file, decoded picture, mask -> file
    workers : pictures in work at once; more than one waits for the network unless it has a request for each
    note : what differs from the study, or where the maps come from
    """

    name: str
    decode: steps.Decode
    network: steps.Network
    find: steps.Find
    write: steps.Write
    batch: int = 1
    workers: int = 1
    note: str = ""


def _rows() -> list[Row | tuple[str, str]]:
    """The ladder from below; a pair is a row that this machine has not, and why."""
    gpu = "no NVIDIA GPU here" if not Path("/dev/nvidiactl").exists() and not Path("/dev/nvmap").exists() else ""
    table: list[Row | tuple[str, str]] = []

    def add(name: str, **changes: Any) -> None:
        below = next(row for row in reversed(table) if isinstance(row, Row))
        table.append(replace(below, name=name, **changes))

    random = "random weights; boxes and mask from the shipped network's maps of the same picture, made before"
    table.append(
        Row("PyTorch FP32, boxes", steps.opencv_decode, steps.torch_network("FP32"), steps.plain_boxes, steps.opencv_write, note=random)
    )
    add("optimised post-processing", find=steps.product_boxes)
    add("PyTorch BF16", network=steps.torch_network("BF16"))
    add("OpenVINO", network=steps.paper_network(1))
    table.append(("TensorRT FP16", gpu or "the study's network is not built for TensorRT; `anonbox selftest` times the shipped one"))
    table.append(("GPU JPEG (DALI, nvJPEG)", gpu or "not written: the shipped pipeline keeps coefficients, which no GPU decoder hands out"))
    add("TurboJPEG", decode=steps.turbo_decode, write=steps.turbo_write)
    add("mask mode", find=steps.score_map)
    add("batch 4", network=steps.paper_network(4), batch=4)
    add("multi-core", network=steps.paper_network(1), batch=1, workers=cores() + 1)
    add("slim network", network=steps.slim_network("float", full_size=True), note="trained weights from here on")
    add("scaled decode", decode=steps.scaled_decode, network=steps.slim_network("float"))
    add("DCT-domain redaction", write=steps.dct_write)
    add("one entropy decode", decode=steps.decode_once, write=steps.write_kept)
    add("INT8", network=steps.slim_network("int8"))
    add("overlapped lanes", network=steps.slim_network("int8", lanes=cores() + 1))
    return table


ROWS = _rows()


class _Measured:
    """A row in the making. times : seconds an image, one a round; first_s : of the round that is not counted; stages : of the last, ms"""

    def __init__(self, name: str, reason: str = "", note: str = "", batch: int = 1) -> None:
        self.name, self.reason, self.note, self.batch = name, reason, note, batch
        self.first_s = math.inf
        self.times: list[float] = []
        self.stages: dict[str, float] = {}

    def take(self, work: Callable[[Sequence[bytes]], dict[str, float]], files: Sequence[bytes]) -> None:
        """One round: run the work, which returns its stages' milliseconds in all."""
        files = files[: self.batch] if self.first_s > SLOW_S else files
        start = time.perf_counter()
        stages = work(files)
        self.times.append((time.perf_counter() - start) / len(files))
        self.stages = {name: ms / len(files) for name, ms in stages.items()}

    def to_json(self) -> dict[str, Any]:
        if not self.times:
            return {"name": self.name, "ms": None, "fps": None, "available": False, "reason": self.reason}
        ms = 1e3 * statistics.median(self.times)
        return {
            "name": self.name,
            "ms": round(ms, 2),
            "fps": round(1e3 / ms, 2),
            "available": True,
            "reason": self.note,
            "spread_ms": [round(1e3 * min(self.times), 2), round(1e3 * max(self.times), 2)],
            "stages_ms": {name: round(value, 2) for name, value in self.stages.items()},
        }


def _opened(row: Row, kit: Kit) -> Callable[[Sequence[bytes]], dict[str, float]]:
    """The row as a function of files; returns its stages' milliseconds in all."""
    network = row.network(kit)

    def work_on(files: Sequence[bytes]) -> dict[str, float]:
        stages = Stages()
        with stages("decode"):
            pictures = [row.decode(file) for file in files]
        with stages("infer"):
            maps = network(pictures, files)
        with stages("mask"):
            hot = [row.find(kit, each) for each in maps]
        with stages("rewrite"):
            for file, picture, where in zip(files, pictures, hot, strict=True):
                row.write(file, picture, where)
        return stages.ms

    return lambda files: _in_parallel(work_on, [files[at : at + row.batch] for at in range(0, len(files), row.batch)], row.workers)


def _shipped(kit: Kit) -> Callable[[Sequence[bytes]], dict[str, float]]:
    """The whole of redact(), in as many lanes as the redactor has."""
    model = load_model("mask", precision=precision_for("openvino", "auto", "mask", kit.cache))
    lanes = cores() + SPARE_LANES
    detector = Detector(
        open_engine("openvino", EngineOptions(model.path, model.sha256, lanes, cache=kit.cache)), "mask", model.threshold, model.again
    )
    return lambda files: _in_parallel(lambda file: redact(file, detector, Limits())[1].stages_ms, files, lanes)


def _in_parallel(work_on: Callable[[Any], dict[str, float]], parts: Sequence[Any], workers: int) -> dict[str, float]:
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(work_on, parts))
    return {name: sum(stages[name] for stages in found) for name in found[0]}


def _watching(detect: others.Detect) -> Callable[[Sequence[bytes]], dict[str, float]]:
    """Detection alone is timed: the pictures are decoded before, outside the row's time."""
    pictures: dict[bytes, Any] = {}

    def work(files: Sequence[bytes]) -> dict[str, float]:
        for file in files:
            detect(pictures.setdefault(file, steps.turbo_decode(file)))
        return {"infer": 0.0}

    return work


def measure(rounds: int, cache: Path, beat: Callable[[], object]) -> dict[str, Any]:
    """All rows, the shipped pipeline and the other detectors, `rounds` times in turn after one round that is not counted.

    beat : called after each round
    """
    files = drawn_files(FRAMES)
    kit = Kit(files, cache)
    results = [_Measured(row[0], row[1]) if isinstance(row, tuple) else _Measured(row.name, note=row.note, batch=row.batch) for row in ROWS]
    works: list[tuple[_Measured, Callable[[Sequence[bytes]], dict[str, float]]]] = []
    for row, result in zip(ROWS, results, strict=True):
        if isinstance(row, Row):
            works.append((result, _opened(row, kit)))
    shipped = _Measured("as shipped: verified, looked at twice")
    works.append((shipped, _shipped(kit)))
    strangers = []
    for name, opener in others.ALL.items():
        try:
            strangers.append(_Measured(name))
            works.append((strangers[-1], _watching(opener())))
        except others.Unavailable as error:
            strangers[-1].reason = str(error)
    for number in range(rounds + 1):
        for result, work in works:
            result.take(work, files)
            if number == 0:
                result.first_s = result.times.pop()
        beat()
    rows = [result.to_json() for result in results]
    available = [row["ms"] for row in rows if row["available"]]
    seen = {row["name"]: row["ms"] for row in map(_Measured.to_json, strangers) if row["available"]}
    return {
        "machine": machine(),
        "rows": rows,
        "speedup": round(available[0] / available[-1], 1),
        "shipped": shipped.to_json(),
        "shipped_speedup": round(available[0] / shipped.to_json()["ms"], 1),
        "others": [stranger.to_json() for stranger in strangers],
        "speedup_over_others": {name: round(ms / shipped.to_json()["ms"], 1) for name, ms in seen.items()},
    }


def machine() -> str:
    """The processor and how much of it there is."""
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{(names or [platform.machine()])[0]}, {cores()} cores, Python {platform.python_version()}"


def as_table(found: dict[str, Any]) -> str:
    """The same for people."""
    first = found["rows"][0]["ms"]
    lines = [found["machine"], f"{'1920x1080, one change a row':<40}{'ms':>9}{'fps':>8}{'x':>8}   from..to ms"]
    for row in [*found["rows"], found["shipped"], *found["others"]]:
        if row["available"]:
            low, high = row["spread_ms"]
            lines.append(f"{row['name']:<40}{row['ms']:9.1f}{row['fps']:8.1f}{first / row['ms']:8.1f}   {low:.1f}..{high:.1f}")
        else:
            lines.append(f"{row['name']:<40}{'-':>9}   {row['reason']}")
    lines.append(f"last row {found['speedup']} times faster than the first, as shipped {found['shipped_speedup']} times")
    lines += [f"as shipped, file to file, {times} times faster than {name}" for name, times in found["speedup_over_others"].items()]
    return "\n".join(lines + [f"{row['name']}: {row['reason']}" for row in found["rows"] if row["available"] and row["reason"]])
