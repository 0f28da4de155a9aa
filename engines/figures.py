"""The README's figures, as in the study. Nothing in them comes from a real examination unless you name a folder that does.

    python -m engines.figures --out engines

figure-1.jpg   augmented training pictures with their ground truth: scene text in blue, synthetic overlays in red
figure-2.jpg   original, box blackout and mask blackout side by side, by the installed box with the shipped weights; the last row has
               no text at all, and what is black in it was removed in vain

Scene text is drawn, signs on walls, unless --scene-text names a folder of ICDAR 2015's form (images/ and gt/gt_STEM.txt).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from appliance.types import Mode
from engines.synth import text
from engines.synth.backgrounds import Backgrounds, view
from engines.synth.canvas import Colour, Picture, blend, drawn, grain
from engines.synth.decoys import dots, specks
from engines.synth.fonts import FontBook, find_faces, system_faces
from engines.synth.paint import TextBox
from engines.synth.scene_text import Photo, draw_scene_crop, load_scene_text
from engines.synth.screens import draw_crop, draw_screen
from engines.synth.targets import corners

CROP, COLUMNS = 256, 5  # px a training picture is shown at, and how many in a row
SCREEN = (960, 540)  # width, height of a screen, px
SHOWN = (440, 248)  # the same in the figure
GAP, HEAD = 6, 22
LARGEST = 400_000  # bytes of a figure; it lives in the repository
MOST_TRIES = 300
IN_VAIN = 0.002  # share of a picture without text; from here on it is worth showing
WALL: tuple[Colour, ...] = ((150, 120, 100), (110, 130, 140), (170, 170, 160), (90, 100, 90), (190, 175, 150))
SIGN: tuple[tuple[Colour, Colour], ...] = (
    ((30, 60, 140), (255, 255, 255)), ((230, 230, 225), (30, 30, 30)), ((170, 30, 30), (250, 240, 220)), ((20, 90, 60), (240, 240, 240)),
    ((235, 190, 40), (30, 30, 30)),
)  # fmt: skip


@dataclass(frozen=True)
class Material:
    """What the figures are drawn from."""

    book: FontBook
    store: Backgrounds
    photos: tuple[Photo, ...]
    seed: int


def drawn_photo(rng: np.random.Generator, book: FontBook, width: int = 640, height: int = 480) -> Photo:
    """A wall with a few turned signs, and the boxes of the words on them."""
    wall = WALL[int(rng.integers(len(WALL)))]
    rough = grain(rng, width, height, float(rng.uniform(2, 9))) * float(rng.uniform(6, 16))
    slope = np.linspace(-25, 25, width)[None, :, None] * float(rng.choice([-1, 1]))
    pixels = np.clip(np.asarray(wall, np.float32) + rough + slope, 0, 255).astype(np.uint8)
    boxes: list[TextBox] = []
    for top in range(30, height - 90, 140):
        boxes += _sign(rng, book, pixels, (int(rng.uniform(20, width * 0.4)), top))
    return Photo(pixels, tuple(boxes))


def _sign(rng: np.random.Generator, book: FontBook, pixels: Picture, corner: tuple[int, int]) -> list[TextBox]:
    """One board of one or two words, turned by up to twelve degrees; its words are separate boxes, as in ICDAR."""
    board, ink = SIGN[int(rng.integers(len(SIGN)))]
    hand = text.draw_hand(rng, book, float(rng.uniform(16, 34)))
    words = [text.write(hand, _word(rng)) for _ in range(int(rng.integers(1, 3)))]
    words = [word for word in words if word.size]
    space, pad = int(hand.height * 0.6), int(hand.height * 0.7)
    width, height = sum(word.shape[1] + space for word in words) - space + 2 * pad, max(word.shape[0] for word in words) + 2 * pad
    angle = float(np.radians(rng.uniform(-12, 12)))
    cx, cy = corner[0] + width / 2, corner[1] + height / 2
    plate = TextBox(cx, cy, width, height, angle)
    blend(pixels, drawn(pixels.shape[1], pixels.shape[0], "polygon", corners(plate), 0, 0.8), 0, 0, board)
    letters = np.zeros((height, width), np.uint8)
    boxes, x = [], pad
    for word in words:
        letters[pad : pad + word.shape[0], x : x + word.shape[1]] = word
        along, down = x + word.shape[1] / 2 - width / 2, pad + word.shape[0] / 2 - height / 2
        cos, sin = np.cos(angle), np.sin(angle)
        boxes.append(TextBox(cx + along * cos + down * sin, cy - along * sin + down * cos, word.shape[1], word.shape[0], angle))
        x += word.shape[1] + space
    turned = np.asarray(Image.fromarray(letters).rotate(float(np.degrees(angle)), Image.Resampling.BICUBIC, expand=True))
    blend(pixels, turned, round(cx - turned.shape[1] / 2), round(cy - turned.shape[0] / 2), ink)
    return boxes


def _word(rng: np.random.Generator) -> str:
    return str(rng.choice(["EXIT", "Bakery", "Platform 9", "OPEN", "Main Street", "Taxi", "No Parking", "Library", "CAFE", "Harbour"]))


def figure_1(material: Material) -> Image.Image:
    """A row of scene text, a row of overlays; the strength of the wear is that of the training."""
    book, seed = material.book, material.seed
    rngs = [np.random.default_rng([seed, number]) for number in range(2 * COLUMNS)]
    photos = material.photos or tuple(drawn_photo(rng, book.shelf(seed, 0)) for rng in rngs[:COLUMNS])
    rows = [[draw_scene_crop(rng, photos, CROP, 1.0) for rng in rngs[:COLUMNS]], []]
    for number, rng in enumerate(rngs[COLUMNS:]):
        crop = next(crop for crop in _crops(rng, book.shelf(seed, number), material.store) if len(crop[1]) > 1)
        rows[1].append(crop)
    sheet = Image.new("RGB", (COLUMNS * (CROP + GAP) - GAP, 2 * (CROP + GAP) - GAP), "white")
    for row, (crops, colour) in enumerate(zip(rows, ("deepskyblue", "red"), strict=True)):
        for column, (pixels, boxes) in enumerate(crops):
            image = Image.fromarray(pixels)
            for box in boxes:
                ImageDraw.Draw(image).polygon(corners(box), outline=colour if box.care else "grey", width=2)
            sheet.paste(image, (column * (CROP + GAP), row * (CROP + GAP)))
    return sheet


def _crops(rng: np.random.Generator, book: FontBook, store: Backgrounds) -> Iterator[tuple[Picture, tuple[TextBox, ...]]]:
    while True:
        drawing = draw_crop(rng, book, store, CROP)
        yield drawing.pixels, drawing.boxes


def figure_2(material: Material, rows: int) -> Image.Image:
    """`rows` screens, the last one free of text but not of what was removed in vain. Raises ValueError when there is no such screen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "drawn").mkdir()
        for number in range(rows - 1):
            rng = np.random.default_rng([material.seed, number])
            drawing = draw_screen(rng, material.book.shelf(material.seed, number), material.store, *SCREEN, degraded=0.3)
            Image.fromarray(drawing.pixels).save(folder / "drawn" / f"{number}.png")
        Image.fromarray(in_vain(material)).save(folder / "drawn" / f"{rows - 1}.png")
        modes: tuple[Mode, ...] = ("boxes", "mask")
        for mode in modes:
            _redact(folder / "drawn", folder / mode, mode)
        return _side_by_side([folder / "drawn", *(folder / mode for mode in modes)], rows)


def in_vain(material: Material) -> Picture:
    """A scene of glittering reflections and no text, in which the shipped network finds some all the same."""
    from engines.card import CARD_FILE, MASK_FILE, WEIGHTS, read_card
    from engines.evaluate.methods import Network

    network, threshold = Network(WEIGHTS / MASK_FILE), int(read_card(WEIGHTS / CARD_FILE)["threshold"])
    for number in range(MOST_TRIES):
        rng = np.random.default_rng([material.seed, 1000 + number])
        pixels = np.array(view(rng, material.store, *SCREEN))
        for _ in range(3):
            dots(rng, pixels)
            specks(rng, pixels)
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            Image.fromarray(pixels).save(file, "PNG", compress_level=1)
            file.flush()
            if network.look(Path(file.name)).at(threshold).mask.mean() >= IN_VAIN:
                return pixels
    raise ValueError(f"in none of {MOST_TRIES} scenes without text was anything removed; choose another --seed, or leave that row out")


def _redact(drawn_screens: Path, out: Path, mode: Mode) -> None:
    pictures = map(str, sorted(drawn_screens.iterdir()))
    command = [sys.executable, "-m", "appliance", "redact", *pictures, "--out", str(out), "--mode", mode]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _side_by_side(folders: list[Path], rows: int) -> Image.Image:
    sheet = Image.new("RGB", (3 * (SHOWN[0] + GAP) - GAP, HEAD + rows * (SHOWN[1] + GAP) - GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (folder, head) in enumerate(zip(folders, ("original", "box blackout", "mask blackout"), strict=True)):
        left = column * (SHOWN[0] + GAP)
        pen.text((left + SHOWN[0] / 2, 2), head, fill="black", font=ImageFont.load_default(14), anchor="ma")
        for row in range(rows):
            with Image.open(folder / f"{row}.png") as picture:
                sheet.paste(picture.resize(SHOWN, Image.Resampling.LANCZOS), (left, HEAD + row * (SHOWN[1] + GAP)))
    return sheet


def save(image: Image.Image, path: Path) -> None:
    """As JPEG, as fine as LARGEST allows."""
    for quality in (90, 85, 80, 70, 60):
        image.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= LARGEST:
            print(f"{path}  {image.width} x {image.height} px, {path.stat().st_size} bytes")
            return
    raise ValueError(f"{path} has {path.stat().st_size} bytes, the limit is {LARGEST}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for figure-1.jpg and figure-2.jpg, made when missing")
    parser.add_argument("--rows", type=int, default=4, help="of figure 2 (default 4)")
    parser.add_argument("--seed", type=int, default=5, help="which pictures (default 5)")
    parser.add_argument("--scene-text", type=Path, help="folder of ICDAR 2015's form (default: drawn signs)")
    parser.add_argument("--frames", type=Path, help="folder of endoscopic frames without text (default: procedural scenes)")
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="font folder (default: the machine's own fonts)")
    args = parser.parse_args(arguments)
    if args.rows < 2:
        parser.error(f"--rows is {args.rows}, must be at least 2")
    book = FontBook.of(find_faces(args.fonts) if args.fonts else system_faces())
    material = Material(book, Backgrounds.load(args.frames, None), load_scene_text(args.scene_text), args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    save(figure_1(material), args.out / "figure-1.jpg")
    save(figure_2(material, args.rows), args.out / "figure-2.jpg")


if __name__ == "__main__":
    main()
