"""What a picture's headers promise of memory is what it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("TIFF", "RGB"), ("TIFF", "1"), ("BMP", "RGB"), ("JPEG", "RGB")]
)
def test_memory_is_as_promised(kind: str, mode: str, tmp_path: Path) -> None:
    """Of a process that opens, masks and checks one file of 3 Mpx, by what the kernel says it had."""
    path = tmp_path / "picture"
    pixels = np.random.default_rng(1).integers(0, 255, (188, 250, 3), np.uint8)
    image = Image.fromarray(pixels).resize((2000, 1500))
    (Image.fromarray(np.asarray(image)[..., 0].astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)).save(path, kind)
    code = f"""
from pathlib import Path
import numpy as np
from appliance.formats import Limits, open_picture
from appliance.types import Mask, ceil_eighths, grid
def carry(data, promised):
    picture = open_picture(data, Limits(), promised.append)
    page = picture.pages[0]
    def look(page):
        for rendering in range(page.renderings):
            page.read(4, np.empty((*ceil_eighths(page.size, 4), 3), np.uint8), rendering)
    look(page)
    masks = [Mask(np.eye(*grid(page.size, page.cell), dtype=bool), page.cell, page.size)]
    look(picture.check(picture.rewrite(masks), masks).pages[0])
def resident(word):
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith(word))
import io
from PIL import Image
file = io.BytesIO()
Image.new({mode!r}, (99, 99)).save(file, {kind!r})
carry(file.getvalue(), [])
data, promised = Path({str(path)!r}).read_bytes(), []
open("/proc/self/clear_refs", "w").write("5")
before = resident("VmRSS")
carry(data, promised)
print(resident("VmHWM") - before, *promised)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    taken, promised = map(int, done.stdout.split())
    assert promised / 4 < taken < promised + (4 << 20)
