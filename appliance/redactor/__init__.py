"""The redactor: the one process that parses pictures, and the daemon's end of the line to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.types import EngineInfo, Header, Report

Progress = Callable[[int, int], None]
"""Told (done, total) of a file's pages or frames; the same again means that work goes on. Called from the thread that calls redact."""


def ignore(done: int, total: int) -> None:
    """Nobody wants to know."""


class Redactor(Protocol):
    """What the daemon and `anonbox redact` know of the redactor; client.RedactorProcess is the real one."""

    @property
    def info(self) -> EngineInfo: ...

    @property
    def lanes(self) -> int:
        """How many pictures it works on at once: redact may be called from so many threads."""
        ...

    def redact(
        self, source: int, target: int, *, alone: bool = False, on_progress: Progress = ignore, header: Header | None = None
    ) -> Report:
        """Redact one file.

        source : file descriptor, open for reading at position 0, of a regular file
        target : file descriptor, open for reading and writing, of an empty file; holds the verified result on return and
            something worthless after any error
        alone : in a process that does nothing else meanwhile, so that a crash has one suspect and costs no other file; one at a time,
            beside those in company, after which it is behind
        header : who a DICOM file is from here on; without it none is taken
        on_progress : hears of every word from the redactor, and every few seconds while it works without one

        Raises BadFile when the file is to blame, MustRunAlone when that cannot be said or it would take more than its share: call
        again with alone=True. DeviceLost when the engine or the process failed (a new process has been or
        will be started; after a crash in company the file may be innocent: call again with alone=True). A crash or a time-out
        of a file that ran alone raises BadFile("crash" or "timeout"). RedactorDown: none can be started now, whatever the file.
        """
        ...

    def close(self) -> None: ...
