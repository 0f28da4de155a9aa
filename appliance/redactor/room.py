"""What one picture may take of the redactor that it shares with others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance.errors import MustRunAlone

MOST_TILES = 8
"""Detection passes of one look at a file, in company: a screen takes one, a photograph of 24 Mpx four to six."""

WAIT_S = 0.25


class Share:
    """Of a file that runs alone: all there is."""

    def memory(self, need: int) -> None:
        """Reserve so many bytes until the file is done; may wait. Raises MustRunAlone."""

    def tiles(self, count: int) -> None:
        """Say how many detection passes a look at the file takes. Raises MustRunAlone."""

    def alone(self) -> None:
        """Say that the file is of a kind that never runs beside others. Raises MustRunAlone."""


class Room:
    """The memory that the lanes of one redactor share, bytes.

    A file that would take more than half of it runs alone; another waits until there is room. Files reserve once, so none waits for one
    that waits.
    """

    def __init__(self, total: int) -> None:
        self._total, self._taken = total, 0
        self._change = threading.Condition()

    @contextmanager
    def share(self, beat: Callable[[], None] = lambda: None) -> Iterator[Share]:
        """For one file. beat : called again and again while it waits"""
        place = _Place(self, beat)
        try:
            yield place
        finally:
            with self._change:
                self._taken -= place.held
                self._change.notify_all()

    def take(self, need: int, beat: Callable[[], None]) -> None:
        if need > self._total // 2:
            raise MustRunAlone(f"it needs {need >> 20} MiB")
        with self._change:
            while self._taken + need > self._total:
                self._change.wait(WAIT_S)
                beat()
            self._taken += need


class _Place(Share):
    def __init__(self, room: Room, beat: Callable[[], None]) -> None:
        self._room, self._beat = room, beat
        self.held = 0

    def memory(self, need: int) -> None:
        self._room.take(need, self._beat)
        self.held += need

    def tiles(self, count: int) -> None:
        if count > MOST_TILES:
            raise MustRunAlone(f"it takes {count} detection passes a look")

    def alone(self) -> None:
        raise MustRunAlone("it is a film")
