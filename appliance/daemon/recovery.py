"""What the last run left behind: made whole at the start, so that a kill at any moment loses and doubles nothing."""

from __future__ import annotations

import logging

from appliance.daemon.journal import Journal, Number
from appliance.daemon.lane import Job
from appliance.daemon.store import Box

log = logging.getLogger(__name__)


def recover(box: Box, journal: Journal, age: float, now: float) -> list[Job]:
    """The jobs to go on with. May itself be killed and run again. age : the box's age, now : monotonic; seconds"""
    box.clear_targets()
    if journal.is_new and (highest := box.highest_exam()):
        journal.begin_above(highest, age)
        journal.adopt(box.kept(), "kept", age)
    rooms = box.rooms()
    for number, state in journal.unsettled():
        if number not in rooms:
            if state == "claimed":
                journal.forget(number)  # its file never left the drop folder
            else:
                journal.kept(number, age)  # somebody emptied work/; done/ is looked through when the retention is over
    jobs = [job for number in rooms if (job := _resume(number, box, journal, age, now))]
    if jobs:
        log.info("going on with %d pictures of the last run", len(jobs))
    return jobs


def _resume(number: Number, box: Box, journal: Journal, age: float, now: float) -> Job | None:
    box.clear_moving(number)
    taken = box.finish_take(number)
    state = journal.state(number)
    if state is None and taken:
        journal.adopt([number], "claimed", age)
        state = "claimed"
    job = Job(number, changed_at=now)
    if state == "published":
        job.stage = "published"
    elif state == "refused":
        job.refuse(journal.refusal(number))
    elif state == "claimed" and box.has_result(number):
        job.stage = "placed"  # a name in out/ is only given to what passed every check
    elif state != "claimed" or not taken:
        box.empty(number)
        journal.forget(number)
        return None
    return job
