"""Where pictures come from. A new source is a class with the methods of `Source` and a line in loop.SOURCES."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the store and the lanes know files by what is in this package
    from appliance.daemon.lane import Job
    from appliance.daemon.parts import PartView


class Source(Protocol):
    """Something that gives pictures; made from a `parts.Host`. All times are monotonic seconds."""

    def look(self, now: float) -> None:
        """Notice what came and went; called at every turn, and never waits for a disk that is not the box's own."""

    def take(self, now: float, age: float) -> Job | None:
        """The next picture, in its room and with its number; None when none is ready. age : the box's age, seconds

        Raises OSError or sqlite3.Error when the box cannot take it; it is then still where it was, or known by the journal.
        """

    def view(self, now: float) -> PartView: ...

    def due_at(self) -> float:
        """When to look again if nothing happens."""

    def close(self) -> None:
        """Let go of everything; harmless when repeated."""
