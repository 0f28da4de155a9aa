"""What can go wrong, by whose fault: the file's, the device's or the configuration's.

Messages name what, value, limit and what to do. They never hold a file name, a path from the drop folder or anything read from
a picture, because they are logged, journalled and shown on the page.
"""

from __future__ import annotations

from typing import Literal, get_args

BadFileCode = Literal["unsupported", "damaged", "incomplete", "too-large", "text-left", "not-faithful", "timeout", "crash", "unreadable"]
BAD_FILE_CODES: tuple[BadFileCode, ...] = get_args(BadFileCode)


class AnonBoxError(Exception):
    """Every error this program raises on purpose."""


class BadFile(AnonBoxError):
    """One input file cannot be released; it goes to quarantine and the work goes on.

    code : one of BAD_FILE_CODES, stable, for programs; "incomplete" means the file may still be growing
    reason : one plain sentence for people
    """

    def __init__(self, code: BadFileCode, reason: str) -> None:
        super().__init__(reason)
        self.code: BadFileCode = code
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadFile], tuple[BadFileCode, str]]:
        return BadFile, (self.code, self.reason)


class DeviceLost(AnonBoxError):
    """The engine, or the process that holds it, failed; the job is not to blame and may run again.

    call : the call that failed
    detail : its error code or message
    """

    def __init__(self, call: str, detail: str) -> None:
        super().__init__(f"{call} failed: {detail}")
        self.call = call
        self.detail = detail


class MustRunAlone(AnonBoxError):
    """This file is to be redacted in a process of its own: it would take more than its share, or failed beside others. Nothing is
    lost, and nothing is said of it yet."""


class BadConfig(AnonBoxError):
    """The configuration cannot be used; the program refuses to start (exit code 78, sysexits EX_CONFIG)."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"configuration: {key}: {problem}")
        self.key = key
        self.problem = problem


class RedactorDown(AnonBoxError):
    """No redactor can be started at present, whatever the file; jobs wait, uncounted, until one can."""


def why_not(error: AnonBoxError) -> str:
    """Say to people why the box does not start, and what to do, in a sentence or two."""
    if isinstance(error, BadConfig):
        return f"The configuration cannot be used: {error.key} {error.problem}. Correct it, then restart the box."
    return f"The box cannot start: {error}. Restart it; if that does not help, its log says more."
