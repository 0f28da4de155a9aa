"""How long each stage of one picture took, and a sign of life after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stages:
    """Adds up milliseconds by stage name, in the order of first use. One a picture; not shared between threads.

    beat : called after every stage
    """

    def __init__(self, beat: Callable[[], None] = lambda: None) -> None:
        self.ms: dict[str, float] = {}
        self._beat = beat

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - start) * 1e3
        self._beat()
