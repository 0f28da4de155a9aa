"""The watcher: lets inotify wake the daemon early. Events get lost and network shares send none, so nothing depends on it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from appliance.system.faults import describe

log = logging.getLogger(__name__)

MOST_FOLDERS = 1000
"""Folders watched at once; the kernel's watches are few, and the sweep sees the others."""

STEP_MS = 200
"""How long events are gathered, and how soon the thread sees that it should end."""

RETRY_S = 60.0


class Watcher:
    """Calls `wake` from a thread of its own when something happens in the watched folders.

    Each folder is watched by itself: told to watch a tree, the library follows symbolic links, and one to / would make it
    watch the whole disk.

    A single file name that is not valid UTF-8 makes the library raise WatchfilesRustInternalError when it reports it; inotify is
    then off until the retry a minute later, and the sweep finds the file all the same.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._folders: frozenset[Path] = frozenset()
        self._not_before = 0.0

    def follow(self, folders: frozenset[Path], now: float) -> None:
        """Watch these folders from now on; a thread that died is started again, at most once a minute. now : monotonic seconds"""
        died = self._thread is not None and not self._thread.is_alive()
        if folders == self._folders and not (died and now >= self._not_before):
            return
        self.close()
        self._folders, self._not_before = folders, now + RETRY_S
        self._stop = threading.Event()
        chosen = [folder for folder in sorted(folders) if _is_text(folder)][:MOST_FOLDERS]
        self._thread = threading.Thread(target=self._run, args=(chosen, self._stop), name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell the thread to end; it does within STEP_MS."""
        self._stop.set()
        self._folders = frozenset()

    def _run(self, folders: list[Path], stop: threading.Event) -> None:
        try:
            import watchfiles

            logging.getLogger("watchfiles").setLevel(logging.WARNING)  # below that it logs file names
            for _ in watchfiles.watch(
                *folders, watch_filter=None, debounce=STEP_MS, step=STEP_MS, stop_event=stop, debug=False, recursive=False
            ):
                self._wake()
        except (ImportError, OSError, RuntimeError) as error:
            log.warning("inotify does not help (%s); the drop folder is swept all the same", describe(error))


def _is_text(folder: Path) -> bool:
    """The library takes only names that are valid UTF-8."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        return False
    return True
