"""Films: frames that are decoded one after another, never all at once, and a file that is written from nothing but them.

Taken are H.264, HEVC, MPEG-2 and MPEG-4 (Part 2) with 8 bits and 4:2:0, out of MP4, MOV, AVI, MPEG-PS, MPEG-TS and Matroska; what is
written is MP4 with one video stream of the same codec. Sound, subtitles, chapters, names and dates are in no result.
"""

from appliance.formats.film.compare import compared
from appliance.formats.film.film import Film, Frame, open_film

__all__ = ["Film", "Frame", "compared", "open_film"]
