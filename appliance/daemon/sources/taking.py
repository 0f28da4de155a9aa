"""The one way in which a file comes from another file system: note the source, copy, make durable, remove the source.

It happens in a room, a folder that holds nothing else. A kill at any moment leaves the file whole at one side at least, and the note tells
the next run whether the source is still to be removed, so that no picture comes out twice.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from appliance.daemon.sources.settling import Stamp
from appliance.daemon.sources.tree import TO_LEAVE, Entry, Held, NotNow
from appliance.system import files
from appliance.system.faults import ours

COPY, SOURCE = ".copy", ".source"


def copy_in(held: Held, room: Path, largest: int, beat: Callable[[], object] = lambda: None) -> Path:
    """A whole, durable copy in `room`, with a note of its source beside it; the rename of the copy is the moment of taking.

    largest : bytes; beat : called for each piece that was read
    Raises OSError when the source cannot be read or is larger (EFBIG), NotNow when it changed, BoxTrouble when the box cannot write.
    """
    if held.stamp.size > largest:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    with ours():
        files.write_whole(room / SOURCE, json.dumps([*held.entry, *held.stamp]).encode())
    files.bring(held.file, room / COPY, beat)
    if not held.is_unchanged():
        raise NotNow
    target = room / files.safe_name(held.entry.name)
    with ours():
        (room / COPY).rename(target)
        files.fsync_folder(room)
    return target


def source_of(room: Path) -> tuple[Entry, Stamp] | None:
    """Where the file in `room` was copied from, while that may still be there."""
    with suppress(FileNotFoundError):
        folder, name, *stamp = json.loads((room / SOURCE).read_bytes())
        return Entry(folder, name), Stamp(*stamp)
    return None


def remove_source(room: Path, remove: Callable[[Entry, Stamp], None]) -> bool:
    """Remove what the file in `room` was copied from; False: it may not be removed, and so was not taken.

    remove : removes the file if it still looks like this; NotNow: it is gone, or another took its place
    Raises what `remove` raises otherwise: then nobody knows yet, and it is called again.
    """
    source = source_of(room)
    if source is None:
        return True
    try:
        with suppress(NotNow):
            remove(*source)
    except OSError as error:
        if error.errno in TO_LEAVE:
            return False
        raise
    return True


def forget_source(room: Path) -> None:
    """The source is gone, and what is in `room` is known without it."""
    with ours():
        (room / SOURCE).unlink(missing_ok=True)
