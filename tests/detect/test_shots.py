"""Masks over a film's frames, on small grids drawn here."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from appliance.detect.shots import Shots

SIZE, CELL = (64, 96), (16, 16)
DARK, BRIGHT = np.full(SIZE, 20, np.uint8), np.full(SIZE, 200, np.uint8)


def shots(lumas: list[np.ndarray], step: Fraction = Fraction(1, 4)) -> Shots:
    """At four frames a second half a second is two frames."""
    made = Shots(SIZE, CELL)
    for luma in lumas:
        made.see(luma)
    made.timed(step)
    return made


def cells(*places: tuple[int, int]) -> np.ndarray:
    found = np.zeros((4, 6), np.bool_)
    for place in places:
        found[place] = True
    return found


def test_a_find_is_covered_through_its_shot_and_half_a_second_beyond() -> None:
    made = shots([DARK] * 10 + [BRIGHT] * 10)
    made.add(8, cells((1, 1)))
    assert [bool(made.mask_at(index).cells[1, 1]) for index in range(20)] == [True] * 11 + [False] * 9
    made.add(18, cells((2, 2)))
    assert [bool(made.mask_at(index).cells[2, 2]) for index in range(20)] == [False] * 10 + [True] * 10
    assert [int(mask.cells.sum()) for mask in made.unions()] == [1, 1]


def test_a_page_of_text_is_covered_whole_and_only_as_long_as_it_lasts() -> None:
    made = shots([BRIGHT] * 4 + [DARK] * 8)
    made.add(0, cells(*((row, column) for row in range(4) for column in range(3))))
    assert made.pages == 1
    assert all(made.mask_at(index).cells.all() for index in range(4))
    assert not any(made.mask_at(index).cells.any() for index in range(4, 12))


def test_a_long_shot_is_taken_in_parts() -> None:
    made = shots([DARK] * 100)
    made.add(0, cells((0, 0)))
    assert sum(bool(made.mask_at(index).cells.any()) for index in range(100)) == 40


def test_finds_add_up_and_nothing_is_no_find() -> None:
    made = shots([DARK] * 6)
    made.add(2, cells())
    assert made.is_empty and not made.mask_at(2).cells.any()
    made.add(2, cells((0, 0)))
    assert int(made.mask_at(2).cells.sum()) == 1
    made.add(3, cells((0, 1)))
    assert int(made.mask_at(2).cells.sum()) == 2
