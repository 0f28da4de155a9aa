"""Whose fault an error is, and how to say it without naming a file."""

from __future__ import annotations

import errno
import os
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import DeviceLost, RedactorDown


class BoxTrouble(Exception):
    """The box's own disk or journal failed or is full: it is tried again, and the stick or share in hand is not to blame."""


@contextmanager
def ours() -> Iterator[None]:
    """What fails inside is the box's own: an OSError or sqlite3.Error becomes BoxTrouble."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise BoxTrouble(describe(error)) from error


def is_full(error: Exception) -> bool:
    """Whether it says that there is no space left."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)


def describe(error: BaseException) -> str:
    """An error without what could name a file: an OSError's text holds the path, another's may hold anything."""
    if isinstance(error, DeviceLost | RedactorDown):
        return str(error)
    kind = type(error).__name__
    if isinstance(error, OSError) and error.errno:
        return f"{kind}: {os.strerror(error.errno)}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{kind} at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else kind
