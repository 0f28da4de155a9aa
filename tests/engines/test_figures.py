"""The README's figures: boxes lie on the text, and the committed files are small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines.figures import LARGEST, drawn_photo, main
from engines.synth.fonts import FontBook, find_faces
from engines.synth.targets import corners

ENGINES = Path(__file__).parents[2] / "engines"


def test_the_words_of_a_drawn_photograph_lie_in_their_boxes():
    photo = drawn_photo(np.random.default_rng(4), FontBook.of(find_faces([])))
    assert len(photo.boxes) >= 3
    pixels = photo.pixels.astype(int)
    for box in photo.boxes:
        points = np.asarray(corners(box))
        (left, top), (right, bottom) = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
        assert 0 <= left < right < 640 and 0 <= top < bottom < 480
        inside = pixels[top:bottom, left:right]
        assert np.ptp(inside, axis=(0, 1)).max() > 100, "letters stand out in at least one channel"
        assert (inside != np.median(inside, axis=(0, 1))).any(axis=2).mean() > 0.1


@pytest.mark.slow
def test_both_figures_are_drawn(tmp_path: Path):
    (tmp_path / "no-fonts").mkdir()
    main(["--out", str(tmp_path / "out"), "--rows", "2", "--fonts", str(tmp_path / "no-fonts")])
    first, second = (np.asarray(Image.open(tmp_path / "out" / f"figure-{number}.jpg")).astype(int) for number in (1, 2))
    half = len(first) // 2
    blue, red = first[..., 2] - first[..., 0] > 150, (first[..., 0] - first[..., 1] > 180) & (first[..., 2] < 60)
    assert blue[:half].sum() > 100 < red[half:].sum()
    original, boxes, mask = (part.max(axis=2) < 16 for part in np.split(second[-240:, : 3 * (second.shape[1] // 3)], 3, axis=1))
    assert (mask & ~original).mean() > 0.001, "the last row shows what was removed in vain"
    assert boxes.mean() >= original.mean() - 0.01


@pytest.mark.parametrize("name", ["figure-1.jpg", "figure-2.jpg"])
def test_the_committed_figures_are_small(name: str):
    assert (ENGINES / name).stat().st_size <= LARGEST
