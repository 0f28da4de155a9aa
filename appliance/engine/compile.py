"""One ONNX file to one TensorRT plan, and the preprocess kernel to a cubin.

Works with every TensorRT of engine.bridge. With TensorRT for RTX it needs no GPU (`target`); its plans then run on that kind of card.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.engine import plans
from appliance.engine.bridge import Library
from appliance.engine.plans import Preprocess, Source
from appliance.errors import BadConfig, DeviceLost

WORKSPACE = 2**30
"""Bytes a tactic may use while it is tried: an 8 GB board shares its memory with everything else."""

KERNELS = Path(__file__).with_name("planes.cu")
NVCC = ("nvcc", "/usr/local/cuda/bin/nvcc")
"""JetPack does not put CUDA on the PATH."""

MOST_SAID = 400  # characters of a parser's message; it goes on for pages


@dataclass(frozen=True)
class Order:
    """What to build. target : a member of RTX's ComputeCapability, "" = the GPU that is here; detailed : let the builder say what each
    layer became"""

    source: Source
    preprocess: Preprocess = "graph"
    batch: int = 1
    target: str = ""
    detailed: bool = False


def build_plan(library: Library, order: Order, timings: bytes = b"") -> tuple[bytes, bytes]:
    """A plan, and the timing cache that makes the next build shorter.

    Raises BadConfig with the parser's message when the file is not taken, DeviceLost with the builder's when it cannot be built.
    """
    trt, logger = library.module, library.logger
    logger.errors.clear()
    builder = trt.Builder(logger)
    network = builder.create_network(library.network_flags())
    if network is None:
        raise DeviceLost("create_network", _last(logger.errors))
    _parse(trt, logger, network, order.source)
    feed = network.get_input(0)
    feed.shape = (order.batch, *tuple(feed.shape)[1:])
    if order.preprocess == "kernel":
        feed_planes(network, feed)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    for flag in library.precision_flags(order.source.precision):
        config.set_flag(flag)
    if order.detailed:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    library.aim(config, order.target)
    cache = _timing_cache(config, timings) if library.has_timing_cache else None
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise DeviceLost("build_serialized_network", _last(logger.errors))
    return bytes(plan), bytes(cache.serialize()) if cache is not None else b""


def _parse(trt: Any, logger: Any, network: Any, source: Source) -> None:
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(source.path.read_bytes()):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)] or [_last(logger.errors)]
        raise BadConfig("weights", f"TensorRT's parser refuses {source.path.name}: {' '.join('; '.join(errors).split())[:MOST_SAID]}")


def _last(errors: list[str]) -> str:
    return errors[-1].strip() if errors else "TensorRT gave no reason"


def _timing_cache(config: Any, timings: bytes) -> Any:
    """The cache given, or an empty one when it is another version's or another device's."""
    for content in dict.fromkeys((timings, b"")):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return config.get_timing_cache()
    return None


def feed_planes(network: Any, feed: Any) -> None:
    """Put an input `planes` (batch, 3, height, width) where the network has turned `pixels` into planes, and drop what is before it;
    planes.cu fills it. The type is the one the network has there."""
    uses: dict[str, list[tuple[Any, int]]] = {}
    for layer in (network.get_layer(index) for index in range(network.num_layers)):
        for place in range(layer.num_inputs):
            tensor = layer.get_input(place)
            if tensor is not None:
                uses.setdefault(tensor.name, []).append((layer, place))
    tensor, first = feed, uses[feed.name]
    while {layer.type.name for layer, _ in uses[tensor.name]} <= {"CAST", "IDENTITY", "SHUFFLE"}:
        tensor = uses[tensor.name][0][0].get_output(0)
    batch, height, width, channels = tuple(feed.shape)
    planes = network.add_input("planes", tensor.dtype, (batch, channels, height, width))
    if planes is None:
        raise DeviceLost("add_input", "planes")
    for layer, place in (*uses[tensor.name], *first):
        layer.set_input(place, planes)
    network.remove_tensor(feed)


def convolution_types(report: str) -> dict[str, str]:
    """What each convolution reads, by the builder's layer report (logger.layers): its name -> "Int8", "Half" or "Float"."""
    pattern = re.compile(r"Name: (\S+), LayerType: (?:correlation|CaskConvolution), Inputs: \[.*?Datatype: (\w+)")
    return {match[1]: match[2] for match in map(pattern.match, report.splitlines()) if match}


def compile_kernel(folder: Path, capability: tuple[int, int]) -> tuple[str, str]:
    """planes.cu as a cubin in the folder, for this GPU; its name and digest. Raises BadConfig when there is no compiler."""
    nvcc = next(filter(None, map(shutil.which, NVCC)), None)
    if nvcc is None:
        raise BadConfig("engine", f"no CUDA compiler: {' and '.join(NVCC)} are missing")
    name = f"planes-sm{capability[0]}{capability[1]}.cubin"
    target = folder / f".{name}.part"
    command = [nvcc, "--cubin", "-O3", f"-arch=sm_{capability[0]}{capability[1]}", "-o", str(target), str(KERNELS)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise BadConfig("engine", f"nvcc cannot compile {KERNELS.name}: {' '.join(done.stderr.split())}")
        return name, plans.save(folder, name, target.read_bytes())
    finally:
        target.unlink(missing_ok=True)
