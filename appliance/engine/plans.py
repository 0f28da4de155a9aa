"""Built engines on disk: what a plan was built for, where it lies, and why it was chosen.

A plan runs only with the very TensorRT that built it, on that kind of GPU; and deserialising one is running code. So a plan is kept
under a key of all that it depends on, in a folder that only its owner may write, with its digest beside it; what does not match in
every respect is not there. `appliance.engine.build` writes, `engine.tensorrt` reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from appliance.engine.bridge import Precision
from appliance.errors import BadConfig

Preprocess = Literal["graph", "kernel"]
"""What reads the mapped frame: the network's own first layer, or engine/planes.cu in front of a network whose input are planes."""

REVISION = 1
"""Raise when plans are built in another way: older ones are then built anew."""

SUFFIXES: dict[bool, dict[Precision, str]] = {
    False: {"INT8": "-int8", "FP16": "", "FP32": ""},  # FP32 with Q/DQ, or plain, and builder flags
    True: {"INT8": "-int8-fp16", "FP16": "-fp16", "FP32": ""},  # the file's types are the engine's
}
"""Strongly typed? -> precision -> what the ONNX file's name has behind the model's."""


@dataclass(frozen=True)
class Source:
    """An ONNX file that a plan may be built from."""

    path: Path
    precision: Precision
    sha256: str


@dataclass(frozen=True)
class Key:
    """All that a plan depends on.

    library : "tensorrt 10.3.0"; device : as CUDA names it; capability : (8, 7)
    sources : precision -> SHA-256 of its ONNX file
    """

    library: str
    device: str
    capability: tuple[int, int]
    sources: Mapping[str, str]
    revision: int = REVISION

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Plan:
    """One built engine.

    file, sha256 : its name in the folder, and its digest
    precision, preprocess : see there; batch : pictures it takes at once
    uses_graph : launched as a CUDA graph, because that measured faster
    ms : a picture, measured on this device; build_s : how long it took to build
    """

    file: str
    sha256: str
    precision: Precision
    preprocess: Preprocess = "graph"
    batch: int = 1
    uses_graph: bool = False
    ms: float = 0.0
    build_s: float = 0.0


@dataclass(frozen=True)
class Choice:
    """What was chosen for this device, and why.

    single : the plan for one picture; group : the plan for several, where that was faster
    kernel : file and digest of the preprocess kernel's cubin, where a plan uses it
    why : one sentence; measured : every candidate with its times, agreement and verdict; peak_mib : of the building process
    """

    key: Key
    single: Plan
    group: Plan | None = None
    kernel: tuple[str, str] | None = None
    why: str = ""
    measured: tuple[Mapping[str, Any], ...] = ()
    peak_mib: int = 0
    built_at: float = 0.0


def family(model: Path) -> str:
    """The model's name, whichever of its files is given: "east-mask" of east-mask-int8.onnx."""
    return re.sub(r"(-u?int8)?(-fp16)?$", "", model.stem)


def sources(model: Path, is_strongly_typed: bool, wanted: str = "auto") -> list[Source]:
    """The ONNX files of this model for such a build, best first; each is the one its card names. Raises BadConfig.

    wanted : "int8" or "float" leave out the others
    A model without an FP16 file (in a strongly typed build) has FP32 instead.
    """
    try:
        card: dict[str, Any] = json.loads((model.parent / "card.json").read_text("utf-8"))["files"]
    except (OSError, ValueError, KeyError) as error:
        raise BadConfig("weights", f"{model.parent / 'card.json'} cannot be read: {error}") from error
    found: dict[str, Source] = {}
    for precision, suffix in SUFFIXES[is_strongly_typed].items():
        path = model.with_name(f"{family(model)}{suffix}.onnx")
        if path.name in card and path.name not in found:
            found[path.name] = Source(path, precision, _checked(path, str(card[path.name].get("sha256"))))
    has_fp16 = any(source.precision == "FP16" for source in found.values())
    fitting = [source for source in found.values() if source.precision != "FP32" or not has_fp16]
    chosen = [source for source in fitting if wanted == "auto" or (wanted == "int8") == (source.precision == "INT8")]
    if not chosen:
        raise BadConfig("engine.precision", f"is {wanted}, which {family(model)} does not come in")
    return chosen


def _checked(path: Path, expected: str) -> str:
    try:
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadConfig("weights", f"{path} is named in the card but cannot be read: {error.strerror}") from error
    if actual != expected:
        raise BadConfig("weights", f"{path} is not the file its card names; restore it with git checkout engines/weights")
    return actual


def prepare_folder(folder: Path) -> None:
    """Make the folder, for its owner alone. Raises BadConfig when somebody else could put a plan there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfig("folders.state", f"{folder} cannot be made: {error.strerror}") from error
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raises BadConfig unless only we or root may write there: a plan is code."""
    status = folder.stat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise BadConfig("folders.state", f"{folder} may be written by others, and plans are code; chown it to this user, chmod 700")


def find(folder: Path, key: Key, model: str) -> Choice | None:
    """The choice made for this key, whole and unchanged; None when there is none. Raises BadConfig when the folder is not safe.

    model : its family
    """
    if not folder.is_dir():
        return None
    check_folder(folder)
    try:
        choice = read(record_path(folder, key, model))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    files = [(plan.file, plan.sha256) for plan in (choice.single, choice.group) if plan] + ([choice.kernel] if choice.kernel else [])
    return choice if choice.key == key and all(_is_whole(folder / name, sha256) for name, sha256 in files) else None


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def load(folder: Path, name: str, sha256: str) -> bytes:
    """A file's bytes, checked once more as they are read: it is these that are run. Raises BadConfig."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise BadConfig("folders.state", f"{folder / name} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BadConfig("folders.state", f"{folder / name} was changed; run anonbox engine build")
    return content


def save(folder: Path, name: str, content: bytes) -> str:
    """Write a file in one step; its SHA-256."""
    temporary = folder / f".{name}.{os.getpid()}.part"
    try:
        temporary.write_bytes(content)
        os.replace(temporary, folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def write(folder: Path, choice: Choice, model: str) -> Path:
    path = record_path(folder, choice.key, model)
    save(folder, path.name, (json.dumps(asdict(choice), indent=1) + "\n").encode())
    return path


def read(path: Path) -> Choice:
    """Raises OSError, ValueError, KeyError, TypeError."""
    value = json.loads(path.read_text("utf-8"))
    key = value.pop("key")
    key["capability"] = tuple(key["capability"])
    single, group, kernel = Plan(**value.pop("single")), value.pop("group"), value.pop("kernel")
    measured = tuple(value.pop("measured"))
    return Choice(Key(**key), single, Plan(**group) if group else None, tuple(kernel) if kernel else None, measured=measured, **value)


def record_path(folder: Path, key: Key, model: str) -> Path:
    return folder / f"{model}-{key.digest}.json"


def records(folder: Path) -> list[Path]:
    """All records of the folder, newest first."""
    return sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
