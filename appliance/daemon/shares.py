"""Folders on other machines that the box mounts (anonbox shares): pictures are fetched from one, results are delivered to the other.

Each has a thread of its own, the only one that touches it: a server that hangs holds up neither the pictures in work nor the watchdog.
Nothing is read or written where nothing is mounted. What is fetched comes into the drop folder, what is delivered leaves out/, and at
every moment a picture is whole at one side at least. That a file is gone from a share never means that anything is to be deleted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from appliance.config import Config
from appliance.daemon.journal import Journal
from appliance.daemon.share_worker import Carrier
from appliance.daemon.sinks.share import Deliverer
from appliance.daemon.sources.share import Fetcher
from appliance.daemon.store import Box
from appliance.status.snapshot import Share


class Shares:
    """All shares of one running box."""

    def __init__(self, config: Config, box: Box, journal: Journal, monotonic: Callable[[], float]) -> None:
        wanted: dict[type[Carrier], str] = {Fetcher: config.shares.inbox, Deliverer: config.shares.out}
        self.carriers = [kind(config, box, journal, monotonic) for kind, source in wanted.items() if source]

    def start(self) -> None:
        for carrier in self.carriers:
            carrier.start()

    def views(self, now: float) -> tuple[Share, ...]:
        return tuple(carrier.view(now) for carrier in self.carriers)

    def adopt(self, config: Config) -> None:
        """Take over what may change at run time."""
        for carrier in self.carriers:
            carrier.config = config

    @property
    def clash(self) -> str:
        """Why a person has to look at a share; "" when nobody has to."""
        return next((carrier.clash for carrier in self.carriers if carrier.clash), "")

    @property
    def left(self) -> Counter[str]:
        """reason -> number of things that stay on the share."""
        return sum((carrier.left for carrier in self.carriers), Counter())

    def close(self) -> None:
        for carrier in self.carriers:
            carrier.end()
        for carrier in self.carriers:
            if carrier.is_alive():
                carrier.join(2.0)
