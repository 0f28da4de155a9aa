"""What every format shares: the protocol, the limits, the size of a reduced picture."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.errors import BadFile
from appliance.types import Mask, Pixels, ceil_eighths

PROFILE_DROPPED = "ICC profile dropped, colours are now taken for sRGB"


@dataclass(frozen=True)
class Limits:
    """max_pixels : of all pages together."""

    max_pixels: int = 100_000_000


@dataclass(frozen=True, eq=False)
class Darkened:
    """A page, and the cells of it that are black in another."""

    page: Page
    mask: Mask


class Page(Protocol):
    """One picture of a file, as a viewer shows it."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) px, after the file's orientation is applied."""
        ...

    @property
    def cell(self) -> tuple[int, int]:
        """(height, width) px of the smallest part that can be blackened alone; the grid of this page's masks."""
        ...

    @property
    def renderings(self) -> int:
        """In how many ways the page is shown in 8 bits; text need not be visible in more than one of them."""
        ...

    def read(self, num: int, out: Pixels, rendering: int = 0) -> None:
        """Write the RGB picture, reduced to num/8, into out.

        num : 1..16
        out : (ceil(height * num / 8), ceil(width * num / 8), 3) uint8, pixels adjacent; may be a view into a larger canvas
        rendering : 0..renderings - 1
        Raises BadFile.
        """
        ...

    def darkened(self, num: int) -> Darkened | None:
        """What this page was made from, where it is proved that `read` at num/8 gives black under the mask and elsewhere exactly
        the pixels of the page it was made from; None: nothing is known, read it."""
        ...


class Picture(Protocol):
    """A file that can be looked at, masked and checked. Used by one thread at a time."""

    @property
    def format(self) -> str:
        """ "jpeg", "png", "bmp" or "tiff"."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for people; fixed sentences, nothing from the file."""
        ...

    @property
    def memory(self) -> int:
        """Bytes that reading, masking and checking the picture take at most beside the file, by what its headers promise. Known
        before the samples are decoded, which the first use of `pages` does where a page cannot be read without."""
        ...

    @property
    def pages(self) -> Sequence[Page]: ...

    def rewrite(self, masks: Sequence[Mask]) -> bytes:
        """The file with everything under the masks (one a page) black and nothing in it but the pictures. Raises BadFile."""
        ...

    def check(self, finished: bytes, masks: Sequence[Mask]) -> Picture:
        """Read the finished bytes back and compare with this picture: same pages, size and bit depth; black under the masks;
        equal elsewhere; no other structure. Returns the reopened picture, so that the detector can look again.
        Raises BadFile("not-faithful")."""
        ...


def check_request(page: Page, num: int, out: Pixels, rendering: int) -> None:
    """Raises ValueError unless `Page.read` can do what it is asked: the caller is to blame, not the file."""
    if out.shape != (*ceil_eighths(page.size, num), 3):
        raise ValueError(f"a picture of {page.size} px at {num}/8 does not fit an array of {out.shape}")
    if not 0 <= rendering < page.renderings:
        raise ValueError(f"rendering {rendering} was asked for, the page has {page.renderings}")


def check_pixels(sizes: Sequence[tuple[int, int]], limits: Limits) -> None:
    """Refuse a picture that is too large, from its headers alone. Raises BadFile."""
    total = sum(height * width for height, width in sizes)
    if total > limits.max_pixels:
        height, width = sizes[0]
        pages = f" on the first of {len(sizes)} pages" if len(sizes) > 1 else ""
        limit = limits.max_pixels / 1e6
        raise BadFile("too-large", f"the picture is {width} x {height} px{pages}, {total / 1e6:.1f} Mpx in all, the limit is {limit:g} Mpx")


def raster_memory(height: int, width: int, channels: int, bits: int) -> int:
    """Picture.memory of a page of samples: at most eight copies of them, of one byte each or of two, and what is shown of them. Tried
    with every type of file at 12 Mpx: test_memory.test_memory_is_as_promised."""
    return height * width * (8 * channels * (2 if bits > 8 else 1) + 9)


def matching(masks: Sequence[Mask], pages: Sequence[Page]) -> Sequence[Mask]:
    """The masks, once each is known to lie on its page's grid. Raises ValueError: the caller is to blame, not the file."""
    if [(mask.size, mask.cell) for mask in masks] != [(page.size, page.cell) for page in pages]:
        raise ValueError(f"{len(masks)} masks do not lie on the grids of {len(pages)} pages")
    return masks


DECODER_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, LookupError, NameError, OSError, RuntimeError),
    *(StopIteration, SyntaxError, TypeError, ValueError, Warning, struct.error, zlib.error),
)
"""What decoders raise on broken data: every class of error but MemoryError, which says nothing of the data."""
