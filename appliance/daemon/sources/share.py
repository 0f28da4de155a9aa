"""Pictures from the hospital's share into the drop folder."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from appliance.config import Config
from appliance.daemon.journal import Journal
from appliance.daemon.share_worker import Carrier
from appliance.daemon.sources.drop_folder import LEFT_S, TOO_LARGE, Stay
from appliance.daemon.sources.settling import Stamp, Tracker
from appliance.daemon.sources.tree import TO_LEAVE, UNTAKEABLE, Entry, Held, Inbox, Left, NotNow, natural, user_name
from appliance.daemon.store import Box
from appliance.system import files
from appliance.system.faults import ours

FETCHED = "network"
"""The folder of the drop folder that fetched pictures come into."""


class Fetcher(Carrier):
    """Moves pictures from the share into the drop folder: a whole copy first, then the original goes, then the copy gets its name.

    The copy waits in work/.share/ with a note of its source beside it, so that after a crash it is known whether the original went.
    """

    folder = "in"

    def __init__(self, config: Config, box: Box, journal: Journal, monotonic: Callable[[], float]) -> None:
        super().__init__(config, box, journal, monotonic)
        self._inbox = Inbox(self._point)
        self._seen: Tracker[Entry] = Tracker()
        self._stays: dict[Entry, Stay] = {}
        room = box.work / ".share"
        self._note, self._part, self._whole = room / "source.json", room / "copy.part", room / "copy"
        files.make_folder(room, 0o700)

    def _round(self, root: int) -> None:
        with suppress(Left):  # the sweep meets it again
            self._finish(root)
        found, now = self._inbox.sweep(), self._monotonic()
        self._alive()
        self._seen.observe(found.files, now)
        self._stays = {entry: stay for entry, stay in self._stays.items() if stay.stamp == found.files.get(entry) and now < stay.until}
        still = self._seen.still(now, self.config.intake.settle_s)
        for entry in sorted(still.keys() - self._stays.keys(), key=natural):
            if self._ended.is_set() or self._is_short():
                break
            self._try(root, entry, still[entry].stamp)
            self._alive()
        self.left = found.left + Counter(stay.reason for stay in self._stays.values())

    def _is_short(self) -> bool:
        with ours():
            return self._box.free_bytes() < self.config.intake.min_free_mib << 20

    def _try(self, root: int, entry: Entry, stamp: Stamp) -> None:
        try:
            if stamp.size > self.config.limits.file_mib << 20:
                raise Left(TOO_LARGE)
            with self._inbox.hold(entry, stamp) as held:
                self._bring(held)
            self._finish(root)
        except NotNow:
            pass
        except Left as left:
            self._stays[entry] = Stay(str(left), stamp, self._monotonic() + LEFT_S)

    def _bring(self, held: Held) -> None:
        """A whole, durable copy in the room."""
        with ours():
            files.write_whole(self._note, json.dumps([*held.entry, *held.stamp]).encode())
        files.bring(held.file, self._part, self._alive)
        if not held.is_unchanged():
            raise NotNow
        with ours():
            self._part.rename(self._whole)
            files.fsync_folder(self._whole.parent)

    def _finish(self, root: int) -> None:
        """Carry the copy in the room to its end, in this run or after a crash. Raises Left when the original cannot be taken away."""
        if not self._note.exists():
            return
        with ours():
            folder, name, *stamp = json.loads(self._note.read_bytes())
        entry, before = Entry(folder, name), Stamp(*stamp)
        if self._whole.exists():
            try:
                self._remove(root, entry, before)
            except OSError as error:
                if error.errno not in TO_LEAVE:
                    raise
                with ours():  # with its copy the picture would come out twice
                    self._whole.unlink()
                    self._note.unlink()
                raise Left(UNTAKEABLE.format(user=user_name())) from error
            with ours():
                files.move(self._whole, self._place(entry), ".network.part")
        with ours():
            self._part.unlink(missing_ok=True)
            self._note.unlink()

    @staticmethod
    def _remove(root: int, entry: Entry, stamp: Stamp) -> None:
        """Take the original away unless it is gone or another took its place; that the share does not answer means neither."""
        path = "/".join(filter(None, entry))
        with suppress(FileNotFoundError, NotADirectoryError):
            if Stamp.of(os.stat(path, dir_fd=root, follow_symlinks=False)) == stamp:
                os.unlink(path, dir_fd=root)

    def _place(self, entry: Entry) -> Path:
        """A free name in the drop folder; its folder is the share's, because a folder is an examination."""
        folder = self._box.inbox.path
        for part in (FETCHED, *filter(None, entry.folder.split("/"))):
            folder /= files.safe_name(part)
            files.make_folder(folder, 0o700)
        path, number = folder / files.safe_name(entry.name), 2
        while path.exists():
            path, number = folder / f"{number}-{files.safe_name(entry.name)}", number + 1
        return path
