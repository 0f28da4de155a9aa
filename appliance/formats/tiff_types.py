"""Which types of TIFF are handled, and the numbers that TIFF 6.0 gives them."""

from __future__ import annotations

from appliance.errors import BadFile
from appliance.formats import ifd
from appliance.formats.ifd import Directory

RAW, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 7, 8, 32946, 32773
FAX = (2, 3, 4)  # CCITT runs, T.4, T.6
KEPT = (RAW, LZW, DEFLATE, PACKBITS)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
HORIZONTAL = 2
UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2  # of ExtraSamples


def refuse_unhandled(page: Directory) -> None:
    """Raises BadFile unless every tag has a value that is understood; names the value and what is handled."""
    if not page.one(ifd.WIDTH, 0) or not page.one(ifd.HEIGHT, 0):
        raise BadFile("damaged", "the TIFF has a page without width or height")
    compression, photometric = page.one(ifd.COMPRESSION, RAW), page.one(ifd.PHOTOMETRIC, -1)
    is_jpeg = compression == JPEG
    if compression not in (*KEPT, OLD_DEFLATE, JPEG, *FAX):
        raise BadFile(
            "unsupported", f"the TIFF has compression {compression}; none, LZW, deflate, PackBits, fax (2-4), JPEG (7) are handled"
        )
    if ifd.PHOTOMETRIC not in page.tags:
        raise BadFile("damaged", "the TIFF does not say its colour space")
    if is_jpeg and photometric not in (BLACK_IS_ZERO, RGB, YCBCR):
        raise BadFile("unsupported", f"the TIFF has JPEG inside in colour space {photometric}; grey, RGB and YCbCr are handled")
    if not is_jpeg and photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE):
        raise BadFile("unsupported", f"the TIFF has colour space {photometric}; grey, RGB and palette are handled")
    _refuse_samples(page, photometric, is_jpeg)
    _refuse_order(page)


def _refuse_samples(page: Directory, photometric: int, is_jpeg: bool) -> None:
    bits, channels = page.one(ifd.BITS, 1), page.one(ifd.CHANNELS, 1)
    colours = 3 if photometric in (RGB, YCBCR) else 1
    if is_jpeg and channels != colours:
        raise BadFile("unsupported", f"the TIFF has JPEG inside with {channels} channels, {colours} are handled for its colour space")
    if photometric == PALETTE and channels != 1:
        raise BadFile("unsupported", f"the TIFF has a palette and {channels} channels, 1 is handled")
    if channels not in (colours, colours + 1):
        raise BadFile("unsupported", f"the TIFF has {channels} channels, {colours} are handled for its colour space, or one more for alpha")
    plain = (1, 2, 4, 8) if photometric == PALETTE else (1, 2, 4, 8, 16)
    possible = (8,) if is_jpeg else (8, 16) if channels > 1 else plain
    if page.one(ifd.COMPRESSION, RAW) in FAX and ((bits, channels) != (1, 1) or photometric == PALETTE):
        raise BadFile("unsupported", "the TIFF has fax compression of a picture that is not black and white")
    if len(set(page.tags.get(ifd.BITS, (1,))[:channels])) > 1:
        raise BadFile("unsupported", "the TIFF has channels of different depths")
    if bits not in possible:
        raise BadFile("unsupported", f"the TIFF has {bits} bits a sample; {', '.join(map(str, possible))} are handled for its colour space")
    if set(page.tags.get(ifd.SAMPLE_FORMAT, (1,))) != {1}:
        raise BadFile("unsupported", "the TIFF has signed or floating-point samples, unsigned ones are handled")


def _refuse_order(page: Directory) -> None:
    if page.one(ifd.PLANAR, 1) != 1 and page.one(ifd.CHANNELS, 1) > 1:
        raise BadFile("unsupported", "the TIFF stores its colours in separate planes, one plane is handled")
    if page.one(ifd.FILL_ORDER, 1) != 1 and page.one(ifd.COMPRESSION, RAW) not in FAX:
        raise BadFile("unsupported", "the TIFF stores bits in reverse order")
    predictor = page.one(ifd.PREDICTOR, 1)
    if predictor not in ((1, HORIZONTAL) if page.one(ifd.BITS, 1) >= 8 else (1,)):
        raise BadFile("unsupported", f"the TIFF has predictor {predictor}; none, or horizontal differences of 8 or 16 bits, are handled")


def extra_channel(page: Directory) -> tuple[int, ...]:
    """What the page says of a channel beside the colours, 0 to 2; () where there is none or nothing is said. Readers take each of
    the four for something else, so it is kept."""
    if page.one(ifd.CHANNELS, 1) in (1, 3) or ifd.EXTRA not in page.tags:
        return ()
    said = page.one(ifd.EXTRA, UNSPECIFIED)
    return (said if said in (UNSPECIFIED, ASSOCIATED, UNASSOCIATED) else UNSPECIFIED,)
