"""What the loop is made of: parts that look at the world at each turn. Sources, which give pictures, and sinks, which carry results off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from appliance.config import Config
from appliance.daemon.journal import Journal
from appliance.daemon.store import Box
from appliance.status.snapshot import Share, Stick


@dataclass(frozen=True)
class Places:
    """Where systemd's units put things on a box that was installed.

    usb : a folder a stick, mounted there; results : what anonbox-results.service says became of a request; shares : in/ and out/
    """

    usb: Path = Path("/run/anonbox/usb")
    results: Path = Path("/run/anonbox/results")
    shares: Path = Path("/run/anonbox/shares")

    @classmethod
    def below(cls, run: Path) -> Places:
        return cls(run / "usb", run / "results", run / "shares")


@dataclass
class Host:
    """What every part is given. config : replaced when it is read again; monotonic : seconds; wake : has the loop turn, from any thread"""

    config: Config
    box: Box
    journal: Journal
    monotonic: Callable[[], float]
    wake: Callable[[], None]
    places: Places = field(default_factory=Places)

    def is_short(self) -> bool:
        """Whether nothing new is to be taken for want of room. Raises OSError as Box.free_bytes."""
        return self.box.free_bytes() < self.config.intake.min_free_mib << 20

    @property
    def largest(self) -> int:
        """Bytes of the largest file that is taken."""
        return self.config.limits.file_mib << 20


@dataclass(frozen=True)
class PartView:
    """What a part says of itself at one moment.

    fault, clash : why a person has to do something, a sentence: that nothing can be read, or that a result cannot be delivered
    is_busy : whether pictures are there or on their way; waiting : those seen and not taken yet
    left : reason -> number of things that stay where they are
    sticks, shares : for the page
    """

    fault: str = ""
    clash: str = ""
    is_busy: bool = False
    waiting: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    sticks: tuple[Stick, ...] = ()
    shares: tuple[Share, ...] = ()


class Part(Protocol):
    """All times are monotonic seconds. No method waits for a disk that is not the box's own."""

    def look(self, now: float) -> None:
        """Notice what changed; called at every turn. An error of the box's own disk may be raised, and is tried again."""

    def view(self, now: float) -> PartView: ...

    def due_at(self) -> float:
        """When to look again if nothing happens."""

    def close(self) -> None:
        """Let go of everything; harmless when repeated."""


def together(views: list[PartView]) -> PartView:
    """The views of all parts as one: the first fault and clash, and the sums."""
    return PartView(
        next((view.fault for view in views if view.fault), ""),
        next((view.clash for view in views if view.clash), ""),
        any(view.is_busy for view in views),
        sum(view.waiting for view in views),
        sum((Counter(view.left) for view in views), Counter()),
        tuple(stick for view in views for stick in view.sticks),
        tuple(share for view in views for share in view.shares),
    )
