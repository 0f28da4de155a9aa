"""The values and errors that travel through the house."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from appliance.errors import BadConfig, BadFile, DeviceLost
from appliance.types import EngineInfo, Mask, Report, grid


def mask(size: tuple[int, int] = (50, 70), cell: tuple[int, int] = (16, 8), seed: int = 0) -> Mask:
    """A mask with random cells."""
    return Mask(np.random.default_rng(seed).random(grid(size, cell)) < 0.3, cell, size)


def same(one: Mask, other: Mask) -> bool:
    alike = (one.cell, one.size, one.cells.dtype) == (other.cell, other.size, other.cells.dtype)
    return alike and np.array_equal(one.cells, other.cells)


def test_the_grid_covers_the_picture() -> None:
    assert grid((48, 64), (16, 8)) == (3, 8)
    assert grid((49, 65), (16, 8)) == (4, 9)
    assert grid((1, 1), (16, 16)) == (1, 1)


def test_a_mask_off_its_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has \(3, 9\) cells.*has \(4, 9\)"):
        Mask(np.zeros((3, 9), bool), (16, 8), (50, 70))


@pytest.mark.parametrize("size", [(50, 70), (48, 64), (1, 1), (7, 1000)])
def test_a_mask_survives_json(size: tuple[int, int]) -> None:
    before = mask(size)
    after = Mask.from_json(json.loads(json.dumps(before.to_json())))
    assert same(before, after)


def test_a_cut_off_mask_is_refused() -> None:
    value = {**mask().to_json(), "size": [500, 700]}
    with pytest.raises(ValueError, match="mask holds 5 bytes, 32 x 88 cells need 352"):
        Mask.from_json(value)


def test_to_pixels_paints_whole_cells_and_stops_at_the_edge() -> None:
    cells = np.zeros((4, 9), bool)
    cells[0, 1] = cells[3, 8] = True
    pixels = Mask(cells, (16, 8), (50, 70)).to_pixels()
    assert pixels.shape == (50, 70)
    assert pixels[0:16, 8:16].all()
    assert pixels[48:50, 64:70].all()
    assert pixels.sum() == 16 * 8 + 2 * 6


def test_union_holds_the_cells_of_both() -> None:
    one, other = mask(seed=1), mask(seed=2)
    both = one.union(other)
    assert np.array_equal(both.cells, one.cells | other.cells)
    assert same(both, other.union(one))
    assert same(one, mask(seed=1)), "a union changes neither"


@pytest.mark.parametrize("other", [mask(size=(49, 70)), mask(cell=(16, 16))])
def test_union_refuses_another_grid(other: Mask) -> None:
    with pytest.raises(ValueError, match="masks differ in grid"):
        mask().union(other)


def test_share() -> None:
    cells = np.array([[True, False], [False, False]])
    assert Mask(cells, (8, 8), (16, 16)).share == 0.25


def test_a_report_survives_json() -> None:
    before = Report("tiff", (mask(seed=1), mask((16, 16), seed=2)), 2, ("ICC profile dropped",), {"read": 1.5, "write": 2.0})
    after = Report.from_json(json.loads(json.dumps(before.to_json())))
    assert all(same(one, other) for one, other in zip(before.masks, after.masks, strict=True))
    assert (after.format, after.looks, after.notes, after.stages_ms) == ("tiff", 2, ("ICC profile dropped",), {"read": 1.5, "write": 2.0})
    assert list(after.stages_ms) == ["read", "write"]


def test_a_report_weighs_its_pages_by_area() -> None:
    whole, none = np.ones((1, 1), bool), np.zeros((3, 1), bool)
    assert Report("tiff", (Mask(whole, (8, 8), (8, 8)), Mask(none, (8, 8), (24, 8))), 1).removed_share == 0.25
    assert Report("png", (), 1).removed_share == 0.0


def test_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        EngineInfo("openvino", "INT8", "3fa94c0d12be", "a chip").name = "other"  # type: ignore[misc]


def test_errors_carry_what_happened() -> None:
    bad = pickle.loads(pickle.dumps(BadFile("damaged", "the picture ends too early")))
    assert (bad.code, bad.reason, str(bad)) == ("damaged", "the picture ends too early", "the picture ends too early")
    lost = DeviceLost("infer", "code 700")
    assert (lost.call, lost.detail, str(lost)) == ("infer", "code 700", "infer failed: code 700")
    assert str(BadConfig("page.port", "is 99999")) == "configuration: page.port: is 99999"


def test_grown_takes_the_eight_neighbours_and_stays_inside() -> None:
    cells = np.zeros((4, 5), bool)
    cells[0, 0] = cells[2, 3] = True
    expected = np.zeros((4, 5), bool)
    expected[0:2, 0:2] = expected[1:4, 2:5] = True
    assert np.array_equal(Mask(cells, (8, 8), (32, 40)).grown().cells, expected)
