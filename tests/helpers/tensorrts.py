"""Stand-ins for TensorRT 8.6, 10.3, 10.13, 11 and TensorRT for RTX: each has the attributes of its version and no others.

From the release tags' python bindings, as gathered in jetson.md 2.1 and 2.2. A touch of an absent one is an AttributeError, so a test
that passes on all of them has touched none. Networks are not computed: `compute` turns frames into scores. All memory is real host
memory, so what is written to an address can be read there.
"""

from __future__ import annotations

import ctypes
import enum
import json
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from cudas import DEVICE

VERSIONS = ("8.6.2.3", "10.3.0.30", "10.13.3.9", "11.1.0.1")
SIZE = (64, 64)
Compute = Callable[[np.ndarray], np.ndarray]

ALWAYS = ["TF32", "GPU_FALLBACK", "REFIT", "SPARSE_WEIGHTS", "VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME", "DIRECT_IO"]
PRECISIONS = ["FP16", "INT8", "BF16", "FP8", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"]
CREATION = {
    8: {"EXPLICIT_BATCH": 0},
    10: {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1, "PREFER_JIT_PYTHON_PLUGINS": 2, "PREFER_AOT_PYTHON_PLUGINS": 3},
    11: {"STRONGLY_TYPED": 0, "PREFER_JIT_PYTHON_PLUGINS": 1, "PREFER_AOT_PYTHON_PLUGINS": 2},
    1: {"STRONGLY_TYPED": 0},
}

DataType = enum.Enum("DataType", ["FLOAT", "HALF", "INT8", "INT32", "BOOL", "UINT8"])
TensorIOMode = enum.Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
LayerType = enum.Enum("LayerType", ["CONVOLUTION", "CAST", "SHUFFLE", "ELEMENTWISE", "QUANTIZE"])
TYPES = {"UINT8": np.uint8, "FLOAT": np.float32, "HALF": np.float16}


def brightest(pixels: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) -> (n, h / 4, w / 4): the brightest byte of each 4 x 4 pixels."""
    count, height, width, _ = pixels.shape
    return pixels.reshape(count, height // 4, 4, width // 4, 4, 3).max(axis=(2, 4, 5))


def at(address: int, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """The memory at an address, seen as an array."""
    dtype = np.dtype(TYPES[kind])
    count = int(np.prod(shape))
    return np.frombuffer((ctypes.c_char * (count * dtype.itemsize)).from_address(address), dtype).reshape(shape)


class Tensor:
    def __init__(self, name: str, dtype: DataType, shape: tuple[int, ...]) -> None:
        self.name, self.dtype, self.shape = name, dtype, shape


class Layer:
    def __init__(self, name: str, kind: LayerType, source: Tensor, output: Tensor) -> None:
        self.name, self.type = name, kind
        self.num_inputs = self.num_outputs = 1
        self._input, self._output = source, output

    def get_input(self, index: int) -> Tensor:
        return self._input

    def set_input(self, index: int, tensor: Tensor) -> None:
        self._input = tensor

    def get_output(self, index: int) -> Tensor:
        return self._output


class Fake:
    """One version. module : what `import tensorrt` gives; log : the calls that matter, in order; fail : names of calls that say no"""

    def __init__(
        self, version: str, name: str = "tensorrt", compute: Compute = brightest, size: tuple[int, int] = SIZE, geometry: bool = False
    ) -> None:
        self.version, self.compute, self.size, self.geometry = version, compute, size, geometry
        self.release = tuple(int(part) for part in version.split(".")[:2])
        self.major = self.release[0]
        self.log: list[tuple[object, ...]] = []
        self.fail: set[str] = set()
        fake = self
        weak = self.major in (8, 10)

        class ILogger:
            Severity = enum.Enum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"])

            def __init__(self) -> None:
                return

        def complain(logger: ILogger, message: str) -> None:
            logger.log(ILogger.Severity.ERROR, message)

        class Network:
            def __init__(self, flags: int) -> None:
                self.flags = flags
                self._inputs: list[Tensor] = []
                self.layers: list[Layer] = []

            @property
            def num_inputs(self) -> int:
                return len(self._inputs)

            @property
            def num_layers(self) -> int:
                return len(self.layers)

            def get_input(self, index: int) -> Tensor:
                return self._inputs[index]

            def get_layer(self, index: int) -> Layer:
                return self.layers[index]

            def add_input(self, name: str, dtype: DataType, shape: tuple[int, ...]) -> Tensor:
                tensor = Tensor(name, dtype, tuple(shape))
                self._inputs.append(tensor)
                return tensor

            def remove_tensor(self, tensor: Tensor) -> None:
                assert all(layer.get_input(0) is not tensor for layer in self.layers), "a tensor in use may not be removed"
                self._inputs.remove(tensor)

        class OnnxParser:
            def __init__(self, network: Network, logger: ILogger) -> None:
                self._network, self.num_errors = network, 0

            def parse(self, content: bytes) -> bool:
                if fake.release < (10, 0) and not self._network.flags & 1:
                    self.num_errors = 1
                    self._error = "Network must have explicit batch"
                    return False
                if content.startswith(b"bad"):
                    self.num_errors = 1
                    self._error = "Assertion failed: shiftIsAllZeros(zeroPoint): Non-zero zero point is not supported"
                    return False
                half = DataType.HALF if b"fp16" in content else DataType.FLOAT
                height, width = fake.size
                pixels = self._network.add_input("pixels", DataType.UINT8, (1, height, width, 3))
                tensors = [pixels, *(Tensor(name, half, ()) for name in ("cast", "planes0", "scaled", "features"))]
                kinds = [LayerType.CAST, LayerType.SHUFFLE, LayerType.ELEMENTWISE, LayerType.CONVOLUTION]
                self._network.layers = [Layer(*step) for step in zip("abcd", kinds, tensors, tensors[1:])]
                return True

            def get_error(self, index: int) -> SimpleNamespace:
                return SimpleNamespace(desc=lambda: self._error)

        class TimingCache:
            def __init__(self, content: bytes) -> None:
                self.content = content

            def serialize(self) -> bytes:
                return fake.version.encode()

        class Config:
            def __init__(self) -> None:
                self.builder_optimization_level = 3
                self.profiling_verbosity = None
                self._flags: list[object] = []
                self._cache: TimingCache | None = None

            def set_memory_pool_limit(self, pool: object, size: int) -> None:
                fake.log.append(("workspace", size))

            def set_flag(self, flag: object) -> None:
                self._flags.append(flag)
                fake.log.append(("flag", flag.name))

            def create_timing_cache(self, content: bytes) -> TimingCache:
                return TimingCache(content)

            def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
                if cache.content not in (b"", fake.version.encode()):
                    return False
                self._cache = cache
                return True

            def get_timing_cache(self) -> TimingCache | None:
                return self._cache

        class Builder:
            def __init__(self, logger: ILogger) -> None:
                self._logger = logger

            def create_network(self, flags: int = 0) -> Network | None:
                fake.log.append(("create_network", flags))
                known = sum(1 << value for value in CREATION[fake.major].values())
                return None if flags & ~known else Network(flags)

            def create_builder_config(self) -> Config:
                return Config()

            def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
                fake.log.append(("build", network.get_input(0).name, tuple(network.get_input(0).shape)))
                strong = CREATION[fake.major].get("STRONGLY_TYPED")
                is_strong = fake.major not in (8, 10) or (strong is not None and bool(network.flags & 1 << strong))
                if is_strong and any(flag.name in PRECISIONS for flag in config._flags):
                    complain(self._logger, "Precision flags are forbidden in a strongly typed network")
                    return None
                if "build" in fake.fail:
                    complain(self._logger, "Could not find any implementation for node Conv")
                    return None
                feed = network.get_input(0)
                batch = feed.shape[0]
                score = [batch, fake.size[0] // 4, fake.size[1] // 4]
                ports = [[feed.name, "INPUT", feed.dtype.name, list(feed.shape)], ["score", "OUTPUT", "UINT8", score]]
                ports += [["geometry", "OUTPUT", "FLOAT", [*score, 5]]] if fake.geometry else []
                return json.dumps({"version": fake.version, "ports": ports}).encode()

        if weak:  # present, and not for us
            Builder.platform_has_fast_fp16 = Builder.platform_has_fast_int8 = True
            Config.int8_calibrator = None
        if self.major == 8:
            Builder.max_batch_size, Builder.build_engine, Config.max_workspace_size = 1, None, 0

        class Context:
            def __init__(self, ports: list[list[object]]) -> None:
                self._ports = {name: (mode, kind, tuple(shape)) for name, mode, kind, shape in ports}
                self._addresses: dict[str, int] = {}

            def set_tensor_address(self, name: str, address: int) -> bool:
                if name not in self._ports or address % 256 or "set_tensor_address" in fake.fail:
                    return False
                self._addresses[name] = address
                return True

            def execute_async_v3(self, stream_handle: int) -> bool:
                fake.log.append(("execute", self._addresses.get("pixels", self._addresses.get("planes"))))
                if "execute" in fake.fail or set(self._addresses) != set(self._ports):
                    return False
                DEVICE.queue(stream_handle, self._work(dict(self._addresses)))
                return True

            def _work(self, addresses: dict[str, int]) -> Callable[[], None]:
                def work() -> None:
                    feed = "planes" if "planes" in self._ports else "pixels"
                    _, kind, shape = self._ports[feed]
                    frames = at(addresses[feed], shape, kind)
                    if feed == "planes":
                        frames = frames.transpose(0, 2, 3, 1).astype(np.uint8)
                    _, _, cells = self._ports["score"]
                    at(addresses["score"], cells, "UINT8")[...] = fake.compute(np.ascontiguousarray(frames))
                    if "geometry" in addresses:
                        at(addresses["geometry"], self._ports["geometry"][2], "FLOAT")[...] = 7.5

                return work

        class Engine:
            def __init__(self, ports: list[list[object]]) -> None:
                self._ports = ports
                self.num_io_tensors = len(ports)
                if weak:
                    self.device_memory_size = 1 << 20
                    self.has_implicit_batch_dimension = False
                if fake.release >= (10, 13) or fake.major in (11, 1):
                    self.device_memory_size_v2 = 1 << 20
                if fake.major == 8:
                    self.num_bindings = len(ports)

            def _port(self, name: str) -> list[object]:
                return next(port for port in self._ports if port[0] == name)

            def get_tensor_name(self, index: int) -> str:
                return self._ports[index][0]

            def get_tensor_mode(self, name: str) -> TensorIOMode:
                return TensorIOMode[self._port(name)[1]]

            def get_tensor_dtype(self, name: str) -> DataType:
                return DataType[self._port(name)[2]]

            def get_tensor_shape(self, name: str) -> tuple[int, ...]:
                return tuple(self._port(name)[3])

            def create_execution_context(self, *strategy: object) -> Context | None:
                if fake.major == 8:
                    assert not strategy, "8.6 takes no arguments"
                return None if "create_execution_context" in fake.fail else Context(self._ports)

        class Runtime:
            def __init__(self, logger: ILogger) -> None:
                return

            def deserialize_cuda_engine(self, content: bytes) -> Engine | None:
                try:
                    value = json.loads(content)
                except ValueError:
                    return None
                return Engine(value["ports"]) if value["version"] == fake.version else None

        self.classes = {  # by the real names of those that only calls give
            "Builder": Builder,
            "IBuilderConfig": Config,
            "INetworkDefinition": Network,
            "OnnxParser": OnnxParser,
            "ITimingCache": TimingCache,
            "Runtime": Runtime,
            "ICudaEngine": Engine,
            "IExecutionContext": Context,
            "ILayer": Layer,
        }
        self.module = SimpleNamespace(
            __name__=name,
            __version__=version,
            ILogger=ILogger,
            Builder=Builder,
            OnnxParser=OnnxParser,
            Runtime=Runtime,
            NetworkDefinitionCreationFlag=enum.IntEnum("NetworkDefinitionCreationFlag", CREATION[self.major]),
            BuilderFlag=enum.Enum("BuilderFlag", ALWAYS + (PRECISIONS if weak else [])),
            TensorIOMode=TensorIOMode,
            DataType=DataType,
            LayerType=LayerType,
            MemoryPoolType=enum.Enum("MemoryPoolType", ["WORKSPACE", "DLA_MANAGED_SRAM"]),
            ProfilingVerbosity=enum.Enum("ProfilingVerbosity", ["LAYER_NAMES_ONLY", "NONE", "DETAILED"]),
        )
