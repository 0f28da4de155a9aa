"""Build the TensorRT engines of this device from the shipped ONNX files, measure them, and keep the fastest that sees all.

    python -m appliance.engine.build [--mode mask|boxes] [--folder DIR] [--force]

Needs TensorRT, pycuda and a GPU; `anonbox run` calls it at the first start, which takes minutes. INT8 and FP16 are built, each is held
against the reference masks and timed; for the better one the preprocess kernel is tried, then a batch of 4, then a CUDA graph. What
measured better is kept, with the reasons, in a record beside the plans.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from appliance.engine import EngineOptions, plans, reference
from appliance.engine.bridge import Library, Precision, open_library
from appliance.engine.compile import Order, build_plan, compile_kernel
from appliance.engine.cuda import Cuda
from appliance.engine.model import load_model
from appliance.engine.plans import Choice, Key, Plan, Source
from appliance.engine.tensorrt import TensorRtEngine, key_of
from appliance.errors import AnonBoxError, BadConfig, DeviceLost
from appliance.types import Mode

BATCH = 4
WORTH = 0.97
"""What is more complicated must take at most this share of the time."""

TIMINGS = "timing.cache"

Say = Callable[[str], None]


class Bench:
    """Builds candidates into a folder and measures them on this device. say : told what is going on"""

    def __init__(self, options: EngineOptions, key: Key, library: Library, say: Say) -> None:
        self.options, self.key, self.library, self._say = options, key, library, say
        self.folder = options.cache or Path()
        self.kernel: tuple[str, str] | None = None
        self.measured: list[dict[str, Any]] = []
        card = json.loads((options.model.parent / "card.json").read_text("utf-8"))
        base = card["files"][f"{plans.family(options.model)}.onnx"]
        self._reference = reference.load(options.model.parent, str(base["sha256"]))

    def attempt(self, order: Order) -> Plan | None:
        """Build, compare, time; None when it cannot be built, does not run or does not see what it must. All of it is noted."""
        name = f"{order.source.precision}, batch {order.batch}, frame read by the {order.preprocess}"
        self._say(f"building {name}")
        note: dict[str, Any] = {"what": name}
        self.measured.append(note)
        try:
            plan = self._build(order)
            note["build_s"] = round(plan.build_s, 1)
            self._say(f"measuring {name}")
            return self._measured(plan, note)
        except (BadConfig, DeviceLost) as error:
            note["verdict"] = f"failed: {error}"
            self._say(f"{name}: {error}")
            return None

    def with_graph(self, plan: Plan) -> Plan:
        """The same plan, launched as a CUDA graph if that is faster."""
        note: dict[str, Any] = {"what": f"{plan.precision}, batch {plan.batch}, as a CUDA graph"}
        self.measured.append(note)
        try:
            graphed = self._measured(replace(plan, uses_graph=True), note)
        except DeviceLost as error:
            note["verdict"] = f"failed: {error}"
            return plan
        return graphed if graphed and graphed.ms <= WORTH * plan.ms else plan

    def _build(self, order: Order) -> Plan:
        cache = self.folder / TIMINGS
        start = time.monotonic()
        content, timings = build_plan(self.library, order, cache.read_bytes() if cache.exists() else b"")
        seconds = time.monotonic() - start
        if timings:
            plans.save(self.folder, TIMINGS, timings)
        file = f"{self.key.digest}-{order.source.precision.lower()}-{order.preprocess}-{order.batch}.plan"
        return Plan(file, plans.save(self.folder, file, content), order.source.precision, order.preprocess, order.batch, build_s=seconds)

    def _measured(self, plan: Plan, note: dict[str, Any]) -> Plan | None:
        engine = TensorRtEngine(replace(self.options, slots=2 * plan.batch), Choice(self.key, plan, kernel=self.kernel))
        try:
            agreement = reference.compare(_masks(engine, self._reference, plan.batch), self._reference)
            ms = engine.time_ms()
        finally:
            engine.close()
        note.update(ms=round(ms, 3), agreement=str(agreement), verdict="agrees" if agreement.holds else "does not agree")
        self._say(f"{note['what']}: {ms:.2f} ms a picture, {agreement}")
        return replace(plan, ms=ms) if agreement.holds else None


def _masks(engine: TensorRtEngine, expected: reference.Reference, batch: int) -> list[Any]:
    """The engine's masks of the reference frames. A plan for a batch takes them together: its slots 0 .. batch - 1 are one launch."""
    masks = []
    frames = expected.frames()
    for start in range(0, len(frames), batch):
        shown = frames[start : start + batch]
        for slot, frame in zip(engine.slots, shown, strict=False):
            slot.pixels[...] = frame.pixels
        engine.run(engine.slots[0])
        masks += [slot.score >= expected.threshold for slot in engine.slots[: len(shown)]]
    return masks


def choose(options: EngineOptions, say: Say, *, force: bool = False) -> Choice:
    """The choice for this device: the one on record if it still fits, else a new one, which is then on record.

    options : model and cache; slots and threads are not used
    Raises BadConfig when something is missing or nothing can be built, DeviceLost when the GPU fails.
    """
    if options.cache is None:
        raise BadConfig("folders.state", "TensorRT needs a folder for its plans")
    plans.prepare_folder(options.cache)
    library, model = open_library(), plans.family(options.model)
    cuda = Cuda()
    try:
        key = key_of(library, cuda, options)
    finally:
        cuda.close()
    known = None if force else plans.find(options.cache, key, model)
    if known:
        return known
    say(f"building engines for {key.device} with {key.library}; this takes minutes, once")
    sources = plans.sources(options.model, library.is_strongly_typed, options.precision)
    choice = _measure(Bench(options, key, library, say), sources)
    plans.write(options.cache, choice, model)
    _tidy(options.cache, choice)
    say(choice.why)
    return choice


def _measure(bench: Bench, sources: list[Source]) -> Choice:
    found = {source.precision: plan for source in sources if (plan := bench.attempt(Order(source)))}
    if not found:
        tried = "; ".join(f"{note['what']}: {note['verdict']}" for note in bench.measured)
        raise BadConfig("engine", f"no engine could be built that agrees with the reference: {tried}")
    precision, single = min(found.items(), key=lambda item: item[1].ms)
    source = next(source for source in sources if source.precision == precision)
    single = _with_kernel(bench, source, single)
    group = bench.attempt(Order(source, single.preprocess, BATCH))
    single = bench.with_graph(single)
    group = bench.with_graph(group) if group else None
    keeps_group = group is not None and group.ms <= WORTH * single.ms
    return Choice(
        bench.key,
        single,
        group if keeps_group else None,
        bench.kernel if single.preprocess == "kernel" else None,
        _why(found, single, group, keeps_group),
        tuple(bench.measured),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        time.time(),
    )


def _with_kernel(bench: Bench, source: Source, single: Plan) -> Plan:
    """The plan that reads the frame with our own kernel, if that is faster."""
    try:
        bench.kernel = compile_kernel(bench.folder, bench.key.capability)
    except BadConfig as error:
        bench.measured.append({"what": "the preprocess kernel", "verdict": f"not tried: {error.problem}"})
        return single
    other = bench.attempt(Order(source, "kernel"))
    return other if other and other.ms <= WORTH * single.ms else single


def _why(found: dict[Precision, Plan], single: Plan, group: Plan | None, keeps_group: bool) -> str:
    times = ", ".join(f"{precision} {plan.ms:.2f} ms" for precision, plan in sorted(found.items()))
    lone = "" if len(found) > 1 else " (no other agreed with the reference)"
    batch = "" if group is None else f"; {BATCH} at once {group.ms:.2f} ms each, {'used' if keeps_group else 'not used'}"
    how = f"frame read by the {single.preprocess}, {'as a CUDA graph' if single.uses_graph else 'without a CUDA graph'}"
    return f"{single.precision} at {single.ms:.2f} ms a picture: {times}{lone}; {how}{batch}"


def _tidy(folder: Path, choice: Choice) -> None:
    """Remove this key's plans that were not chosen."""
    kept = {plan.file for plan in (choice.single, choice.group) if plan}
    for path in folder.glob(f"{choice.key.digest}-*.plan"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def describe(mode: Mode, folder: Path, precision: str = "auto") -> dict[str, Any]:
    """What `anonbox engine info` prints: the library, the device, the files to build from, what was chosen and why; or why not."""
    model = load_model(mode)
    facts: dict[str, Any] = {"mode": mode, "folder": str(folder)}
    try:
        library = open_library()
        facts["library"] = f"{library.name} {library.version}, {'strongly' if library.is_strongly_typed else 'weakly'} typed"
        facts["sources"] = {s.precision: s.path.name for s in plans.sources(model.path, library.is_strongly_typed, precision)}
        cuda = Cuda()
        try:
            facts["device"] = f"{cuda.name}, compute capability {'.'.join(map(str, cuda.capability))}"
            key = key_of(library, cuda, EngineOptions(model.path, model.sha256, cache=folder, precision=precision))
        finally:
            cuda.close()
        choice = plans.find(folder, key, plans.family(model.path))
        facts["choice"] = asdict(choice) if choice else None
    except AnonBoxError as error:
        facts["problem"] = str(error)
    return facts


def main(arguments: list[str] | None = None) -> int:
    """Progress and the outcome go to standard output, a JSON object a line: {"progress"}, then {"done"}, {"bad_config"} or {"down"}."""
    parser = argparse.ArgumentParser(
        prog="appliance.engine.build", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mode", choices=["mask", "boxes"], default="mask", help="which model (default mask)")
    parser.add_argument("--precision", choices=["auto", "int8", "float"], default="auto", help="what may be chosen from (default auto)")
    parser.add_argument("--folder", type=Path, required=True, help="where plans are kept; only its owner may write there")
    parser.add_argument("--force", action="store_true", help="build anew even if a plan fits")
    args = parser.parse_args(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)

    def put(**line: Any) -> None:
        print(json.dumps(line), flush=True)

    try:
        model = load_model(args.mode)
        options = EngineOptions(model.path, model.sha256, cache=args.folder, precision=args.precision)
        choice = choose(options, lambda text: put(progress=text), force=args.force)
    except BadConfig as error:
        put(bad_config=[error.key, error.problem])
        return 78
    except AnonBoxError as error:
        put(down=str(error))
        return 69
    put(done=choice.why)
    return 0


if __name__ == "__main__":
    sys.exit(main())
