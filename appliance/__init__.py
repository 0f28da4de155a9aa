"""AnonBox: removes text overlays and every other trace of a patient from pictures dropped into a folder."""

__version__ = "0.1.0"
