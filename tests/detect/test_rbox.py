"""Rotated boxes: the geometry map means what engines/east.py says; merging and suppression are EAST's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from appliance.detect.rbox import EDGE, _overlap, decode, hot_map, locality_aware_nms
from appliance.errors import DeviceLost


def corners_of(cx: float, cy: float, width: float, height: float, angle: float) -> np.ndarray:
    """(4, 2), upper left first; along the text (cos a, -sin a), down it (sin a, cos a)."""
    along, down = np.array([math.cos(angle), -math.sin(angle)]), np.array([math.sin(angle), math.cos(angle)])
    middle, ends = np.array([cx, cy]), ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
    return np.array([middle + x * width * along + y * height * down for x, y in ends])


def maps_of(boxes: list[tuple[float, float, float, float, float]], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Score and geometry as a perfect network gives them."""
    score, geometry = np.zeros(shape, np.uint8), np.zeros((*shape, 5), np.float32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for cx, cy, width, height, angle in boxes:
        x, y = columns * 4 + 2 - cx, rows * 4 + 2 - cy
        along, down = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
        inside = (abs(along) <= width / 2) & (abs(down) <= height / 2)
        score[inside] = 250
        distances = np.stack([down + height / 2, width / 2 - along, height / 2 - down, along + width / 2, np.full(shape, angle)], axis=2)
        geometry[inside] = distances[inside]
    return score, geometry


@pytest.mark.parametrize("angle", [0.0, 0.2, -0.3, math.pi / 4, -math.pi / 4])
def test_round_trip(angle: float) -> None:
    box = (130.0, 90.0, 120.0, 26.0, angle)
    score, geometry = maps_of([box], (50, 70))
    rows = decode(score, geometry, 200)
    assert rows.shape == ((score > 0).sum(), 9) and rows.dtype == np.float32
    wider = corners_of(130, 90, 120 + 2 * EDGE, 26 + 2 * EDGE, angle).ravel()
    np.testing.assert_allclose(rows[:, :8], np.tile(wider, (len(rows), 1)), atol=1e-3)
    np.testing.assert_allclose(rows[:, 8], 250 / 255, rtol=1e-6)
    (merged,) = locality_aware_nms(rows)
    np.testing.assert_allclose(merged[:8], wider, atol=1e-2)
    assert merged[8] == pytest.approx(len(rows) * 250 / 255, rel=1e-5), "a merged score is a sum of votes"


def test_positive_angles_turn_counter_clockwise_on_the_screen() -> None:
    score, geometry = maps_of([(100, 100, 80, 20, 0.3)], (50, 50))
    row = decode(score, geometry, 200)[0]
    assert row[3] < row[1], "the upper right corner is higher on the screen than the upper left"


def test_threshold_and_nothing_found() -> None:
    score, geometry = maps_of([(100, 100, 80, 20, 0)], (50, 50))
    assert decode(score, geometry, 251).shape == (0, 9)
    assert locality_aware_nms(np.zeros((0, 9), np.float32)).shape == (0, 9)
    assert not hot_map(np.zeros((0, 9), np.float32), (50, 50)).any()
    assert len(decode(score, geometry, 0)) == 2500


def test_geometry_that_is_no_number_is_the_devices_fault() -> None:
    score, geometry = maps_of([(100, 100, 80, 20, 0)], (50, 50))
    geometry[25, 25, 2] = np.nan
    with pytest.raises(DeviceLost):
        decode(score, geometry, 200)


def test_wild_distances_stay_finite() -> None:
    score, geometry = maps_of([(100, 100, 80, 20, 0)], (50, 50))
    geometry[25, 25, :4] = 1e30
    rows = decode(score, geometry, 200)
    assert np.isfinite(rows).all() and abs(rows[:, :8]).max() < 1000
    assert hot_map(rows, (50, 50)).all()


def random_rows(seed: int, count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    boxes = rng.uniform((0, 0, 5, 5, -0.8), (200, 120, 90, 30, 0.8), (count, 5))
    return np.array([np.append(corners_of(*box), rng.random()) for box in boxes]).astype(np.float32)


def painted_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union by counting points of a fine lattice."""
    y, x = np.mgrid[-60:180:1.0, -60:260:1.0]
    inside = []
    for row in (a, b):
        points = row[:8].reshape(4, 2)
        sides = [
            (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) >= 0 for p, q in zip(points, np.roll(points, -1, axis=0), strict=True)
        ]
        inside.append(np.logical_and.reduce(sides))
    return float((inside[0] & inside[1]).sum() / max((inside[0] | inside[1]).sum(), 1))


def test_overlap_against_counting_points() -> None:
    rows = random_rows(1, 12).astype(np.float64)
    values = []
    for i in range(12):
        for j in range(i):
            values.append(_overlap(rows[i], rows[j]))
            assert values[-1] == pytest.approx(painted_iou(rows[i], rows[j]), abs=0.05)
            assert values[-1] == pytest.approx(_overlap(rows[j], rows[i]))
    assert max(values) > 0.1
    assert _overlap(rows[0], rows[0]) == pytest.approx(1)
    backwards = rows[0].copy()
    backwards[:8] = rows[0][:8].reshape(4, 2)[::-1].ravel()
    assert _overlap(rows[0], backwards) == pytest.approx(1)
    assert _overlap(np.zeros(9), np.zeros(9)) == 0


def reference_nms(rows: np.ndarray, iou: float) -> np.ndarray:
    """EAST's published algorithm, as plainly as it can be said."""
    merged: list[np.ndarray] = []
    last = None
    for row in rows.astype(np.float64):
        if last is not None and _overlap(last, row) > iou:
            total = last[8] + row[8]
            last = np.append((last[8] * last[:8] + row[8] * row[:8]) / total, total)
        else:
            if last is not None:
                merged.append(last)
            last = row
    if last is not None:
        merged.append(last)
    merged.sort(key=lambda row: -row[8])
    kept: list[np.ndarray] = []
    for row in merged:
        if all(_overlap(row, other) <= iou for other in kept):
            kept.append(row)
    return np.array(kept)


@pytest.mark.parametrize("seed", range(15))
def test_nms_against_a_plain_reference(seed: int) -> None:
    rows = random_rows(seed)
    before = rows.copy()
    for iou in (0.1, 0.2, 0.5):
        np.testing.assert_allclose(locality_aware_nms(rows, iou), reference_nms(rows, iou), rtol=1e-5)
    np.testing.assert_array_equal(rows, before)


def test_boxes_apart_stay_apart() -> None:
    boxes = [(60.0, 30.0, 90.0, 20.0, 0.0), (60.0, 70.0, 90.0, 20.0, 0.1), (200.0, 50.0, 60.0, 16.0, -0.2)]
    merged = locality_aware_nms(decode(*maps_of(boxes, (40, 64)), 200))
    found = sorted(tuple(np.round(row[:8].reshape(4, 2).mean(axis=0))) for row in merged)
    assert found == [(60, 30), (60, 70), (200, 50)]


@pytest.mark.parametrize("seed", range(10))
def test_hot_map_covers_every_point_of_a_box(seed: int) -> None:
    rows = random_rows(seed, 6)
    hot = hot_map(rows, (30, 50))
    touched = np.zeros_like(hot)
    y, x = np.mgrid[0:120:0.5, 0:200:0.5] + 0.25
    for row in rows:
        points = row[:8].reshape(4, 2)
        sides = [
            (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) >= math.hypot(*(q - p)) * 0.75
            for p, q in zip(points, np.roll(points, -1, axis=0), strict=True)
        ]
        inside = np.argwhere(np.logical_and.reduce(sides))
        touched[inside[:, 0] // 8, inside[:, 1] // 8] = True
    around = [np.pad(touched, 1)[top : top + 30, left : left + 50] for top in range(3) for left in range(3)]
    grown = np.logical_or.reduce(around)
    assert (hot | ~grown).all(), "all but the outermost 3/4 px, which a drawn line may miss, and their neighbours"
    assert hot.sum() <= grown.sum() + 50 * len(rows)
