"""`anonbox bench throughput`: the shipped pipeline as the daemon runs it, warmed up, and the floor beside it.

A real daemon with its real redactor works through copies of the pictures, in a box of its own on the disk of the system's temporary
files. First they all lie in the drop folder, for the rate; then they come one at a time, for the latency. The *floor* is what
nobody undercuts who keeps the coefficients: entropy decode and encode of the same files on the same cores, nothing in between.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance import config
from appliance.bench.copies import copies_per_image
from appliance.bench.frames import drawn_files
from appliance.daemon.loop import Daemon
from appliance.errors import AnonBoxError
from appliance.formats import turbo
from appliance.redactor.client import RedactorProcess
from appliance.types import EngineInfo, Report

STAGES = ("read", "decode", "infer", "mask", "rewrite", "verify", "publish")
WARM = 8
"""Pictures at the start of each part that are not counted."""

FLOOR_S = 1.0
"""How long the floor is measured, before the run and again after it."""

FEW, SCALING, SINGLES = 100, 12 * WARM, 50
"""Pictures of the first run, of each run of the scaling, and of those that come one at a time. The first run fills the caches, and
shows whether many pictures in the drop folder are taken as fast as a few."""

PAUSE_S = 0.02
"""How often it is looked whether all are published."""


Beat = Callable[[float], object]
"""Hears which share of the work is done, 0..1."""


def _no_beat(_share: float) -> None:
    return


@dataclass(frozen=True)
class Passage:
    """One picture's way. at_s : when it was published, monotonic; ms : from its turn to then; stages_ms : STAGES, where it had them"""

    at_s: float
    ms: float
    stages_ms: dict[str, float]


@dataclass(frozen=True)
class Run:
    """What one run of the daemon gave. crowd, singles : in the order of publishing; cpu_ms : of both processes, a picture of the crowd

    memory : MiB resident in both processes, again and again during the crowd
    """

    crowd: Sequence[Passage]
    singles: Sequence[Passage]
    cpu_ms: float
    memory: Sequence[float]
    redactor_peak_mib: int
    daemon_peak_mib: int
    engine: EngineInfo
    lanes: int

    @property
    def ms_per_image(self) -> float:
        return 1e3 * (self.crowd[-1].at_s - self.crowd[WARM - 1].at_s) / len(self.crowd[WARM:])

    @property
    def memory_growth(self) -> float:
        """What the last tenth of the crowd's time needs beyond what the second tenth did, as a share of that."""
        tenth = max(1, len(self.memory) // 10)
        early, late = map(statistics.median, (self.memory[tenth : 2 * tenth], self.memory[-tenth:]))
        return late / early - 1


def percentiles(values: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"p{share}": round(cuts[share - 1], 2) for share in (50, 95, 99)}


class _Recorder(logging.Handler):
    """Stands between daemon and redactor, and hears what the lanes say when a picture is published, in the lane's own thread."""

    def __init__(self, redactor: RedactorProcess) -> None:
        super().__init__(logging.INFO)
        self._redactor, self._here = redactor, threading.local()
        self.info, self.lanes, self.close = redactor.info, redactor.lanes, redactor.close  # type: ignore[method-assign]
        self.passages: list[Passage] = []
        self.refused = 0

    def redact(self, source: int, target: int, *, alone: bool = False) -> Report:
        start = time.perf_counter()
        report = self._redactor.redact(source, target, alone=alone)
        self._here.ms, self._here.stages = (time.perf_counter() - start) * 1e3, report.stages_ms
        return report

    def emit(self, record: logging.LogRecord) -> None:
        if "published in" in record.msg and isinstance(record.args, tuple):
            ms = float(str(record.args[1]))
            self.passages.append(Passage(time.monotonic(), ms, {**self._here.stages, "publish": ms - self._here.ms}))
        elif "refused" in record.msg:
            self.refused += 1


def run_daemon(files: Sequence[bytes], count: int, singles: int, cache: Path, beat: Beat = _no_beat) -> Run:
    """Have the daemon publish `count` copies of the files that lie there, then `singles` that come one by one. Main thread only.

    cache : folder of compiled models; beat : called now and then
    Raises AnonBoxError, also when pictures are refused.
    """
    with tempfile.TemporaryDirectory(prefix="anonbox-bench-") as folder, _quiet_log() as log:
        shipped = config.load(box=Path(folder))
        settings = replace(shipped, intake=replace(shipped.intake, settle_s=0.0, min_free_mib=0))
        inbox = settings.folders.inbox
        inbox.mkdir(parents=True)
        for number in range(count):
            (inbox / f"{number:05d}").write_bytes(files[number % len(files)])
        os.sync()  # what is left to write would be written during the measurement
        redactor = RedactorProcess(settings, cache)
        recorder = _Recorder(redactor)
        log.addHandler(recorder)
        feeder = _Feeder(recorder, redactor, count, count + singles, beat)
        thread = threading.Thread(target=feeder.run, args=(inbox, files, singles), daemon=True)
        try:
            before = feeder.cpu_s()
            thread.start()
            Daemon(settings, recorder).run(lambda: settings)
            peaks = redactor.peak_mib(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        finally:
            log.removeHandler(recorder)
            redactor.close()
    if recorder.refused or len(recorder.passages) < count + singles:
        raise AnonBoxError(f"{recorder.refused} of {count} pictures were refused; measure with pictures that pass")
    cpu_ms = 1e3 * (feeder.crowd_cpu_s - before) / count
    crowd, singles_ = recorder.passages[:count], recorder.passages[count:]
    return Run(crowd, singles_, cpu_ms, feeder.memory, *peaks, recorder.info, recorder.lanes)


class _Feeder:
    """Waits for the crowd to be through, then brings single pictures; stops the daemon at the end."""

    def __init__(self, recorder: _Recorder, redactor: RedactorProcess, count: int, total: int, beat: Beat) -> None:
        self._recorder, self._redactor, self._count, self._total, self._beat = recorder, redactor, count, total, beat
        self.crowd_cpu_s = 0.0
        self.memory: list[float] = []

    def cpu_s(self) -> float:
        """CPU seconds so far of this process, which is the daemon, and of the redactor."""
        return time.process_time() + self._redactor.cpu_s()

    def run(self, inbox: Path, files: Sequence[bytes], singles: int) -> None:
        try:
            passed = self._await(self._count, self._weigh)
            self.crowd_cpu_s = self.cpu_s()
            for number in range(singles):
                if not passed:
                    break
                hidden = inbox / ".single.part"
                hidden.write_bytes(files[number % len(files)])
                hidden.rename(inbox / f"single-{number:05d}")
                passed = self._await(self._count + number + 1)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def _await(self, published: int, look: Callable[[], None] = lambda: None) -> bool:
        """Whether so many are published; not when one was refused."""
        while len(self._recorder.passages) < published and not self._recorder.refused:
            time.sleep(PAUSE_S)
            self._beat(len(self._recorder.passages) / self._total)
            look()
        return not self._recorder.refused

    def _weigh(self) -> None:
        processes = (os.getpid(), self._redactor.process_id)
        self.memory.append(sum(map(resident_mib, processes)))


def resident_mib(process: int) -> float:
    """Memory of a process that is in RAM now, MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def _quiet_log() -> Iterator[logging.Logger]:
    """The lanes' log, which for the time being nobody else hears."""
    package = logging.getLogger("appliance")
    level, package.level, package.propagate = package.level, logging.INFO, False
    try:
        yield logging.getLogger("appliance.daemon.lane")
    finally:
        package.level, package.propagate = level, True


def floor_ms(files: Sequence[bytes], cores: int, seconds: float = FLOOR_S) -> float:
    """Milliseconds an image for entropy decode and encode of these JPEGs, one thread a core."""
    until = time.perf_counter() + seconds
    with ThreadPoolExecutor(cores) as pool:
        start = time.perf_counter()
        counts = list(pool.map(lambda first: _recode(files, first, until), range(cores)))
        return 1e3 * (time.perf_counter() - start) / sum(counts)


def _recode(files: Sequence[bytes], first: int, until: float) -> int:
    number = first
    while time.perf_counter() < until:
        turbo.transform(files[number % len(files)])
        number += 1
    return number - first


@dataclass(frozen=True)
class Result:
    """Everything `bench throughput` says. few_ms : an image when only FEW lie in the drop folder"""

    run: Run
    floor_ms: float
    copies: int
    few_ms: float

    def to_json(self) -> dict[str, Any]:
        run = self.run
        stages = {name: percentiles([passage.stages_ms.get(name, 0.0) for passage in run.singles[WARM:]]) for name in STAGES}
        return {
            "images_per_s": round(1e3 / run.ms_per_image, 2),
            "ms_per_image": round(run.ms_per_image, 2),
            "floor_ms_per_image": round(self.floor_ms, 2),
            "floor_ratio": round(run.ms_per_image / self.floor_ms, 2),
            "latency_ms": percentiles([passage.ms for passage in run.singles[WARM:]]),
            "stages_ms": {name: values["p50"] for name, values in stages.items()},
            "peak_rss_mb": run.redactor_peak_mib,
            "copies_per_image": self.copies,
            "stages": stages,
            "latency_in_a_crowd_ms": percentiles([passage.ms for passage in run.crowd[WARM:]]),
            "cpu_ms_per_image": round(run.cpu_ms, 2),
            "daemon_peak_rss_mb": run.daemon_peak_mib,
            "images": len(run.crowd),
            "rate_against_few": round(self.few_ms / run.ms_per_image, 3),
            "memory_growth": round(run.memory_growth, 3),
            "cores": cores(),
            "lanes": run.lanes,
            "engine": f"{run.engine.name}, {run.engine.precision}, on {run.engine.device}",
        }


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def rate(files: Sequence[bytes], cache: Path) -> float:
    """Images a second, with nothing else measured."""
    return round(1e3 / run_daemon(files, SCALING, 0, cache).ms_per_image, 2)


def measure(files: Sequence[bytes], seconds: float, cache: Path, beat: Beat = _no_beat) -> Result:
    """Run for about so many seconds, after a run of FEW that tells how many pictures that takes."""
    few_ms = run_daemon(files, FEW, 0, cache).ms_per_image
    before = floor_ms(files, cores())
    run = run_daemon(files, max(FEW, round(1e3 * seconds / few_ms)), WARM + SINGLES, cache, beat)
    return Result(run, (before + floor_ms(files, cores())) / 2, copies_per_image(files[0], cache), few_ms)


SIZES = {"576i": (576, 720), "720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}


def scaling(cache: Path) -> tuple[dict[int, float], dict[str, float]]:
    """Images a second for 1 to all cores, and for each of SIZES on all."""
    files, mine = drawn_files(), sorted(os.sched_getaffinity(0))
    by_cores: dict[int, float] = {}
    try:
        for count in range(1, len(mine) + 1):
            os.sched_setaffinity(0, mine[:count])  # of this thread and all that it starts
            by_cores[count] = rate(files, cache)
    finally:
        os.sched_setaffinity(0, mine)
    return by_cores, {name: rate(drawn_files(8, size), cache) for name, size in SIZES.items()}


def as_table(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"{found['images_per_s']:.1f} images/s, {found['ms_per_image']:.1f} ms an image on {found['cores']} cores, {found['lanes']} lanes",
        f"{found['floor_ratio']:.2f} times the floor of {found['floor_ms_per_image']:.2f} ms (entropy decode and encode)",
        f"{found['images']} pictures in the drop folder were taken {found['rate_against_few']:.2f} times as fast as {FEW},"
        f" memory grew by {found['memory_growth']:.1%} meanwhile",
        f"{found['cpu_ms_per_image']:.1f} ms of CPU time an image; redactor peak {found['peak_rss_mb']} MiB",
        f"the reduced picture is written {found['copies_per_image']} time(s) between decoder and mask",
        found["engine"],
        "",
        f"{'one at a time, ms':<20}{'p50':>8}{'p95':>8}{'p99':>8}",
    ]
    for key, unit in (("images_per_s_by_cores", "core(s)"), ("images_per_s_by_size", "")):
        if key in found:
            lines.insert(-2, "images/s: " + ", ".join(f"{value:.1f} with {name} {unit}".strip() for name, value in found[key].items()))
    rows = {"stable to published": found["latency_ms"], **found["stages"], "in a crowd": found["latency_in_a_crowd_ms"]}
    return "\n".join([*lines, *(f"{name:<20}" + "".join(f"{value:8.1f}" for value in row.values()) for name, row in rows.items())])
