"""`anonbox selftest`: does this machine do what the box needs? Answers on a device what no test elsewhere can (jetson.md 8).

Every check is done for real, here and now: engines are built and run, pictures with planted text go through the redactor and through a
whole box, a redactor is made to hang. Nothing of the box's own folders is touched but its plans.
"""

from __future__ import annotations

import grp
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

import appliance
from appliance.checks.rehearsal import SIZE, Failed, check_covered, encoded, redact, run_box
from appliance.config import Config
from appliance.daemon.sources.tree import user_name
from appliance.engine import Engine, EngineOptions, open_engine, reference
from appliance.engine.choose import precision_for
from appliance.engine.ensure import ensure_plans
from appliance.engine.model import WEIGHTS, load_model
from appliance.engine.tensorrt import TensorRtEngine
from appliance.errors import AnonBoxError, BadFile, DeviceLost, MustRunAlone
from appliance.formats.reduce import real_jetson_utils
from appliance.redactor.client import RedactorProcess
from appliance.system import health
from appliance.types import Cells

Status = Literal["passed", "failed", "not applicable"]

NODES = ("dev/nvmap", "dev/nvhost-*", "dev/nvgpu/*/*", "dev/nvidia*")
"""Device nodes that CUDA opens, on a Jetson and on a PC."""

ON_CPU = "the engine runs on the CPU"


@dataclass(frozen=True)
class Check:
    """One answer. detail : one sentence, with numbers where there are any"""

    name: str
    status: Status
    detail: str


class NotApplicable(Exception):
    """A check that means nothing here. Its text is one sentence."""


class SelfTest:
    """cache : folder of plans and compiled models; say : told what is being done; root : another tree in tests"""

    def __init__(self, config: Config, cache: Path, say: Callable[[str], None], root: Path = Path("/")) -> None:
        self._config, self._cache, self._say, self._root = config, cache, say, root
        self._strict = replace(config, engine=replace(config.engine, fallback="none"))
        self._engine: Engine | None = None

    def run(self) -> Iterator[Check]:
        """All checks, one after the other, as they are done."""
        checks: dict[str, Callable[[], str]] = {
            "machine": self.machine,
            "device nodes": self.nodes,
            "sensors": self.sensors,
            "jetson-utils": self.jetson_utils,
            "plans": self.plans,
            "engine": self.opened,
            "reference masks": self.masks,
            "INT8 and FP16": self.precisions,
            "mapped and device buffers": self.buffers,
            "zero-copy": self.zero_copy,
            "same picture, same mask": self.steady,
            "redactor and sandbox": self.redactor,
            "hung redactor": self.hang,
            "whole box and watchdog": self.box,
        }
        try:
            for name, check in checks.items():
                self._say(name)
                yield _outcome(name, check)
        finally:
            if self._engine:
                self._engine.close()

    def machine(self) -> str:
        lines = health.read(self._root).lines()
        return f"AnonBox {appliance.__version__}, Python {sys.version.split()[0]}; " + "; ".join(f"{k}: {v}" for k, v in lines.items())

    def nodes(self) -> str:
        """Whether this user may open the GPU's device nodes. Run it as the box's user: on JetPack they belong to group video."""
        nodes = [node for pattern in NODES for node in self._root.glob(pattern) if not node.is_dir()]
        if not nodes:
            raise NotApplicable("there are no NVIDIA device nodes")
        closed = [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
        if closed:
            groups = sorted({_group(node) for node in closed})
            names = ", ".join(f"/{node.relative_to(self._root)}" for node in closed[:4])
            raise Failed(f"user {user_name()} may not open {names}; usermod -aG {','.join(groups)} {user_name()}, and log in anew")
        return f"user {user_name()} may open all {len(nodes)}"

    def sensors(self) -> str:
        now = health.read(self._root)
        if not now.release:
            raise NotApplicable("this is no Jetson")
        missing = [
            name
            for name, there in {
                "the GPU's clock": now.gpu_mhz is not None,
                "the GPU's load": now.gpu_load is not None or "Thor" in now.model,
                "temperatures": bool(now.temperatures),
                "power": bool(now.power),
            }.items()
            if not there
        ]
        if missing:
            raise Failed(f"{', '.join(missing)} cannot be read from /sys as user {user_name()}")
        return f"zones {', '.join(now.temperatures)}; rails {', '.join(now.power)}"

    def jetson_utils(self) -> str:
        utils, why = real_jetson_utils()
        if utils is None and "absent" in why:
            raise NotApplicable(f"{why}: Pillow reduces PNG, BMP and TIFF")
        if utils is None:
            raise Failed(why)
        return "NVIDIA's, with its C extension"

    def plans(self) -> str:
        if self._config.engine.name != "tensorrt":
            raise NotApplicable(ON_CPU)
        start = time.monotonic()
        ensure_plans(self._strict, self._cache, self._say)
        return f"there after {time.monotonic() - start:.0f} s"

    def opened(self) -> str:
        config = self._config.engine
        model = load_model("mask", precision=precision_for(config.name, config.precision, "mask", self._cache))
        slots = 2 if config.name == "openvino" else 4
        options = EngineOptions(model.path, model.sha256, slots, config.threads, self._cache, config.precision)
        self._engine = open_engine(config.name, options)
        info = self._engine.info
        return f"{info.name}, {info.precision}, model {info.model}, on {info.device}"

    def masks(self) -> str:
        """The engine against the masks that were shipped with the weights."""
        expected, lanes = self._reference(), len(self._opened().slots)
        found = {
            how: reference.compare(self._masks(expected, at_once), expected) for how, at_once in (("one by one", 1), ("at once", lanes))
        }
        detail = "; ".join(f"{how}: {agreement}" for how, agreement in found.items())
        if not all(agreement.holds for agreement in found.values()):
            raise Failed(f"{detail}; at least {reference.AGREES_FROM} of overlap and no missed line are wanted")
        return detail

    def precisions(self) -> str:
        """What the builder measured on this device."""
        choice = self._gpu().choice
        tried = "; ".join(f"{note['what']}: {note.get('ms', '-')} ms, {note['verdict']}" for note in choice.measured)
        build_s = sum(float(note.get("build_s", 0)) for note in choice.measured)
        return f"{choice.why}. Builds took {build_s:.0f} s, peak {choice.peak_mib} MiB. {tried}"

    def buffers(self) -> str:
        times = self._gpu().time_feeds_ms()
        return ", ".join(f"frame in {kind} memory{' with a copy' * (kind == 'device')} {ms:.2f} ms" for kind, ms in times.items())

    def zero_copy(self) -> str:
        engine = self._gpu()
        before = engine.facts().copied_bytes
        for slot in engine.slots:
            engine.run(slot)
        facts = engine.facts()
        copied = facts.copied_bytes - before
        where = f"integrated {facts.is_integrated}, maps host memory {facts.can_map}, one address {facts.is_one_address}"
        if copied or not facts.can_map or not facts.is_one_address:
            raise Failed(f"{copied} bytes copied between decoder and mask; {where}")
        return f"0 bytes copied between decoder and mask; {where}; {facts.free_bytes >> 20} MiB free beside it"

    def steady(self) -> str:
        """The same answer every time, in every slot, at the engine's own speed."""
        engine, frame = self._opened(), self._reference().frames()[0]
        scores, start, runs = [], time.perf_counter(), 20
        for _ in range(runs):
            for slot in engine.slots:
                slot.pixels[...] = frame.pixels
                engine.run(slot)
                scores.append(slot.score.copy())
        ms = (time.perf_counter() - start) * 1e3 / len(scores)
        worst = max(int(np.abs(score.astype(int) - scores[0]).max()) for score in scores)
        if worst:
            raise Failed(f"scores of one picture differ by up to {worst} of 255")
        return f"{len(scores)} runs, {ms:.1f} ms each, one by one from Python"

    def redactor(self) -> str:
        """Drawn screens with planted text through the redactor, as it works in the box: locked in."""
        with closing(RedactorProcess(self._strict, self._cache)) as redactor:
            times = []
            for seed, kind in enumerate(("JPEG", "PNG", "JPEG", "BMP"), 1):
                frame = reference.frame(seed, SIZE)
                start = time.perf_counter()
                result = redact(redactor, encoded(frame, kind))
                times.append(f"{kind} {(time.perf_counter() - start) * 1e3:.0f} ms")
                check_covered(frame, result)
            locked = "behind seccomp" if redactor.is_sandboxed else "WITHOUT seccomp, which this kernel lacks"
        return f"all text covered, {locked}; {', '.join(times)}"

    def hang(self) -> str:
        """A redactor that stops answering is replaced, and the next picture goes through."""
        config = replace(self._strict, limits=replace(self._config.limits, job_s=5.0))
        frame = reference.frame(1, SIZE)
        with closing(RedactorProcess(config, self._cache)) as redactor:
            os.kill(redactor.process_id, signal.SIGSTOP)
            try:
                redact(redactor, encoded(frame, "JPEG"))
            except (DeviceLost, BadFile, MustRunAlone) as error:
                told = str(error)
            else:
                raise Failed("a stopped redactor answered")
            check_covered(frame, redact(redactor, encoded(frame, "JPEG")))
        return f"it was replaced ({told})"

    def box(self) -> str:
        """A box of its own in a temporary folder, as systemd would run it: a picture comes out, and the watchdog hears of it."""
        return run_box(self._strict, self._cache)

    def _opened(self) -> Engine:
        if self._engine is None:
            raise Failed("the engine could not be opened, see above")
        return self._engine

    def _gpu(self) -> TensorRtEngine:
        if self._config.engine.name != "tensorrt":
            raise NotApplicable(ON_CPU)
        engine = self._opened()
        assert isinstance(engine, TensorRtEngine)
        return engine

    def _reference(self) -> reference.Reference:
        return reference.load(WEIGHTS, load_model("mask").sha256)

    def _masks(self, expected: reference.Reference, at_once: int) -> list[Cells]:
        """The engine's masks of the reference frames, so many asked for at once, as lanes do; a GPU may then take them as a batch."""
        engine, frames, masks = self._opened(), expected.frames(), []
        with ThreadPoolExecutor(at_once) as lanes:
            for start in range(0, len(frames), at_once):
                slots = engine.slots[: len(frames[start : start + at_once])]
                for slot, frame in zip(slots, frames[start:], strict=False):
                    slot.pixels[...] = frame.pixels
                list(lanes.map(engine.run, slots))
                masks += [slot.score >= expected.threshold for slot in slots]
        return masks


def _outcome(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "passed", check())
    except NotApplicable as reason:
        return Check(name, "not applicable", str(reason))
    except Failed as reason:
        return Check(name, "failed", str(reason))
    except (AnonBoxError, OSError, RuntimeError) as error:
        return Check(name, "failed", f"{type(error).__name__}: {error}")


def _group(node: Path) -> str:
    try:
        return grp.getgrgid(node.stat().st_gid).gr_name
    except (KeyError, OSError):
        return "video"
