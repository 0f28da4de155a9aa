"""The stand-ins have no name that the real libraries lack, where those are here to be compared."""

from __future__ import annotations

import warnings
from importlib import import_module

import pytest
from cudas import Driver
from tensorrts import Fake


def public(thing: object) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def test_tensorrt() -> None:
    """TensorRT for RTX has the interface of 11."""
    real = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has no wheels for this processor")
    fake = Fake("11.1.0.1")
    assert {name for name in public(fake.module) if not hasattr(real, name)} == set()
    for name, stand_in in fake.classes.items():
        assert {member for member in public(stand_in) if not hasattr(getattr(real, name), member)} == set(), name
    for name in ("NetworkDefinitionCreationFlag", "TensorIOMode", "DataType", "MemoryPoolType", "ProfilingVerbosity", "LayerType"):
        members = {member.name for member in getattr(fake.module, name)}
        known = set(getattr(real, name).__members__) | {"PREFER_JIT_PYTHON_PLUGINS", "PREFER_AOT_PYTHON_PLUGINS"}  # not in RTX
        assert members <= known, name


def test_pycuda() -> None:
    """Needs its library, not a GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            real = import_module("pycuda.driver")
        except ImportError as error:
            pytest.skip(f"pycuda cannot be loaded: {error}")
    stand_in = Driver().module
    assert {name for name in public(stand_in) if not hasattr(real, name)} == set()
    for name in ("Device", "Context", "Stream", "Event", "event_flags", "host_alloc_flags", "device_attribute"):
        assert {member for member in public(getattr(stand_in, name)) if not hasattr(getattr(real, name), member)} == set(), name
