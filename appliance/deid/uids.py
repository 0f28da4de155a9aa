"""New UIDs, and how far dates move: what one secret makes of an examination, the same for each of its files."""

from __future__ import annotations

import hashlib
import hmac

WELL_KNOWN = "1.2.840.10008."
"""The standard's own root: SOP classes, transfer syntaxes, coding schemes; they say nothing of an examination."""

FEWEST_DAYS, MOST_DAYS = 366, 3653
"""Dates move back by between one and ten years."""


def new_uid(secret: bytes, uid: str) -> str:
    """2.25.<128 bits> (PS3.5 B.2) by HMAC-SHA-256, so that references between files still meet."""
    return f"2.25.{int.from_bytes(_keyed(secret, 'uid', uid)[:16], 'big')}"


def days_back(secret: bytes, number: str) -> int:
    """How many days the dates of this examination move back; with a secret for the whole box still another for each examination."""
    return FEWEST_DAYS + int.from_bytes(_keyed(secret, "days", number)[:8], "big") % (MOST_DAYS - FEWEST_DAYS + 1)


def _keyed(secret: bytes, purpose: str, value: str) -> bytes:
    return hmac.new(secret, f"{purpose}:{value}".encode(), hashlib.sha256).digest()
