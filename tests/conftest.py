"""What of these tests this machine can run, said before they run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from gpus import missing


def pytest_report_header(config: pytest.Config) -> list[str]:
    rtx = "the shipped ONNX files are built" if find_spec("tensorrt_rtx") else "absent, the shipped ONNX files are not built"
    return [f"gpu: {missing() or 'there is one, its tests run'}", f"TensorRT for RTX: {rtx}"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: the daemon syncs at every step, and a disk would make the tests slow."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="anonbox-", dir=memory))
    yield folder
    shutil.rmtree(folder)
