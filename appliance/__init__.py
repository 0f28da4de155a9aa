"""AnonBox: removes text overlays and every other trace of a patient from pictures dropped into a folder."""

import sys

__version__ = "0.2.0"

# OpenVINO's Python package reports every import of it to Google Analytics, unless this package cannot be found
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
