"""Searches the finished bytes for what the source held."""

from __future__ import annotations

from appliance.deid.values import Cleaned


def check(cleaned: Cleaned, finished: bytes) -> None:
    """Raises BadFile("not-faithful") when a string or date of the source is in the finished file."""
    raise NotImplementedError
