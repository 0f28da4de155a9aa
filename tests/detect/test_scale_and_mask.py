"""Picture to detector and back: nothing that is hot is left uncovered, nothing is removed that no hot element touches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from appliance.detect.mask import from_hot, map_shape, stitch
from appliance.detect.scale import LARGEST, LEAST, MIN_SIDE, OVERLAP, STRIDE, Scale, View, scale_for, scales_for, views

CANVAS = (576, 960)


def test_the_policy() -> None:
    expected = {
        (1080, 1920): 4,
        (1019, 1214): 4,
        (720, 1280): 6,
        (768, 1024): 6,
        (576, 768): 8,
        (480, 640): 9,
        (256, 256): 12,
        (2160, 3840): 4,
        (2048, 2560): 4,
        (4320, 7680): 4,
        (1, 1): 12,
    }
    assert {size: scale_for(size, CANVAS).num for size in expected} == expected
    assert scale_for((1920, 1080), CANVAS).num == 4  # upright: two tiles rather than text too small
    assert scale_for((600, 20000), CANVAS).num == 7  # a panorama: tiles


@pytest.mark.parametrize("seed", range(40))
def test_the_policy_never_makes_text_too_small_and_wastes_no_room(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(int(side) for side in rng.integers(1, 9000, 2))
    num = scale_for(size, CANVAS).num
    assert num >= 8 or (num >= LEAST and min(size) * num >= MIN_SIDE * 8)
    larger = Scale(num + 1).reduced(size)
    assert num == LARGEST or larger[0] > CANVAS[0] or larger[1] > CANVAS[1]


def test_several_screens_in_one_picture_are_seen_as_large_as_one_alone() -> None:
    alone = scale_for((1024, 1280), CANVAS).num
    for screens in (2, 3, 4, 6):
        assert scale_for((1024 * screens, 1280 * screens), CANVAS).num >= alone


def test_what_is_cut_in_tiles_is_also_seen_whole() -> None:
    assert scales_for((1080, 1920), CANVAS) == (Scale(4),)
    assert scales_for((2160, 3840), CANVAS) == (Scale(4), Scale(2))
    assert scales_for((4320, 7680), CANVAS) == (Scale(4), Scale(1))
    assert scales_for((600, 20000), CANVAS) == (Scale(7),)  # too long to be seen whole at any scale


def test_scales() -> None:
    assert Scale(4).reduced((1081, 3)) == (541, 2)
    assert Scale(12).reduced((10, 11)) == (15, 17)
    for num in (0, 17, -1):
        with pytest.raises(ValueError, match="between"):
            Scale(num)


def test_one_view_when_it_fits() -> None:
    assert views((540, 960), CANVAS) == (View(0, 0, 540, 960),)
    assert views((576, 960), CANVAS) == (View(0, 0, 576, 960),)
    assert views((1, 1), CANVAS) == (View(0, 0, 1, 1),)


@pytest.mark.parametrize("seed", range(60))
def test_tiles_cover_everything_and_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 4000, 2))
    tiles = views((height, width), CANVAS)
    seen = np.zeros((height, width), np.int32)
    for tile in tiles:
        assert tile.top % STRIDE == 0 and tile.left % STRIDE == 0
        assert 0 < tile.height <= CANVAS[0] and 0 < tile.width <= CANVAS[1]
        assert tile.top + tile.height <= height and tile.left + tile.width <= width
        seen[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert (seen > 0).all()
    for start, length in (("top", "height"), ("left", "width")):
        spans = sorted({(getattr(tile, start), getattr(tile, length)) for tile in tiles})
        for (first, size), (second, _) in itertools.pairwise(spans):
            assert first + size - second >= OVERLAP


def test_a_canvas_too_small_to_tile_is_said() -> None:
    with pytest.raises(ValueError, match="too short"):
        views((2000, 100), (100, 960))


@pytest.mark.parametrize("seed", range(80))
def test_covering_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(int(side) for side in rng.integers(1, 150, 2))
    cell = ((8, 8), (16, 16), (8, 16), (16, 8), (8, 32))[seed % 5]
    scale = Scale(int(rng.integers(1, 17)))
    hot = rng.random(map_shape(scale.reduced(size))) < rng.choice([0.0, 0.02, 0.3])
    mask = from_hot(hot, scale, size, cell)
    step = STRIDE * 8  # both sides in 1/num of a picture pixel: an element is 32 long, a cell side * num
    expected = np.zeros_like(mask.cells)
    for row, column in np.argwhere(hot):
        for i in range(mask.cells.shape[0]):
            for j in range(mask.cells.shape[1]):
                up = i * cell[0] * scale.num < (row + 1) * step and (i + 1) * cell[0] * scale.num > row * step
                across = j * cell[1] * scale.num < (column + 1) * step and (j + 1) * cell[1] * scale.num > column * step
                expected[i, j] |= up and across
    np.testing.assert_array_equal(mask.cells, expected)
    covered = mask.to_pixels()
    for row, column in np.argwhere(hot):
        top, bottom = row * step // scale.num, -(-(row + 1) * step // scale.num)
        left, right = column * step // scale.num, -(-(column + 1) * step // scale.num)
        assert covered[top:bottom, left:right].all()


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="elements"):
        from_hot(np.zeros((10, 10), bool), Scale(4), (1080, 1920), (16, 16))


@pytest.mark.parametrize("seed", range(10))
def test_stitched_tiles_equal_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reduced = tuple(int(side) for side in rng.integers(500, 2500, 2))
    whole = rng.random(map_shape(reduced)) < 0.01
    parts = []
    for view in views(reduced, CANVAS):
        rows, columns = map_shape((view.height, view.width))
        part = np.ones((CANVAS[0] // STRIDE, CANVAS[1] // STRIDE), bool)  # beyond the view the canvas may say what it likes
        top, left = view.top // STRIDE, view.left // STRIDE
        part[:rows, :columns] = whole[top : top + rows, left : left + columns]
        parts.append((view, part))
    np.testing.assert_array_equal(stitch(parts, reduced), whole)
