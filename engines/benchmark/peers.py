"""Other detectors, each in an environment of its own: their boxes, widened by a little, are their masks."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

WIDER = 4  # px on every side: what a box leaves out of its letters' edges
DRAW = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image, ImageDraw

def save(quads, size, path, wider={wider}):
    image = Image.new("L", size)
    pen = ImageDraw.Draw(image)
    for quad in quads:
        points = [tuple(map(float, point)) for point in np.asarray(quad, float).reshape(-1, 2)]
        pen.polygon(points, fill=255, outline=255)
        pen.line([*points, points[0]], fill=255, width=2 * wider)
    image.save(path)

def run(detect):
    images, masks = Path(sys.argv[1]), Path(sys.argv[2])
    masks.mkdir(parents=True, exist_ok=True)
    for path in sorted(images.iterdir()):
        with Image.open(path) as file:
            image = file.convert("RGB")
        save(detect(image), image.size, masks / (path.stem + ".png"))
"""


@dataclass(frozen=True)
class Peer:
    """packages : what pip installs; program : Python that calls run(detect), detect(image) -> quads, (n, 4, 2) px"""

    packages: tuple[str, ...]
    program: str


PEERS = {
    "rapidocr": Peer(
        ("rapidocr-onnxruntime==1.4.4", "opencv-python-headless", "pillow", "numpy"),
        """
from rapidocr_onnxruntime import RapidOCR
reader = RapidOCR()
run(lambda image: reader(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]), use_det=True, use_cls=False, use_rec=False)[0] or [])
""",
    ),
    "paddleocr": Peer(  # the package fetches its weights itself, from the network, the first time
        ("paddlepaddle", "paddleocr", "pillow", "numpy"),
        """
from paddleocr import TextDetection
detector = TextDetection(model_name="PP-OCRv6_small_det", limit_side_len=960, limit_type="max")
run(lambda image: detector.predict(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]))[0]["dt_polys"])
""",
    ),
    "craft": Peer(  # EasyOCR, whose detector it is, fetches the weights the first time
        ("easyocr", "pillow", "numpy"),
        """
import easyocr
reader = easyocr.Reader(["en"], recognizer=False, gpu=False)
def detect(image):
    flat, free = reader.detect(np.asarray(image))
    return [[(a, c), (b, c), (b, d), (a, d)] for a, b, c, d in flat[0]] + list(free[0])
run(detect)
""",
    ),
    "tesseract": Peer(  # the program itself comes from the distribution: apt-get install tesseract-ocr
        ("pillow", "numpy"),
        """
import csv, io, subprocess
def detect(image):
    store = io.BytesIO()
    image.save(store, "PNG")
    command = ["tesseract", "-", "stdout", "--psm", "11", "tsv"]
    told = subprocess.run(command, input=store.getvalue(), capture_output=True, check=True).stdout.decode()
    for row in csv.DictReader(io.StringIO(told), delimiter="\\t", quoting=csv.QUOTE_NONE):
        if row["level"] == "5" and row["text"].strip():
            x, y, w, h = (int(row[key]) for key in ("left", "top", "width", "height"))
            yield [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
run(detect)
""",
    ),
}


def run(name: str, images: Path, masks: Path, environments: Path) -> None:
    """Install the peer where it is not yet, and let it look at every picture. Ends the program with its message when that fails."""
    python = environments / name / "bin" / "python"
    if not python.exists():
        venv.create(environments / name, with_pip=True)
        _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS[name].packages])
    _call([str(python), "-c", DRAW.format(wider=WIDER) + PEERS[name].program, str(images), str(masks)])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} … failed with status {done.returncode}; what it said stands above")
