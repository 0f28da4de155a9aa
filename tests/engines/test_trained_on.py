"""The same picture is known again, scaled, stored anew and written on; others are not taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engines.synth.backgrounds import scene
from engines.trained_on import SAME, Hashed, hash_folder, main


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(scene(np.random.default_rng(number), 400, 320)).save(folder / f"frame-{number}.png")
    return folder


def disguised(frame: Path, out: Path) -> Path:
    """Another aspect, on black with an overlay beside it, as JPEG."""
    screen = Image.new("RGB", (720, 480))
    with Image.open(frame) as picture:
        screen.paste(picture.resize((480, 460)), (230, 10))
    ImageDraw.Draw(screen).text((12, 20), "Name:\n\nID: 4711\n\n11/09/2015", fill="white")
    screen.save(out, quality=70)
    return out


def test_a_picture_in_disguise_is_known_and_others_are_not(frames: Path, tmp_path: Path):
    found = Hashed.of(disguised(frames / "frame-3.png", tmp_path / "one.jpg"))
    distances = [found.differs(frame) for frame in hash_folder(frames)]
    assert distances[3] <= SAME < min(distances[:3] + distances[4:])


def test_a_line_of_the_list_is_read_back():
    one = Hashed("a name with spaces.png", 2**127 + 5)
    assert Hashed.from_line(one.line()) == one


def test_the_list_is_written_and_searched(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights, evaluation = tmp_path / "weights", tmp_path / "evaluation"
    weights.mkdir()
    evaluation.mkdir()
    (weights / "card.json").write_text(json.dumps({"training": {"recipe": {"data": {"exclude": ["frame-1.png"]}}}}))
    main(["--weights", str(weights), "list", str(frames)])
    assert "5 pictures, 1 excluded" in capsys.readouterr().out
    disguised(frames / "frame-1.png", evaluation / "one.jpg")
    with pytest.raises(SystemExit) as quiet:
        main(["--weights", str(weights), "compare", str(evaluation)])
    assert quiet.value.code == 0 and capsys.readouterr().out == ""
    disguised(frames / "frame-4.png", evaluation / "two.jpg")
    with pytest.raises(SystemExit) as loud:
        main(["--weights", str(weights), "compare", str(evaluation)])
    assert loud.value.code == 1 and "two.jpg is frame-4.png" in capsys.readouterr().out
