"""The survival benchmark: the same pictures for the same seed, ink where letters are, counts that say what is readable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tqdm")

from engines.benchmark import VERSION, __main__, make
from engines.benchmark.kinds import KINDS
from engines.benchmark.scoring import labels_of, score
from engines.synth.backgrounds import Backgrounds
from engines.synth.fonts import BUILT_IN, FontBook

pytestmark = pytest.mark.train
BOOK = FontBook.of((BUILT_IN,))
FEW = ("height-576-014", "angle-090", "free-foam")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark")
    make.make(out, {name: KINDS[name] for name in FEW}, BOOK, Backgrounds(), 2, 7)
    return out


def ink_of(drawn: Path, stem: str) -> np.ndarray:
    return np.asarray(Image.open(drawn / "ink" / f"{stem}.png"))


def test_the_same_seed_draws_the_same(drawn: Path, tmp_path: Path) -> None:
    make.make(tmp_path, {FEW[0]: KINDS[FEW[0]]}, BOOK, Backgrounds(), 1, 7)
    for folder, name in (("images", f"{FEW[0]}-00.jpg"), ("ink", f"{FEW[0]}-00.png")):
        assert (tmp_path / folder / name).read_bytes() == (drawn / folder / name).read_bytes()
    make.make(tmp_path, {FEW[0]: KINDS[FEW[0]]}, BOOK, Backgrounds(), 1, 8)
    assert (tmp_path / "images" / f"{FEW[0]}-00.jpg").read_bytes() != (drawn / "images" / f"{FEW[0]}-00.jpg").read_bytes()


def test_ink_lies_where_white_letters_lie(drawn: Path) -> None:
    labels = labels_of(drawn)
    assert labels["version"] == VERSION and len(labels["pictures"]) == 6
    entry = labels["pictures"][f"{FEW[0]}-00"]
    ink = ink_of(drawn, f"{FEW[0]}-00")
    pixels = np.asarray(Image.open(drawn / "images" / entry["file"])).min(axis=2)
    assert set(np.unique(ink)) == set(range(len(entry["pieces"]) + 1)) and len(entry["pieces"]) >= 2
    assert pixels[ink > 0].mean() > pixels[ink == 0].mean() + 60


def test_what_is_covered_is_gone_and_what_is_not_survives(drawn: Path, tmp_path: Path) -> None:
    stem = f"{FEW[0]}-00"
    ink = ink_of(drawn, stem)
    half = (ink == 1) & (np.cumsum((ink == 1).ravel()).reshape(ink.shape) <= 0.7 * (ink == 1).sum())
    Image.fromarray(((ink >= 2) | half).astype(np.uint8) * 255).save(tmp_path / f"{stem}.png")
    foam = np.zeros((576, 960), np.uint8)
    foam[:, :96] = 255
    Image.fromarray(foam).save(tmp_path / "free-foam-00.png")
    rows = {row.kind: row for row in score(drawn, tmp_path)}
    first, second = (len(labels_of(drawn)["pictures"][f"{FEW[0]}-0{k}"]["pieces"]) for k in range(2))
    row = rows[FEW[0]]
    assert (row.gone, row.partly, row.survive, row.missing) == (first - 1, 1, second, 1)  # the other picture has no mask
    assert rows["free-foam"].false == pytest.approx((10.0, 0.0))
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / f"{FEW[0]}-01.png")
    with pytest.raises(ValueError, match="the mask is 5 x 5 px, its picture 720 x 576 px"):
        score(drawn, tmp_path)


def test_scores_stand_side_by_side(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("nothing", "nobody"):
        __main__.main(["score", str(drawn), str(tmp_path), "--as", name])
    capsys.readouterr()
    __main__.main(["report", str(drawn)])
    told = capsys.readouterr().out
    assert "| kind | nobody | nothing |" in told and f"| {FEW[1]} | 100 (0) | 100 (0) |" in told
    assert (drawn / "report.md").read_text().startswith(f"# Survival benchmark, version {VERSION}, seed 7")
    with Image.open(drawn / "kinds.jpg") as sheet:
        assert sheet.width > 0
    stale = json.loads((drawn / "scores" / "nobody.json").read_text()) | {"seed": 8}
    (drawn / "scores" / "nobody.json").write_text(json.dumps(stale))
    __main__.main(["report", str(drawn)])
    assert "nobody" not in capsys.readouterr().out  # another seed is another benchmark


FAMILIES = {name.split("-")[0]: name for name in KINDS if not name.startswith(("montage", "height-2160"))}  # one of each; those are large


@pytest.mark.parametrize("name", sorted(FAMILIES.values()))
def test_a_kind_of_every_family_can_be_drawn(name: str) -> None:
    scene = KINDS[name](np.random.default_rng([3, len(name)]), make.Kit(BOOK, Backgrounds()))
    assert scene.pixels.dtype == np.uint8 and scene.pixels.ndim == 3
    assert all(ink.shape == scene.pixels.shape[:2] and ink.any() for _, ink in scene.pieces)
    assert not (name.startswith("free-") and scene.pieces)


def test_a_folder_without_a_benchmark_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["score", str(tmp_path), str(tmp_path), "--as", "x"])
    assert "draw it first" in capsys.readouterr().err
