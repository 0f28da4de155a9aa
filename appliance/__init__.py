"""AnonBox: removes text overlays and every other trace of a patient from pictures dropped into a folder."""

import sys

__version__ = "0.1.0"

# importing OpenVINO would write an id below the home folder and send Google Analytics an event (openvino_telemetry; it asks nobody, and
# has no setting). Without that package OpenVINO takes its own stub; here, because nothing of this program is imported before.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
