"""Other detectors, detection only, on the same pictures: what the box would use if it had no network of its own."""

from __future__ import annotations

import atexit
import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_void_p
from functools import partial

import numpy as np

from appliance.errors import AnonBoxError
from appliance.types import Pixels

Detect = Callable[[Pixels], object]

SPARSE_TEXT, TEXT_LINES = 11, 2
"""PSM_SPARSE_TEXT, "find as much text as possible in no particular order", and RIL_TEXTLINE, of Tesseract's publictypes.h."""

SCREEN_DPI = 96
"""A picture from memory has no resolution, and Tesseract would say so for every one."""


class Unavailable(AnonBoxError):
    """This machine lacks what a row needs; the text says what."""


def rapidocr() -> Detect:
    """The detector of RapidOCR (PP-OCRv4, ONNX Runtime), as its package ships it."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise Unavailable(f"{error.name} is not installed; make bench") from error
    detector = RapidOCR().text_det

    def detect(picture: Pixels) -> object:
        return detector(np.ascontiguousarray(picture[..., ::-1]))

    return detect


def tesseract(read: bool) -> Detect:
    """Tesseract's layout analysis, which finds what may be lines and tells text from texture no better than by size and shape;
    read : and then its recognition, which is how one learns from Tesseract where text is."""
    try:
        lib = ctypes.CDLL("libtesseract.so.5")
    except OSError as error:
        raise Unavailable("libtesseract.so.5 is not there; apt-get install tesseract-ocr") from error
    lib.TessBaseAPICreate.restype = c_void_p
    lib.TessBaseAPIInit3.argtypes = [c_void_p, c_char_p, c_char_p]
    lib.TessBaseAPISetPageSegMode.argtypes = lib.TessBaseAPISetSourceResolution.argtypes = [c_void_p, c_int]
    lib.TessBaseAPISetImage.argtypes = [c_void_p, c_void_p, c_int, c_int, c_int, c_int]
    lib.TessBaseAPIGetComponentImages.restype = c_void_p
    lib.TessBaseAPIGetComponentImages.argtypes = [c_void_p, c_int, c_int, c_void_p, POINTER(POINTER(c_int))]
    lib.TessBaseAPIRecognize.argtypes = [c_void_p, c_void_p]
    lib.TessBaseAPIDelete.argtypes = [c_void_p]
    handle = lib.TessBaseAPICreate()
    atexit.register(lib.TessBaseAPIDelete, handle)
    if lib.TessBaseAPIInit3(handle, None, b"eng"):
        raise Unavailable("Tesseract finds no English data; apt-get install tesseract-ocr-eng")
    lib.TessBaseAPISetPageSegMode(handle, SPARSE_TEXT)

    def detect(picture: Pixels) -> object:
        picture = np.ascontiguousarray(picture)
        height, width = picture.shape[:2]
        lib.TessBaseAPISetImage(handle, picture.ctypes.data, width, height, 3, 3 * width)
        lib.TessBaseAPISetSourceResolution(handle, SCREEN_DPI)
        return lib.TessBaseAPIRecognize(handle, None) if read else lib.TessBaseAPIGetComponentImages(handle, TEXT_LINES, 1, None, None)

    return detect


ALL: dict[str, Callable[[], Detect]] = {
    "RapidOCR, detection only": rapidocr,
    "Tesseract, layout analysis only": partial(tesseract, read=False),
    "Tesseract, words": partial(tesseract, read=True),
}
