"""The record of what was done lately: a list, an hour, and how far the work is."""

from __future__ import annotations

from appliance.daemon.record import NEWEST, Record
from appliance.status.silhouette import Silhouette
from appliance.status.snapshot import Done, Snapshot

CLOCK = 1_700_000_000.0
THIS_MINUTE = int(CLOCK // 60)


def done(number: int, took_ms: int = 100) -> Done:
    return Done(f"E000001/{number:04}", CLOCK, took_ms, 1080, 1920, 1, 0.01, Silhouette(1, 4, "80"))


def test_the_newest_come_first_and_the_oldest_go() -> None:
    record = Record()
    for number in range(NEWEST + 3):
        record.published(done(number), 0.0, CLOCK)
    assert [entry.number for entry in record.newest[:2]] == [f"E000001/{NEWEST + 2:04}", f"E000001/{NEWEST + 1:04}"]
    assert len(record.newest) == NEWEST


def test_an_hour_by_minutes() -> None:
    record = Record()
    for took_ms in (100, 900, 200):
        record.published(done(1, took_ms), 0.0, CLOCK - 120)
    record.refused(0.0, CLOCK)
    record.published(None, 0.0, CLOCK)
    hour = record.hour(CLOCK)
    assert hour.minute == THIS_MINUTE
    assert {len(row) for row in (hour.done, hour.refused, hour.median_ms, hour.slowest_ms)} == {60}
    assert hour.done[-3:] == (3, 0, 1) and hour.refused[-3:] == (0, 0, 1)
    assert hour.median_ms[-3:] == (200, None, None) and hour.slowest_ms[-3:] == (900, None, None)


def test_minutes_grow_old_and_a_clock_that_goes_back_forgets_the_future() -> None:
    record = Record()
    record.published(done(1), 0.0, CLOCK)
    assert sum(record.hour(CLOCK + 59 * 60).done) == 1
    assert sum(record.hour(CLOCK + 60 * 60).done) == 0
    record.published(done(1), 0.0, CLOCK)
    assert sum(record.hour(CLOCK - 86400).done) == 0


def test_a_restart_goes_on_where_the_last_run_ended() -> None:
    before = Record()
    before.published(done(1, 300), 0.0, CLOCK - 60)
    before.refused(0.0, CLOCK)
    after = Record(Snapshot("Stopped", newest=before.newest, hour=before.hour(CLOCK)))
    assert after.newest == before.newest
    assert after.hour(CLOCK) == before.hour(CLOCK)
    assert sum(after.hour(CLOCK + 58 * 60).done) == 1


def test_a_batch_lasts_from_idle_to_idle() -> None:
    record = Record()
    assert record.batch(0, 0.0) is None
    batch = record.batch(10, 1.0)
    assert batch and (batch.done, batch.total, batch.left_s) == (0, 10, None)
    for number in range(4):
        record.published(done(number), 2.0 + number, CLOCK)
    record.refused(6.0, CLOCK)
    batch = record.batch(25, 6.0)  # more were dropped meanwhile
    assert batch and (batch.done, batch.total, batch.left_s) == (5, 30, 25.0)
    assert record.batch(0, 60.0) is None
    batch = record.batch(3, 100.0)
    assert batch and (batch.done, batch.total) == (0, 3)


def test_time_left_follows_the_last_pictures() -> None:
    record = Record()
    record.batch(1000, 0.0)
    for number in range(100):
        record.published(done(number), number * 0.1, CLOCK)
    for number in range(100):
        record.published(done(number), 10.0 + number, CLOCK)
    batch = record.batch(50, 110.0)
    assert batch and batch.left_s is not None and 48 <= batch.left_s <= 52
