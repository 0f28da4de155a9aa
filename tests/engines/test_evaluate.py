"""The counting rules on drawn pictures, the report, and the same figures as the evaluation set's own score.py."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")
pytest.importorskip("tqdm")

from engines.evaluate import matching, peers, table1
from engines.evaluate.__main__ import main
from engines.evaluate.matching import Matches, match
from engines.evaluate.measure import Pictures, by_height, measure
from engines.evaluate.methods import MaskFolder, Network
from engines.evaluate.scoring import Result, prepare, score

SCORE = Path(os.environ.get("ANONBOX_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "eval" / "score.py"
WEIGHTS = Path(__file__).resolve().parents[2] / "engines" / "weights"
BOX = [40, 20, 80, 40]


def labelled(kind: str = "overlay"):
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[24:36, 44:76:2] = 255
    return prepare("one.png", picture, [{"box": BOX, "kind": kind}])


def mask(x0: int, y0: int, x1: int, y1: int):
    found = np.zeros((100, 200), bool)
    found[y0:y1, x0:x1] = True
    return found


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Twelve pictures of noise with bars in random boxes of both kinds, some without any, labels.json, and random masks for all but
    one of them."""
    rng = np.random.default_rng(8)
    labels = {}
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number in range(12):
        picture = rng.integers(0, 120, (180, 240, 3), np.uint8)
        found = rng.random((18, 24)).repeat(10, axis=0).repeat(10, axis=1) < 0.03
        boxes = []
        for _ in range(0 if number % 4 == 3 else 6):
            x0, y0 = rng.uniform(-5, 220), rng.uniform(-5, 165)
            box = [x0, y0, x0 + rng.uniform(3, 40), y0 + rng.uniform(3, 20)]
            left, top, right, bottom = (max(0, round(value)) for value in box)
            picture[top:bottom, left : right : int(rng.integers(2, 5))] = 250
            found[top:bottom, left : int(left + (right - left) * rng.uniform(0.7, 1.4))] |= rng.random() < 0.8
            boxes.append({"box": box, "kind": str(rng.choice(["overlay", "other"], p=[0.8, 0.2]))})
        if boxes:
            boxes[0]["note"] = "thumbnail_tiny"
        name = f"picture-{number}.png"
        labels[name] = {"width": 240, "height": 180, "boxes": boxes}
        Image.fromarray(picture).save(tmp_path / "images" / name)
        if number:
            Image.fromarray(found.astype(np.uint8) * 255).save(tmp_path / "masks" / name)
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return tmp_path


def test_the_figures_are_those_of_score_py(drawn: Path):
    if not SCORE.is_file():
        pytest.skip(f"no {SCORE} to compare with")
    spec = importlib.util.spec_from_file_location("score", SCORE)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    expected = theirs.score(json.loads((drawn / "labels.json").read_text()), drawn / "images", drawn / "masks")
    pictures = Pictures.read(drawn / "images", drawn / "labels.json")
    (tally,) = measure(pictures, [MaskFolder(drawn / "masks", "masks")], 64)
    assert [(box.name, list(box.box)) for box in tally.total.missed] == [(name, box) for name, box, _ in expected.pop("missed")]
    assert tally.total.summary() == expected
    assert 0 < expected["recall"] < 1 and expected["false_percent_worst"] > 0


def test_covered_text_is_removed():
    result = score(labelled(), mask(40, 20, 80, 40))
    assert (len(result.boxes), result.clean, result.missed) == (1, 1, ())
    assert result.summary()["precision"] == 1.0
    assert result.summary()["false_percent_mean"] is None


def test_four_fifths_of_the_ink_are_not_enough():
    result = score(labelled(), mask(40, 20, 69, 40))
    assert result.clean == 0
    assert [(box.name, box.box) for box in result.missed] == [("one.png", (40, 20, 80, 40))]


def test_other_is_neither_required_nor_punished():
    nothing, all_of_it = score(labelled("other"), mask(0, 0, 0, 0)), score(labelled("other"), mask(40, 20, 80, 40))
    assert nothing.boxes == all_of_it.boxes == ()
    assert all_of_it.summary()["false_percent_mean"] == 0


def test_removal_elsewhere_is_excess_and_bad_precision():
    result = score(labelled(), mask(120, 60, 160, 80) | mask(40, 20, 80, 40))
    assert result.summary()["precision"] == 0.5
    assert result.summary()["excess_percent"] == 4.0


def test_results_add_up():
    total = sum((score(labelled(), mask(40, 20, 80, 40)), score(labelled(), mask(0, 0, 0, 0))), Result())
    assert total.summary()["recall"] == 0.5
    assert total.summary()["pictures"] == 2


def boxes(*rows: tuple[float, float, float, float]):
    return np.array(rows, np.float64).reshape(-1, 4)


def test_one_detection_is_matched_with_one_label():
    label = boxes((0, 0, 100, 20))
    assert match(label, boxes((0, 0, 100, 21), (1, 0, 100, 20)), boxes()) == Matches(1, 2, 1)
    assert match(label, boxes((0, 0, 49, 20)), boxes()) == Matches(1, 1, 0)
    assert match(label, boxes(), boxes()) == Matches(1, 0, 0)
    assert match(boxes(), label, boxes()) == Matches(0, 1, 0)


def test_what_need_not_be_found_is_left_out():
    assert match(boxes((0, 0, 100, 20)), boxes((0, 0, 100, 20), (200, 0, 220, 20)), boxes((195, 0, 225, 22))) == Matches(1, 1, 1)


def test_words_and_lines_are_told_apart_only_by_boxes():
    words, line = boxes((0, 0, 40, 20), (52, 1, 100, 21), (110, 0, 150, 20)), boxes((0, 0, 150, 21))
    assert match(line, words, boxes()).matched == 0
    assert matching.lines(words).tolist() == line.tolist()
    far, below = boxes((0, 0, 40, 20), (61, 0, 100, 20)), boxes((0, 0, 40, 20), (0, 18, 40, 38))
    assert len(matching.lines(far)) == len(matching.lines(below)) == 2


def test_a_report_has_all_its_parts(drawn: Path, capsys: pytest.CaptureFixture[str]):
    out = drawn / "report"
    main([str(drawn / "images"), str(drawn / "labels.json"), "--out", str(out), "--masks", str(drawn / "masks")])
    assert "recall" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"pictures.csv", "heights.csv", "sweep.csv", "result.json", "masks.png", "masks"}
    with (out / "pictures.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12
    with (out / "heights.csv").open() as file:
        total = sum(int(row["boxes"]) for row in csv.DictReader(file))
    assert total == json.loads((out / "result.json").read_text())["masks"]["boxes"] > 20


@pytest.mark.parametrize("wrong", [["--threshold", "300"], ["--weights", "nowhere.onnx"], ["--masks", "nowhere"]])
def test_wrong_arguments_are_refused(drawn: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main([str(drawn / "images"), str(drawn / "labels.json"), "--out", str(drawn / "report"), *wrong])
    assert wrong[1] in capsys.readouterr().err


def test_a_missing_picture_is_refused(drawn: Path):
    (drawn / "images" / "picture-3.png").unlink()
    with pytest.raises(ValueError, match=r"lacks 1 of 12 .* picture-3\.png"):
        Pictures.read(drawn / "images", drawn / "labels.json")


def test_a_mask_of_another_size_is_refused(drawn: Path):
    Image.new("L", (10, 10)).save(drawn / "masks" / "picture-5.png")
    with pytest.raises(ValueError, match="the mask is 10 x 10 px"):
        MaskFolder(drawn / "masks", "masks").look(drawn / "images" / "picture-5.png")


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (400, 2400)])
def test_networks_find_drawn_text_where_it_is(tmp_path: Path, size: tuple[int, int]):
    """Also where the picture is cut in tiles; in box mode the box lies on the text."""
    from PIL import ImageDraw, ImageFont

    image = Image.new("RGB", size, (40, 20, 20))
    at, tall = (size[0] // 4, size[1] - 80), max(16, min(size) // 40)
    ImageDraw.Draw(image).text(at, "Name: 4711", fill="white", font=ImageFont.load_default(tall))
    image.save(tmp_path / "one.png")
    x0, y0, x1, y1 = ImageDraw.Draw(image).textbbox(at, "Name: 4711", font=ImageFont.load_default(tall))
    for file in ("east-mask.onnx", "east-boxes.onnx"):
        network = Network(WEIGHTS / file)
        found = network.look(tmp_path / "one.png").at(64)
        assert found.mask.shape == size[::-1]
        assert found.mask[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1].mean() > 0.8
        assert found.mask[: size[1] // 2].mean() < 0.02
        if network.mode == "boxes":
            bounds = matching.bounds_of(found.quads)
            assert match(boxes((x0, y0, x1, y1)), matching.lines(bounds), boxes()).matched == 1


TESSERACT = """#!/bin/sh
if [ "$1" = --version ]; then echo "tesseract 9.9"; exit; fi
printf 'level\tleft\ttop\twidth\theight\tconf\ttext\n4\t0\t0\t90\t90\t-1\t\n5\t10\t20\t30\t12\t96\t"a\n5\t60\t20\t9\t9\t95\t \n'
"""


def test_peers_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found, absent = peers.installed()
    assert found == []
    assert "pip install rapidocr" in absent[0] and "apt-get install tesseract-ocr" in absent[1]


@pytest.fixture
def only_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tesseract").write_text(TESSERACT)
    (tmp_path / "bin" / "tesseract").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_a_peers_words_are_removed_as_they_are(drawn: Path, only_tesseract: None):
    (peer,), _ = peers.installed()
    assert peer.name == "Tesseract 9.9"
    found = peer.look(drawn / "images" / "picture-0.png").at(64)
    assert found.quads.tolist() == [[[10, 20], [40, 20], [40, 32], [10, 32]]]
    assert found.mask.shape == (180, 240) and found.mask[20:33, 10:41].all() and found.mask.sum() == 13 * 31


def test_table_1_has_every_stage_and_peer_or_says_what_is_missing(drawn: Path, only_tesseract: None, capsys: pytest.CaptureFixture[str]):
    arguments = [str(drawn / "images"), str(drawn / "labels.json"), "--general", str(WEIGHTS), "--out", str(drawn / "table1.md")]
    table1.main([*arguments, "--part", "picture-1"])
    text = (drawn / "table1.md").read_text()
    assert text in capsys.readouterr().out
    names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    ours = [f"{stage}, {mode}" for stage in ("EAST general", "EAST augmented + fine-tuned") for mode in ("mask", "boxes")]
    assert names[2:7] == [*ours, "Tesseract 9.9"]
    assert names[-1] == "EAST (augmented + fine-tuned)" and "on its own pictures" in text
    assert "EAST augmented: no checkpoint was given (--augmented)" in text and "RapidOCR is not installed" in text


def test_recall_is_told_by_the_height_at_the_detector():
    tally = type("Tally", (), {"name": "m", "total": score(labelled(), mask(40, 20, 80, 40))})()
    rows = by_height(tally, {"one.png": (100, 200)})  # enlarged to 12/8: 20 px become 30
    assert [row["boxes"] for row in rows] == [0, 0, 0, 0, 0, 1]
    assert rows[-1]["recall"] == 1.0
