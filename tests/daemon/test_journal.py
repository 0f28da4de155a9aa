from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.daemon.journal import Journal, Number
from appliance.errors import BadConfig, BadFile
from appliance.system.clock import Mark


@pytest.fixture
def path(home: Path) -> Path:
    return home / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal(path)
    yield opened
    opened.close()


def test_number_as_text_and_back() -> None:
    number = Number(123, 1)
    assert (str(number), number.id) == ("E000123/0001", "E000123-0001")
    assert Number.parse(str(number)) == Number.parse(number.id) == number
    assert Number.parse("E1234567-12345") == Number(1234567, 12345)
    for text in ("E123-0001", "E000123-0001.jpg", "x", "E000123-\u0661\u0661\u0661\u0661"):
        assert Number.parse(text) is None


def test_numbers_go_on_within_an_examination(journal: Journal) -> None:
    numbers = [journal.claim(key, age=age, idle_s=100) for key, age in ((b"a", 0), (b"b", 1), (b"a", 99), (b"a", 198))]
    assert numbers == [Number(1, 1), Number(2, 1), Number(1, 2), Number(1, 3)]


def test_a_folder_untouched_for_long_starts_a_new_examination(journal: Journal) -> None:
    assert journal.claim(b"a", age=0, idle_s=100) == Number(1, 1)
    assert journal.claim(b"a", age=100, idle_s=100) == Number(2, 1)
    assert journal.claim(b"a", age=101, idle_s=1000) == Number(2, 2)
    journal.close_examinations()
    assert journal.claim(b"a", age=102, idle_s=1000) == Number(3, 1)


def test_a_forgotten_claim_leaves_no_gap(journal: Journal) -> None:
    journal.forget(journal.claim(b"a", 0, 100))
    assert journal.claim(b"b", 0, 100) == Number(1, 1)
    journal.forget(journal.claim(b"b", 0, 100))
    assert journal.claim(b"b", 0, 100) == Number(1, 2)


def test_states_go_one_way(journal: Journal) -> None:
    number = journal.claim(b"a", 0, 100)
    assert journal.unsettled() == [(number, "claimed")]
    journal.kept(number, age=1)
    assert journal.state(number) == "claimed"
    journal.published(number, at=5)
    journal.forget(number)
    journal.refused(number, BadFile("damaged", "no"), at=6)
    assert journal.unsettled() == [(number, "published")]
    journal.kept(number, age=10)
    assert journal.unsettled() == []
    assert journal.kept_since(9, limit=5) == []
    assert journal.kept_since(10, limit=5) == [number]
    journal.finished(number)
    assert journal.state(number) == "finished"
    assert journal.state(Number(9, 9)) is None


def test_counts(journal: Journal) -> None:
    numbers = [journal.claim(b"a", 0, 100) for _ in range(5)]
    for number, at in zip(numbers, (100, 990, 1050)):
        journal.published(number, at)
    journal.refused(numbers[3], BadFile("damaged", "broken"), at=20)
    journal.refused(numbers[4], BadFile("timeout", "too slow"), at=30)
    counts = journal.counts(now=1050, midnight=500)
    assert (counts.done_ever, counts.done_today, counts.last_minute, counts.refused_ever) == (3, 2, 2, 2)
    assert [(entry.number, entry.code, entry.at) for entry in journal.newest_refused(5)] == [
        ("E000001/0005", "timeout", 30),
        ("E000001/0004", "damaged", 20),
    ]
    assert journal.refusal(numbers[3]).reason == "broken"


def test_counts_agree_with_the_rows_whichever_lane_counted(path: Path, journal: Journal) -> None:
    def carry(_: int) -> None:
        number = journal.claim(b"a", 0.0, 60.0)
        if number.picture % 4:
            journal.published(number, 1.0)
            journal.published(number, 2.0)  # a step that is repeated
            journal.kept(number, 3.0)
        else:
            journal.refused(number, BadFile("damaged", ""), 1.0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(carry, range(80)))
    journal.adopt([Number(9, 1), Number(9, 2)], "finished", 4.0)
    assert (journal.counts(5.0, 0.0).done_ever, journal.counts(5.0, 0.0).refused_ever) == (62, 20)
    assert Journal(path).counts(5.0, 0.0) == journal.counts(5.0, 0.0)


def test_is_all_there_after_reopening(path: Path) -> None:
    first = Journal(path)
    assert first.is_new
    number = first.claim(b"a", 0, 100)
    first.write_mark(Mark("boot", 1, 2, 3))
    first.close()
    second = Journal(path)
    assert not second.is_new and not second.lost
    assert second.unsettled() == [(number, "claimed")]
    assert second.last_mark() == Mark("boot", 1, 2, 3)
    second.close()


def test_is_the_owners_only_and_synced(path: Path, journal: Journal) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert journal._rows("PRAGMA journal_mode") == [("wal",)]
    assert journal._rows("PRAGMA synchronous") == [(2,)]


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_journal_is_moved_aside(path: Path, content: bytes) -> None:
    for _ in range(2):
        path.write_bytes(content)
        journal = Journal(path)
        assert journal.lost and journal.is_new
        journal.close()
    assert path.with_name("journal.sqlite.broken-2").read_bytes() == content


def test_a_newer_journal_is_refused(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(BadConfig, match="version 99"):
        Journal(path)


def test_numbers_go_on_above_what_is_on_the_disk(journal: Journal) -> None:
    journal.begin_above(41, age=0)
    journal.adopt([Number(41, 7), Number(12, 1)], "kept", age=0)
    assert journal.kept_since(0, limit=5) == [Number(12, 1), Number(41, 7)]
    assert journal.claim(b"a", 0, 100) == Number(42, 1)


def test_a_failed_transaction_leaves_nothing_open(journal: Journal) -> None:
    with pytest.raises(sqlite3.Error):
        journal.write_mark(Mark("boot", 1, 2, object()))  # type: ignore[arg-type]
    assert journal.claim(b"a", 0, 100) == Number(1, 1)
