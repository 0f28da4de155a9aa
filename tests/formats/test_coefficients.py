"""One entropy decode for everything: the same pixels and the same bytes as TurboJPEG's, every difference seen, nothing kept."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from drawn import LIMITS, SUBSAMPLINGS, encoded, jpeg, masks_for, still
from transforms import coefficients, transform

from appliance.errors import AnonBoxError, BadFile
from appliance.formats import coefficients as module
from appliance.formats import markers, open_picture, turbo
from appliance.formats.coefficients import LARGEST, SMALLEST, Coefficients
from appliance.types import Cells, ceil_eighths, grid

FULL = 8
BLACK = {"grey": (-64,), "RGB": (-64, -60, -57), "YCbCr": (-64, 0, 0)}
KINDS = {
    **{
        f"{name} {'progressive' if late else 'baseline'}": jpeg(still(61, 83), name, late)
        for name in SUBSAMPLINGS
        for late in (False, True)
    },
    "RGB": encoded(still(61, 83), "JPEG", keep_rgb=True),
    "RGB progressive": encoded(still(61, 83), "JPEG", keep_rgb=True, progressive=True),
    "restart markers": encoded(still(61, 83), "JPEG", restart_marker_blocks=3),
    "optimised tables": encoded(still(61, 83), "JPEG", optimize=True, quality=97),
}


def with_factors(data: bytes, factors: int) -> bytes:
    """A grey JPEG that claims sampling factors, which mean nothing where there is one component."""
    place = data.index(b"\xff\xc0") + 11
    return data[:place] + bytes((factors,)) + data[place + 1 :]


KINDS["grey with factors"] = with_factors(KINDS["grey baseline"], 0x22)


def cells_for(data: bytes, seed: int = 0, share: float = 0.3) -> Cells:
    parsed = markers.parse(data)
    return np.random.default_rng(seed).random(grid((parsed.height, parsed.width), parsed.mcu)) < share


def black_of(data: bytes) -> Sequence[int]:
    return BLACK[turbo.header(data).colorspace]


def masked_by_turbojpeg(data: bytes, cells: Cells) -> bytes:
    parts, black = markers.parse(data).components, black_of(data)

    def blacken(component: int, row: int, blocks: np.ndarray) -> None:
        hit = cells[row // parts[component].vertical].repeat(parts[component].horizontal)[: len(blocks)]
        blocks[hit] = 0
        blocks[hit, 0] = black[component]

    return transform(data, blacken)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_turbojpegs_to_the_bit(kind: str) -> None:
    data = KINDS[kind]
    for num in range(SMALLEST, LARGEST + 1):
        height, width = ceil_eighths((61, 83), num)
        expected, canvas = np.empty((height, width, 3), np.uint8), np.full((height + 2, width + 3, 3), 7, np.uint8)
        turbo.decode(data, expected)
        decoded, found = Coefficients(data, num), canvas[1 : 1 + height, 2 : 2 + width]
        for _ in range(2):  # a second output of the same decode
            found[...] = 9
            decoded.read(found)
            np.testing.assert_array_equal(found, expected, f"{num}/8")
        assert (canvas[0] == 7).all() and (canvas[-1] == 7).all() and (canvas[:, :2] == 7).all() and (canvas[:, -1] == 7).all()


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_turbojpegs_to_the_byte(kind: str) -> None:
    data = KINDS[kind]
    for num, seed, share in ((FULL, 0, 0.0), (SMALLEST, 1, 0.3), (4, 2, 0.9), (LARGEST, 3, 1.0)):
        cells, decoded = cells_for(data, seed, share), Coefficients(data, num)
        assert decoded.write(cells, black_of(data)) == masked_by_turbojpeg(data, cells)


@pytest.mark.parametrize("kind", ["4:2:0 baseline", "4:1:1 progressive", "grey with factors", "RGB"])
def test_writing_leaves_the_source_as_it_was(kind: str) -> None:
    data = KINDS[kind]
    cells, decoded, black = cells_for(data), Coefficients(data, 4), black_of(data)
    before, after = (np.empty((*ceil_eighths((61, 83), 4), 3), np.uint8) for _ in range(2))
    decoded.read(before)
    decoded.write(cells, black)
    decoded.read(after)
    assert np.array_equal(before, after)
    assert coefficients(decoded.write(np.zeros_like(cells), black)).keys() == coefficients(data).keys()
    for place, blocks in coefficients(decoded.write(np.zeros_like(cells), black)).items():
        np.testing.assert_array_equal(blocks, coefficients(data)[place])


@pytest.mark.parametrize("kind", ["4:2:0 baseline", "4:2:2 baseline", "grey baseline", "RGB"])
def test_every_flipped_coefficient_is_found(kind: str) -> None:
    data, rng = KINDS[kind], np.random.default_rng(4)
    cells, black = cells_for(data), black_of(data)
    source = Coefficients(data, FULL)
    finished = source.write(cells, black)
    assert source.difference(Coefficients(finished, FULL, strict=True), cells, black) is None
    planes = coefficients(finished)
    for place in [*planes, *planes]:
        block, index = rng.integers(len(planes[place])), rng.integers(64)

        def flip(component: int, row: int, blocks: np.ndarray, at: tuple[tuple[int, int], int, int] = (place, block, index)) -> None:
            if (component, row) == at[0]:
                blocks[at[1], at[2]] ^= 1

        assert source.difference(Coefficients(transform(finished, flip), FULL), cells, black) == place


def test_a_cell_too_few_or_too_many_is_found() -> None:
    data = KINDS["4:2:0 baseline"]
    cells, black, source = cells_for(data), black_of(data), Coefficients(data, FULL)
    for place in np.ndindex(*cells.shape):
        other = cells.copy()
        other[place] ^= True
        assert source.difference(Coefficients(source.write(other, black), FULL), cells, black) == (0, 2 * place[0])


def test_pictures_of_other_layouts_are_not_compared() -> None:
    data = KINDS["4:2:0 baseline"]
    for other in (KINDS["4:4:4 baseline"], KINDS["grey baseline"], jpeg(still(61, 99))):
        with pytest.raises(turbo.TurboError, match="other MCUs"):
            Coefficients(data, FULL).difference(Coefficients(other, FULL), cells_for(data), black_of(data))
    with pytest.raises(turbo.TurboError, match="two ways"):
        Coefficients(data, FULL).write(np.zeros((4, 7), bool), black_of(data))


def test_a_look_at_an_eighth_takes_nothing_from_the_file() -> None:
    """At 1/8 libjpeg skips all coefficients but the first; what is written must come from another decode."""
    data = KINDS["4:2:0 baseline"]
    picture, fresh = open_picture(data, LIMITS), open_picture(data, LIMITS)
    picture.pages[0].read(1, np.empty((*ceil_eighths((61, 83), 1), 3), np.uint8))
    masks = masks_for(picture)
    assert picture.rewrite(masks) == fresh.rewrite(masks)
    for num in (0, 1, LARGEST + 1):
        with pytest.raises(ValueError, match="is not between"):
            Coefficients(data, num)


def test_a_picture_without_its_last_scans_is_looked_at_as_it_is_written() -> None:
    """libjpeg smooths such a picture over the edges of MCUs; the baseline file that comes of it is not smoothed."""
    data = jpeg(still(61, 83), "4:4:4", progressive=True)
    scans = [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]
    assert len(scans) > 3
    early = data[: data.rindex(b"\xff\xc4", 0, scans[1])] + b"\xff\xd9"  # the first scan: DC alone
    picture = open_picture(early, LIMITS)
    seen, written, smoothed = (np.empty((61, 83, 3), np.uint8) for _ in range(3))
    picture.pages[0].read(FULL, seen)
    (mask,) = masks_for(picture)
    turbo.decode(Coefficients(early, FULL).write(np.zeros_like(mask.cells), black_of(early)), written)
    turbo.decode(early, smoothed)
    assert np.array_equal(seen, written) and not np.array_equal(seen, smoothed)


def test_endless_scans_are_refused() -> None:
    flat = jpeg(np.full((8, 8, 3), 128, np.uint8), "grey")
    start = flat.index(b"\xff\xda")
    head = flat[:start].replace(b"\xff\xc0", b"\xff\xc2")
    first = b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00\x3f"
    again = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00\xaf"
    decoded = Coefficients(head + first + 499 * again + b"\xff\xd9", FULL)
    assert decoded.write(np.zeros((1, 1), bool), (0,))
    with pytest.raises(BadFile, match="more than 500 scans"):
        open_picture(head + first + 500 * again + b"\xff\xd9", LIMITS).rewrite(masks_for(open_picture(flat, LIMITS)))


@pytest.mark.parametrize("kind", ["4:2:0 baseline", "4:2:0 progressive"])
def test_a_file_cut_off_is_incomplete_at_the_first_look(kind: str) -> None:
    data = KINDS[kind]
    for cut in (*range(0, 60, 7), 300, 900):
        page = open_picture(data[: len(data) - 12 - cut] + b"\xff\xd9", LIMITS).pages[0]
        with pytest.raises(BadFile) as caught:
            page.read(4, np.empty((*ceil_eighths(page.size, 4), 3), np.uint8))
        assert caught.value.code == "incomplete", caught.value.reason


def test_only_padding_before_the_end_is_forgiven_and_not_strictly() -> None:
    data = KINDS["4:2:0 baseline"]
    padded = data[:-2] + bytes(50) + b"\xff\xd9"
    assert Coefficients(padded, FULL).write(cells_for(data), black_of(data)) == Coefficients(data, FULL).write(
        cells_for(data), black_of(data)
    )
    with pytest.raises(turbo.TurboError, match="extraneous"):
        Coefficients(padded, FULL, strict=True)
    late = encoded(still(61, 83), "JPEG", restart_marker_rows=1)
    middle = late.index(b"\xff\xd1")
    with pytest.raises(turbo.TurboError, match="extraneous"):
        Coefficients(late[:middle] + bytes(50) + late[middle:], FULL)


def test_after_trouble_there_is_only_trouble() -> None:
    data = KINDS["4:2:0 baseline"]
    decoded = Coefficients(data, FULL)
    with pytest.raises(turbo.TurboError, match="another size"):
        decoded.read(np.empty((61, 84, 3), np.uint8))
    for call in (lambda: decoded.read(np.empty((61, 83, 3), np.uint8)), lambda: decoded.write(cells_for(data), black_of(data))):
        with pytest.raises(turbo.TurboError, match="another size"):
            call()


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def test_memory_stays_flat() -> None:
    data = jpeg(still(256, 256), "4:4:4")  # 384 KiB of coefficients
    cells, black, pixels = cells_for(data), black_of(data), np.empty((128, 128, 3), np.uint8)

    def use() -> None:
        decoded = Coefficients(data, 4)
        decoded.read(pixels)
        assert decoded.difference(Coefficients(decoded.write(cells, black), 4), cells, black) is None
        with pytest.raises(turbo.TurboError):
            Coefficients(data[:5000] + b"\xff\xd9", 4)

    for _ in range(50):
        use()
    before = resident_kib()
    for _ in range(250):  # 500 objects of good files, 250 of bad ones
        use()
    assert resident_kib() - before < 4096


def test_a_missing_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(AnonBoxError, match="make setup"):
        module.library.__wrapped__()
    assert module.library_version()[0].isdigit()
