"""Every change of state is an entry in the journal that monitoring can wait for."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from appliance.status import journald
from appliance.status.snapshot import STATES


def test_an_entry_has_id_priority_and_words(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        journal.settimeout(5)
        journald.tell("Needs attention", "The disk failed.", tmp_path / "socket")
        assert journal.recv(4096).decode().splitlines() == [
            "MESSAGE=Needs attention: The disk failed.",
            "MESSAGE_ID=" + journald.IDS["Needs attention"],
            "PRIORITY=3",
            "SYSLOG_IDENTIFIER=anonbox",
            "ANONBOX_STATE=Needs attention",
        ]


def test_ids_are_distinct_and_never_change() -> None:
    assert len(set(journald.IDS.values())) == len(STATES)
    assert journald.IDS["Needs attention"] == "1c320d1c7291585280b9734ef3aaaf8a", "monitoring waits for this one"


def test_without_a_journal_the_log_has_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    journald.tell("Ready", "", tmp_path / "none")
    assert caplog.messages == ["Ready"]
