"""What of these tests this machine can run, said before they run."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from gpus import missing


def pytest_report_header(config: pytest.Config) -> list[str]:
    rtx = "the shipped ONNX files are built" if find_spec("tensorrt_rtx") else "absent, the shipped ONNX files are not built"
    return [f"gpu: {missing() or 'there is one, its tests run'}", f"TensorRT for RTX: {rtx}"]
