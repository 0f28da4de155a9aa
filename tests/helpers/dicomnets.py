"""A box that speaks DICOM with this machine alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from appliance.config import Config, parse


def configured(box: Path, **dicom: object) -> Config:
    """Port 0 is a free one here, which in a configuration means that nothing is received."""
    (box / "in").mkdir(parents=True, exist_ok=True)
    section = {"port": 1, "host": "127.0.0.1", "callers": "STATION", "addresses": "127.0.0.1", **dicom}
    folders = {"box": str(box), "inbox": str(box / "in"), "out": str(box / "out"), "state": str(box / "state")}
    config = parse({"folders": folders, "intake": {"min_free_mib": 0}, "limits": {"file_mib": 1}, "dicom": section})
    return replace(config, dicom=replace(config.dicom, port=0))
