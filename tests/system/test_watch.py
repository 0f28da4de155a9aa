from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.system.watch import RETRY_S, Watcher


class Scripted:
    """Stands in for watchfiles.watch: hands out what a test puts in, until told to stop."""

    def __init__(self) -> None:
        self.watched: list[tuple[Path, ...]] = []
        self.started = threading.Event()
        self.error: Exception | None = None

    def watch(self, *folders: Path, stop_event: threading.Event, recursive: bool, **_: Any) -> Iterator[set[Any]]:
        assert not recursive
        self.watched.append(folders)
        self.started.set()
        if self.error is not None:
            raise self.error
        yield set()
        stop_event.wait(10)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    made = Scripted()
    monkeypatch.setattr("watchfiles.watch", made.watch)
    return made


def join(watcher: Watcher) -> None:
    watcher.close()
    assert watcher._thread is not None
    watcher._thread.join(10)
    assert not watcher._thread.is_alive()


def test_an_event_wakes(scripted: Scripted, home: Path) -> None:
    woken = threading.Event()
    watcher = Watcher(woken.set)
    watcher.follow(frozenset([home, home / os.fsdecode(b"\xff")]), now=0)
    assert woken.wait(10)
    assert scripted.watched == [(home,)]
    join(watcher)


def test_goes_with_the_folders(scripted: Scripted, home: Path) -> None:
    watcher = Watcher(lambda: None)
    for folders in ([home], [home], [home, home / "a"]):
        scripted.started.clear()
        changed = frozenset(folders) != watcher._folders
        watcher.follow(frozenset(folders), now=0)
        assert not changed or scripted.started.wait(10)
    assert scripted.watched == [(home,), (home, home / "a")]
    join(watcher)


def test_a_failure_is_said_and_tried_again_later(scripted: Scripted, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    scripted.error = OSError(28, "no more watches", "/in/Mustermann")
    watcher = Watcher(lambda: None)
    for now, times in ((0, 1), (1, 1), (RETRY_S, 2)):
        watcher.follow(frozenset([home]), now)
        assert watcher._thread is not None
        watcher._thread.join(10)
        assert len(scripted.watched) == times
    assert "inotify does not help (OSError: No space left on device)" in caplog.text
    assert "Mustermann" not in caplog.text


def test_the_real_one_sees_a_file(home: Path) -> None:
    woken = threading.Event()
    watcher = Watcher(woken.set)
    watcher.follow(frozenset([home]), now=0)
    for attempt in range(100):
        (home / f"{attempt}").touch()
        if woken.wait(0.1):
            break
    assert woken.is_set()
    join(watcher)
