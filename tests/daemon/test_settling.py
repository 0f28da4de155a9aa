from __future__ import annotations

from appliance.daemon.sources.settling import Stamp, Tracker

A = Stamp(10, 1, 1)


def test_stands_still_only_after_the_time_without_change() -> None:
    tracker: Tracker[str] = Tracker()
    tracker.observe({"a": A}, now=0)
    assert tracker.still(1.9, 2) == {}
    assert set(tracker.still(2, 2)) == {"a"}


def test_every_change_starts_anew() -> None:
    for other in (A._replace(size=11), A._replace(mtime_ns=2), A._replace(inode=2)):
        tracker: Tracker[str] = Tracker()
        tracker.observe({"a": A}, now=0)
        tracker.observe({"a": other}, now=2)
        assert tracker.still(3, 2) == {}
        assert tracker.still(4, 2)["a"].since == 2


def test_what_left_is_forgotten() -> None:
    tracker: Tracker[str] = Tracker()
    tracker.observe({"a": A}, now=0)
    tracker.observe({}, now=1)
    assert len(tracker) == 0
    tracker.observe({"a": A}, now=2)
    assert tracker.still(3, 2) == {}


def test_says_when_the_next_is_due() -> None:
    tracker: Tracker[str] = Tracker()
    assert tracker.next_due(0, 2) is None
    tracker.observe({"a": A}, now=0)
    tracker.observe({"a": A, "b": A}, now=1.5)
    assert tracker.next_due(1.5, 2) == 2
    assert tracker.next_due(2, 2) == 3.5
    tracker.drop("b")
    assert tracker.next_due(2, 2) is None
    assert len(tracker) == 1
