from __future__ import annotations

from appliance.system.clock import LONGEST_OFF_S, Age, Mark, boot_id

LAST = Mark(boot="one", monotonic=100, wall=1000, age=50)


def test_begins_at_nothing_and_counts_running_time() -> None:
    age = Age(None, "one", monotonic=100, wall=1000)
    assert age.rebooted
    assert (age.at(100), age.at(130)) == (0, 30)


def test_within_one_boot_only_the_monotonic_clock_counts() -> None:
    age = Age(LAST, "one", monotonic=160, wall=-5e9)
    assert not age.rebooted
    assert age.at(170) == 50 + 70


def test_a_wall_clock_that_jumped_back_over_a_reboot_adds_nothing() -> None:
    age = Age(LAST, "two", monotonic=5, wall=0)
    assert age.rebooted
    assert age.at(5) == 50


def test_time_switched_off_counts_a_day_at_most() -> None:
    assert Age(LAST, "two", 5, wall=1000 + 3600).at(5) == 50 + 3600
    assert Age(LAST, "two", 5, wall=1000 + 50 * 365 * 86400).at(5) == 50 + LONGEST_OFF_S


def test_unknown_boot_or_a_smaller_clock_counts_as_a_reboot() -> None:
    assert Age(LAST, "", 200, 1000).rebooted
    assert Age(LAST, "one", 99, 1000).rebooted


def test_is_continued_from_its_mark() -> None:
    age = Age(LAST, "one", monotonic=160, wall=2000)
    again = Age(age.mark(200, 3000), "one", monotonic=230, wall=0)
    assert again.at(230) == 50 + 130


def test_boot_id_is_stable() -> None:
    assert boot_id() == boot_id()
