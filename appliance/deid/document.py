"""The part of the conformance statement that tells what becomes of a header, after PS3.2 N.11, from the very tables that decide it.

python -m appliance.deid.document > deploy/docs/dicom-conformance.md
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.datadict import dictionary_description
from pydicom.uid import UID

from appliance.deid.iods import Attribute, attributes_of, sop_classes
from appliance.deid.rules import fate
from appliance.deid.statement import CODES
from appliance.deid.table import EDITION, row_of
from appliance.deid.terms import TERMS
from appliance.deid.values import Rules

OPTIONS = {
    "characteristics": Rules(retain_characteristics=True),
    "device": Rules(retain_device=True),
    "dates": Rules(shift_dates=True),
}
HEAD = f"""# DICOM conformance: de-identification

Written by `python -m appliance.deid.document` from the tables that decide what happens; a test compares the two. It is laid out as PS3.2
N.11, "De-identified Elements and Actions". Profile: Basic Application Level Confidentiality Profile, Table E.1-1 of PS3.15 {EDITION}, and
its Clean Pixel Data Option.

## What is made of a file

- A new dataset and new File Meta Information are written. What is not in the table below is not copied: private and unknown elements,
  overlays (60xx), curves (50xx), icons, ICC profiles, encapsulated documents, digital signatures, group lengths, padding, the preamble.
- An attribute is copied only where the IOD of the SOP class has it. "Keep" copies numbers, and code strings and coded concepts that are
  the standard's own words; any other value is treated as the attribute's type asks (Type 1: a dummy, Type 2: empty, Type 3: left out).
- Patient ID (0010,0020) and Patient's Name (0010,0010) become the box's own number of the examination.
- UIDs outside the standard's root become 2.25.N by a keyed hash (HMAC-SHA-256). The key is an examination's own and forgotten with it;
  with `uids = "box"` it is the box's and stays, so that later examinations keep their references.
- With `shift_dates` dates move back by a secret number of days, between one and ten years, the same for a whole examination.
- The finished file is searched for every string and date of the source; a file in which one is found is refused.

## What is written about it

| attribute | value | when |
|---|---|---|
| (0012,0062) Patient Identity Removed | YES | after the pixels were found free of text |
| (0012,0063) De-identification Method | program, profile with edition; model | always; after the pixels were found free of text |
| (0012,0064) De-identification Method Code Sequence | the codes below | |
| (0028,0301) Burned In Annotation | NO | after the pixels were found free of text |
| (0028,0303) Longitudinal Temporal Information Modified | REMOVED, or MODIFIED with `shift_dates` | always |

| code (DCM) | meaning | when |
|---|---|---|
"""
WHEN = {
    "113100": "always",
    "113101": "after the pixels were found free of text",
    "113107": "`shift_dates`",
    "113108": "`retain_characteristics`",
    "113109": "`retain_device`",
}


def document() -> str:
    codes = "\n".join(f"| {code} | {meaning} | {WHEN[code]} |" for code, meaning in CODES.items())
    classes = "\n".join(f"- {UID(uid).name}, {uid}" for uid in sop_classes())
    return f"{HEAD}{codes}\n\n## SOP classes\n\n{classes}\n\n{TABLE_HEAD}" + "".join(_lines()) + "\n" + _words()


TABLE_HEAD = """## De-identified elements and actions

"E.1-1" is the table's action. An option's column is filled where it changes what is done. Where SOP classes differ in an attribute's type,
all that happens is named.

| attribute | tag | VR | E.1-1 | action | `retain_characteristics` | `retain_device` | `shift_dates` |
|---|---|---|---|---|---|---|---|
"""


def _lines() -> Iterator[str]:
    places: dict[str, list[Attribute]] = {}
    for uid in sop_classes():
        for path, attribute in _walk("", attributes_of(uid)):
            places.setdefault(path, []).append(attribute)
    for path, found in sorted(places.items()):
        basic, row = _fates(found, Rules()), row_of(found[0].tag)
        options = [_fates(found, rules) for rules in OPTIONS.values()]
        cells = [path, _tag(found[0].tag), found[0].vr, row.basic if row else "", basic]
        yield f"| {' | '.join(cells + [option if option != basic else '' for option in options])} |\n"


def _walk(prefix: str, attributes: dict[int, Attribute]) -> Iterator[tuple[str, Attribute]]:
    """Every attribute that a value can come from: not the items of a sequence that does not stay, nor the parts of a coded concept."""
    for attribute in attributes.values():
        path = prefix + dictionary_description(attribute.tag)
        yield path, attribute
        if attribute.items and not attribute.is_concept and fate(attribute, Rules()) == "keep":
            yield from _walk(path + " > ", attribute.items)


def _fates(found: list[Attribute], rules: Rules) -> str:
    return ", ".join(sorted({fate(attribute, rules) for attribute in found}))


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _words() -> str:
    lines = [f"- {keyword}: {', '.join(sorted(words))}\n" for keyword, words in sorted(TERMS.items())]
    return "\n## Code strings that stay\n\nAnd Patient Orientation with values of A, P, R, L, H and F.\n\n" + "".join(lines)


if __name__ == "__main__":
    print(document(), end="")
