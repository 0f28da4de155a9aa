"""Synthetic data: reproducible, labelled where the ink is, never empty-handed without fonts or pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines.synth import decoys, degrade, scene_text, text, words
from engines.synth.__main__ import main, parse_size
from engines.synth.backgrounds import Backgrounds, Choice, load_folder, recolour, scene, view
from engines.synth.fonts import BUILT_IN, FontBook, covers, find_faces
from engines.synth.paint import Line, Style, TextBox, paint
from engines.synth.screens import Mix, draw_crop, draw_screen
from engines.synth.targets import corners, draw_targets

BOOK = FontBook.of((BUILT_IN,))
STORE = Backgrounds()
HAND = text.Hand(BUILT_IN, 16.0, way="hard")


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(list(seed) or [1])


def test_crop_is_the_same_for_the_same_seed():
    first, second, other = (draw_crop(rng(7, k), BOOK, STORE, 192) for k in (3, 3, 4))
    assert np.array_equal(first.pixels, second.pixels)
    assert first.boxes == second.boxes
    assert not np.array_equal(first.pixels, other.pixels)


def test_crop_has_the_asked_size_and_type():
    for k in range(12):
        pixels = draw_crop(rng(8, k), BOOK, STORE, 160).pixels
        assert pixels.shape == (160, 160, 3)
        assert pixels.dtype == np.uint8


def test_text_free_mix_has_no_boxes():
    assert all(not draw_crop(rng(9, k), BOOK, STORE, 160, Mix(text_free=1.0)).boxes for k in range(8))


def test_boxes_hold_exactly_the_ink():
    picture = np.zeros((80, 300, 3), np.uint8)
    boxes = paint(picture, Line("CVP:1", HAND, Style((255, 255, 255)), 20, 30))
    assert len(boxes) == 1
    rows, columns = np.nonzero(picture.max(axis=2) > 120)
    box = boxes[0]
    assert (box.cx - box.width / 2, box.cy - box.height / 2) == (columns.min(), rows.min())
    assert (box.cx + box.width / 2, box.cy + box.height / 2) == (columns.max() + 1, rows.max() + 1)


def test_wide_gap_parts_a_line():
    picture = np.zeros((80, 500, 3), np.uint8)
    assert len(paint(picture, Line("ID:      42", HAND, Style((255, 255, 255)), 10, 30))) == 2


def test_text_at_the_edge_is_clipped_and_text_outside_gives_nothing():
    picture = np.zeros((60, 60, 3), np.uint8)
    box = paint(picture, Line("12345678", HAND, Style((255, 255, 255)), -20, 20))[0]
    assert box.cx - box.width / 2 >= 0
    assert box.cx + box.width / 2 <= 60
    assert paint(picture, Line("12", HAND, Style((255, 255, 255)), 200, 20)) == []


def test_invisible_text_is_not_asked_for():
    picture = np.full((60, 200, 3), 250, np.uint8)
    boxes = paint(picture, Line("NAME", HAND, Style((252, 252, 252)), 10, 20))
    assert boxes
    assert not any(box.care for box in boxes)


def test_targets_match_an_upright_box():
    targets = draw_targets((TextBox(52, 28, 40, 16),), 96, 64)
    inside = targets.score > 0
    assert inside.sum() == 40  # 10 x 4 cells
    top, right, bottom, left, angle = targets.geometry[:, inside]
    assert np.allclose(top + bottom, 16)
    assert np.allclose(left + right, 40)
    assert np.allclose(angle, 0)
    row, column = np.argwhere(inside)[0]
    assert targets.geometry[0, row, column] == row * 4 + 2 - 20
    assert targets.geometry[3, row, column] == column * 4 + 2 - 32


def test_targets_match_a_turned_box():
    box = TextBox(96, 96, 120, 20, angle=0.3)
    targets = draw_targets((box,), 192, 192)
    row, column = 24, 24  # its centre lies at (98, 98)
    across = 2 * np.cos(0.3) - 2 * np.sin(0.3)
    down = 2 * np.sin(0.3) + 2 * np.cos(0.3)
    assert np.allclose(targets.geometry[:, row, column], [10 + down, 60 - across, 10 - down, 60 + across, 0.3], atol=1e-4)


def test_faint_text_and_edge_cells_do_not_count():
    box = TextBox(52, 28, 40, 16)
    assert draw_targets((replace(box, care=False),), 96, 64).score.sum() == 0
    assert (draw_targets((replace(box, care=False),), 96, 64).weight == 0).sum() == 40
    shifted = draw_targets((replace(box, cy=29.0),), 96, 64)  # a quarter of the row below is covered
    assert (shifted.weight == 0).any()
    assert not ((shifted.weight == 0) & (shifted.score > 0)).any()


def test_small_boxes_weigh_more():
    targets = draw_targets((TextBox(20, 20, 8, 12), TextBox(100, 100, 120, 20)), 192, 192)
    assert targets.weight[5, 5] > targets.weight[25, 25]


STEPS = (degrade.rescale, degrade.jpeg, degrade.comb, degrade.line_jitter, degrade.fringes, degrade.ringing, degrade.gamma)


@pytest.mark.parametrize("step", STEPS)
def test_each_degradation_keeps_size_and_input(step):
    picture = scene(rng(2), 120, 90)
    before = picture.copy()
    assert step(rng(3), picture).shape == picture.shape
    assert step(rng(3), picture).dtype == np.uint8
    assert np.array_equal(step(rng(3), picture), step(rng(3), picture))
    assert np.array_equal(picture, before)


def test_noise_covers_large_pictures():
    assert degrade.noise(rng(4), np.full((900, 900, 3), 128, np.uint8), 10.0).std() > 5


@pytest.mark.parametrize("decoy", [kind for kind, _ in decoys.KINDS])
def test_each_decoy_draws_in_place(decoy):
    for seed in range(6):
        picture = np.full((120, 150, 3), 60, np.uint8)
        decoy(rng(seed), picture)
        assert picture.shape == (120, 150, 3)


def test_backgrounds_come_from_a_folder(tmp_path: Path):
    Image.new("RGB", (200, 150), (0, 0, 250)).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    store = Backgrounds(list(load_folder(tmp_path).values()), frame_share=1.0)
    assert len(store.frames) == 1
    assert view(rng(5), store, 64, 64).shape == (64, 64, 3)
    assert recolour(rng(5), store.frames[0]).shape == (150, 200, 3)


def test_every_kind_of_phrase_has_letters():
    for kind, _ in words.KINDS:
        assert all(kind(rng(6, k)).strip() for k in range(20))


def test_missing_glyphs_are_noticed():
    assert covers(BUILT_IN, "Name: 7")
    assert not covers(BUILT_IN, "王")


def test_no_fonts_still_leave_one_face(tmp_path: Path):
    assert find_faces([tmp_path]) == (BUILT_IN,)


def test_whole_screen_labels_its_text():
    drawings = [draw_screen(rng(10, k), BOOK, STORE, 640, 480) for k in range(4)]
    assert all(drawing.pixels.shape == (480, 640, 3) for drawing in drawings)
    assert sum(len(drawing.boxes) for drawing in drawings) > 8


def test_sample_writes_pictures_and_labels(tmp_path: Path):
    empty = tmp_path / "no-fonts"
    empty.mkdir()
    out = tmp_path / "out"
    main(["sample", "--out", str(out), "--count", "2", "--size", "320x240", "--seed", "5", "--fonts", str(empty), "--jpeg"])
    labels = json.loads((out / "labels.json").read_text(encoding="utf-8"))
    assert sorted(labels) == ["screen-0000.jpg", "screen-0001.jpg"]
    for name, entry in labels.items():
        with Image.open(out / name) as picture:
            assert picture.size == (entry["width"], entry["height"]) == (320, 240)
        assert all(box["kind"] in ("overlay", "other") for box in entry["boxes"])


def test_preview_draws_every_part(tmp_path: Path):
    empty = tmp_path / "no-fonts"
    empty.mkdir()
    main(["preview", "--out", str(tmp_path / "out"), "--fonts", str(empty), "--scene-text", str(scene_folder(tmp_path))])
    parts = {"text", "backgrounds", "decoys", "overlays", "degrade", "scene-text"}
    assert {path.stem for path in (tmp_path / "out").iterdir()} == parts


def test_odd_sizes_are_refused():
    assert parse_size("1920x1080") == (1920, 1080)
    for value in ("1920", "8x8", "axb", "99999x99999"):
        with pytest.raises(Exception, match="size is"):
            parse_size(value)


def test_synth_needs_no_torch():
    code = "import sys, engines.synth.__main__; assert not {'torch', 'onnx', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def scene_folder(folder: Path) -> Path:
    """Two pictures in ICDAR 2015's form: a level and an upright word, and one that nobody can read."""
    (folder / "images").mkdir()
    (folder / "gt").mkdir()
    for number in (1, 2):
        picture = np.zeros((240, 400, 3), np.uint8)
        picture[100:120, 50:150] = 255
        Image.fromarray(picture).save(folder / "images" / f"img_{number}.png")
    words_in = "50,100,150,100,150,120,50,120,Genaxis\n300,200,300,140,320,140,320,200,up\n"
    (folder / "gt" / "gt_img_1.txt").write_text("\ufeff" + words_in, encoding="utf-8")
    (folder / "gt" / "gt_img_2.txt").write_text("50,100,150,100,150,120,50,120,###\n", encoding="utf-8")
    return folder


def test_scene_text_is_read_with_its_angles(tmp_path: Path):
    first, second = scene_text.load_scene_text(scene_folder(tmp_path))
    level, upright = first.boxes
    assert (level.cx, level.cy, level.width, level.height, level.angle) == (100, 110, 100, 20, 0)
    assert (upright.cx, upright.cy, upright.width, upright.height) == (310, 170, 20, 60)
    assert abs(upright.angle) < 1e-9
    assert not second.boxes[0].care
    assert scene_text.load_scene_text(None) == ()


def test_a_turned_word_keeps_its_place_and_angle():
    box = TextBox(200, 100, 80, 20, angle=0.3)
    again = scene_text.box_of([value for point in corners(box) for value in point], "x")
    assert np.allclose([again.cx, again.cy, again.width, again.height, again.angle], [200, 100, 80, 20, 0.3])


@pytest.mark.parametrize("line", ["1,2,3", "a,b,c,d,e,f,g,h,word"])
def test_a_broken_label_is_named(tmp_path: Path, line: str):
    folder = scene_folder(tmp_path)
    (folder / "gt" / "gt_img_1.txt").write_text(f"50,100,150,100,150,120,50,120,fine\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"gt_img_1.txt, line 2: must be x1,y1"):
        scene_text.load_scene_text(folder)


def test_scene_crops_are_reproducible_and_boxes_lie_on_the_words(tmp_path: Path):
    photos = scene_text.load_scene_text(scene_folder(tmp_path))[:1]
    seen = 0
    for k in range(40):
        pixels, boxes = scene_text.draw_scene_crop(rng(11, k), photos, 128, 0.0)
        again, same = scene_text.draw_scene_crop(rng(11, k), photos, 128, 0.0)
        assert pixels.shape == (128, 128, 3)
        assert np.array_equal(pixels, again)
        assert boxes == same
        for box in boxes:
            if box.text == "Genaxis" and box.care and 4 <= box.cx <= 123 and 4 <= box.cy <= 123:
                seen += 1
                assert pixels[int(box.cy), int(box.cx)].min() > 200
    assert seen > 5


def test_worn_scene_crops_get_borders_in_which_nothing_is_asked_for(tmp_path: Path):
    photos = scene_text.load_scene_text(scene_folder(tmp_path))
    drawings = [scene_text.draw_scene_crop(rng(12, k), photos, 128, 1.0) for k in range(30)]
    assert all(pixels.shape == (128, 128, 3) for pixels, _ in drawings)
    assert all(min(box.width, box.height) >= scene_text.LOWEST for _, boxes in drawings for box in boxes if box.care)


def test_hard_frames_are_taken_more_often(tmp_path: Path):
    for name, level in (("easy.png", 40), ("hard.png", 200)):
        Image.new("RGB", (80, 60), (level, level, level)).save(tmp_path / name)
    choice = Choice(frame_share=1.0, photo_share=0.0, hard=("hard.png", "gone.png"), hard_share=1.0)
    store = Backgrounds.load(tmp_path, None, choice)
    assert (len(store.frames), len(store.hard)) == (2, 1)
    assert all(view(rng(13, k), store, 32, 32).mean() > 100 for k in range(8))
    assert not Backgrounds.load(tmp_path, None, Choice(exclude=("hard.png",), hard=("hard.png",))).hard
