"""Results from out/ to the hospital's share."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from appliance.daemon.journal import Number
from appliance.daemon.parts import Host
from appliance.daemon.share_worker import ShareEnd, ShareWorker
from appliance.daemon.store import NEUTRAL_NS
from appliance.system import files
from appliance.system.faults import ours

CLASH = "A result on the network share differs from the box's of the same number; move it away there."


class ShareSink(ShareEnd["Delivery"]):
    """The share that results are delivered to."""

    def __init__(self, host: Host) -> None:
        super().__init__(Delivery(host) if host.config.shares.out else None)


class Delivery(ShareWorker):
    """Moves results from out/ to the share. A result leaves the box when the share has all of it, and never replaces another one there."""

    folder = "out"

    def _round(self, root: int) -> None:
        clash = ""
        for number, path in self._results():
            if self._ended.is_set():
                return
            if not self._deliver(root, number, path):
                clash = CLASH
            self._alive()
        self.clash = clash

    def _results(self) -> Iterator[tuple[Number, Path]]:
        """What is published, in order; a result that the journal does not know yet is still the lane's."""
        with ours():
            for folder in sorted(self._box.out.glob("E*")):
                for path in sorted(folder.glob("[0-9]*.*")):
                    number = Number.parse(f"{folder.name}/{path.stem}")
                    if number is not None and self._journal.state(number) in ("published", "kept", "finished"):
                        yield number, path

    def _deliver(self, root: int, number: Number, path: Path) -> bool:
        """Whether the share has this result now; False when another is in its place."""
        with suppress(FileExistsError):
            os.mkdir(number.folder, 0o755, dir_fd=root)
        folder = os.open(number.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        try:
            if not _exists(folder, path.name):
                part = f".{number.id}.part"
                self._write(folder, part, path)
                os.rename(part, path.name, src_dir_fd=folder, dst_dir_fd=folder)
                files.fsync_folder(".", parent=folder)
            self._alive()
            filecmp.clear_cache()  # it takes equal times, and ours are all neutral, for equal files
            if not filecmp.cmp(path, f"/proc/self/fd/{folder}/{path.name}", shallow=False):
                return False
        finally:
            os.close(folder)
        with ours():
            path.unlink()  # its folder stays: it shows that the number is taken
            files.fsync_folder(path.parent)
        return True

    def _write(self, folder: int, name: str, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o644, dir_fd=folder)
        try:
            with path.open("rb") as source:
                files.copy(source.fileno(), target, self._alive)
            os.utime(target, ns=(NEUTRAL_NS, NEUTRAL_NS))
            os.fsync(target)
        finally:
            os.close(target)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
