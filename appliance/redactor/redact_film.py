"""A film, on one page: every frame is looked at once, half of them before and half after it was written; nothing else is believed."""

from __future__ import annotations

from appliance.detect.shots import Shots
from appliance.errors import BadFile
from appliance.formats import Limits
from appliance.formats.film import Film, compared, open_film
from appliance.formats.film.film import CELL
from appliance.redactor import Progress
from appliance.redactor.detector import Detector, Sight
from appliance.redactor.room import Share
from appliance.redactor.stages import Stages
from appliance.types import Cells, Mask, Report

QUALITIES = (18, 14, 10)
"""CRF of a film that is encoded, and of the next tries where it came out too unlike its source. One that shows more text keeps its CRF,
so that frames whose masks stay are what they were when they were looked at."""

MOST_WRITES = 3
"""After so many times that a film was encoded it is refused."""

PAGES = "a scene that is a page of text was made black whole"
COPIED = "no text was found: the film's packets are the source's"
ANEW = "the film was encoded anew, though no text was found: its packets cannot be taken as they are"


class _Work:
    """A film on its way. The first looks see its even frames, the gate the odd frames of what was written."""

    def __init__(self, film: Film, sight: Sight, progress: Progress) -> None:
        self.film, self.sight, self._progress = film, sight, progress
        self.shots = Shots(film.size, CELL)
        self.stages = Stages(lambda: progress(self._done, self._total))
        self.notes = [*film.notes]
        self._done, self._total, self._begun = 0, 3 * film.count, 0
        self._gates = 0

    def first_looks(self) -> None:
        for frame in self.film.frames():
            self.film.times.append(frame.time)
            self.shots.see(frame.planes[0])
            if not frame.index % 2:
                self.shots.add(frame.index, self.sight.look(frame, self.stages).cells)
            self._beat()
        self.film.count = len(self.film.times)
        self.shots.timed(self.film.step)

    def copy(self) -> bytes | None:
        """The film with its own packets, if no text is in it and they can be taken."""
        try:
            with self.stages("rewrite"):
                finished = self.film.copied(self._beat)
            self._pass(1)
            return finished if self._gate(finished, copied=True) else None
        except BadFile as error:
            if error.code != "not-faithful":
                raise
            return None

    def rewrite(self, crf: int) -> bytes | None:
        """The film with what was found black; None when the gate found more."""
        self._pass(1)
        with self.stages("rewrite"):
            finished = self.film.rewritten(self.shots.mask_at, crf, self._beat)
        return finished if self._gate(finished, copied=False) else None

    def _gate(self, finished: bytes, *, copied: bool) -> bool:
        """Whether the finished film may go out. Raises BadFile("not-faithful")."""
        self._pass(2)
        mask_at = self.shots.mask_at
        more: dict[int, Cells] = {}
        for frame in compared(self.film, finished, None if copied else mask_at):
            if frame.index % 2 or self.film.count == 1:
                seen = self.sight.look_again(frame, self.stages).cells & ~mask_at(frame.index).cells
                if seen.any():
                    more[frame.index] = seen
            self._beat()
        self._gates += 1
        for index, cells in more.items():
            grown = self._gates > 1 and not copied  # so that looking ends, see redact.GROW_FROM
            self.shots.add(index, Mask(cells, CELL, self.film.size).grown().cells if grown else cells)
        return not more

    def _pass(self, number: int) -> None:
        self._begun = number * self.film.count

    def _beat(self) -> None:
        """One frame is done; a pass that is made again tells no progress, only that work goes on."""
        self._begun += 1
        self._done = min(max(self._done, self._begun), self._total)
        self._progress(self._done, self._total)


def redact_film(data: bytes, kind: str, detector: Detector, limits: Limits, progress: Progress, share: Share) -> tuple[bytes, Report]:
    """See redact.redact. kind : what signatures.format_of says

    Raises BadFile, DeviceLost, MustRunAlone.
    """
    share.alone()
    film = open_film(data, kind, limits.max_pixels)
    with detector.sight() as sight:
        work = _Work(film, sight, progress)
        work.first_looks()
        finished = work.copy() if work.shots.is_empty else None
        if finished is not None:
            return finished, _report(work, 2, [COPIED])
        unlike, quality = None, 0
        for looks in range(2, 2 + MOST_WRITES):
            try:
                finished = work.rewrite(QUALITIES[quality])
            except BadFile as error:
                if error.code != "not-faithful":
                    raise
                unlike, quality = error, quality + 1
                continue
            if finished is not None:
                return finished, _report(work, looks, [ANEW] if work.shots.is_empty else [PAGES] if work.shots.pages else [])
            unlike = None
    raise unlike or BadFile("text-left", f"text was still seen after the film was written {MOST_WRITES} times")


def _report(work: _Work, looks: int, notes: list[str]) -> Report:
    return Report(work.film.format, tuple(work.shots.unions()), looks, (*work.notes, *notes), work.stages.ms)
