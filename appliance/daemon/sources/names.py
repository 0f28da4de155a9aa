"""What a thing is that its name alone says is no picture: one list for the drop folder, sticks and shares."""

from __future__ import annotations

import re

BIN = "recycle bin"
"""Where a NAS or a desktop keeps what was deleted: also what the box took away."""

_IGNORED = {
    BIN: r"#recycle|@recycle|\.recycle|\.recycled|\.trash|\.trashes|\.trash-.*|\$recycle\.bin|recycler|recycled|network trash folder",
    "system folder": r"system volume information|lost\+found|found\.[0-9]{3}|@eadir|@recently-snapshot|@tmp|#snapshot|\.snapshots?"
    r"|~snapshot|@sharebin|\.@__thumb|\.zfs",
    "thumbnail database": r"(thumbs|ehthumbs|ehthumbs_vista)\.db|\.ds_store|.*\.db",
    "side file": r".*:zone\.identifier(:\$data)?|.*:com\.apple\.[a-z.]+(:\$data)?|.*:afp_(afpinfo|resource)(:\$data)?|.*\.(lnk|url|ini)"
    r"|_?reason\.json",
    "hidden or temporary": r"\..*|~\$.*|.*\.(part|tmp|partial|crdownload|filepart)",
}
"""Kind -> names, of files and folders, that are never looked into; the first that fits counts."""

_OTHERS = {
    "DICOM": r"dicomdir",
    "text": r".*\.(txt|csv|inf|log|idx|cal|dat)",
    "XML or HTML": r".*\.(xml|html?|json)",
    "PDF": r".*\.pdf",
    "video": r".*\.(mp4|m4v|mov|avi|mpe?g|mts|m2ts|wmv|mkv)",
}
"""Kind -> names of files that stay on a stick unless they begin like a picture."""

PICTURE = re.compile(r".*\.(jpe?g|jpe|jfif|png|bmp|dib|tiff?|dcm|dic)", re.DOTALL)


def _compiled(kinds: dict[str, str]) -> list[tuple[str, re.Pattern[str]]]:
    return [(kind, re.compile(pattern, re.DOTALL)) for kind, pattern in kinds.items()]


_IGNORED_PATTERNS, _OTHER_PATTERNS = _compiled(_IGNORED), _compiled(_OTHERS)


KINDS = (*_IGNORED, *_OTHERS, "other")


def ignored_as(name: str) -> str | None:
    """The kind of a thing that is never looked into; None for all others."""
    return next((kind for kind, pattern in _IGNORED_PATTERNS if pattern.fullmatch(name.casefold())), None)


def kind_of(name: str) -> str:
    """What a file that is no picture is, in a word for the page."""
    return next((kind for kind, pattern in _OTHER_PATTERNS if pattern.fullmatch(name.casefold())), "other")
