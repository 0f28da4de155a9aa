"""Each change of state as an entry of the systemd journal, with an id that monitoring can wait for: journalctl MESSAGE_ID=...

Written in the journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), because it takes one datagram; without a journal the log has it.
"""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

from appliance.status.snapshot import STATES, State

log = logging.getLogger(__name__)

JOURNAL = Path("/run/systemd/journal/socket")

IDS: Mapping[State, str] = {state: uuid.uuid5(uuid.NAMESPACE_URL, f"anonbox:state:{state}").hex for state in STATES}
"""State -> its MESSAGE_ID; stable, because it is made from the word."""

PRIORITIES: Mapping[State, int] = {"Needs attention": 3, "Waiting for space": 4, "Waiting for share": 4}
"""As syslog counts: 3 an error, 4 a warning; all others are 5, notice."""


def tell(state: State, detail: str, journal: Path = JOURNAL) -> None:
    """Say that the box is in this state from now on. detail : one sentence, holds no name"""
    text = f"{state}: {detail}" if detail else state
    fields = {
        "MESSAGE": text,
        "MESSAGE_ID": IDS[state],
        "PRIORITY": str(PRIORITIES.get(state, 5)),
        "SYSLOG_IDENTIFIER": "anonbox",
        "ANONBOX_STATE": state,
    }
    entry = "".join(f"{name}={value}\n" for name, value in fields.items() if "\n" not in value)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        try:
            line.connect(str(journal))
            line.send(entry.encode())
        except OSError:
            log.info("%s", text)
