"""The allow-list: which attributes the IOD of a SOP class has, where, and which of them it must have (PS3.3 annex A, via highdicom)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache

from pydicom.datadict import dictionary_VR, tag_for_keyword

from appliance.deid.table import DATA

TYPES = ("1", "1C", "2", "2C", "3")
"""PS3.5 7.4, the strictest first."""

CODE_MEANING = 0x00080104


@dataclass
class Attribute:
    """One attribute at one place.

    type : the strictest of the modules that hold it, the mandatory ones before the others
    mandatory : a module of usage M holds it
    items : a sequence's attributes
    """

    keyword: str
    tag: int
    vr: str
    type: str = "3"
    mandatory: bool = False
    items: dict[int, Attribute] = field(default_factory=dict)

    @property
    def is_concept(self) -> bool:
        """Whether its items are coded concepts (PS3.3 8.8)."""
        return CODE_MEANING in self.items

    def meet(self, type_: str, mandatory: bool) -> None:
        """One more module that holds it."""
        if mandatory == self.mandatory:
            self.type = min(self.type, type_, key=TYPES.index)
        elif mandatory:
            self.type, self.mandatory = type_, True


@lru_cache(1)
def _data() -> tuple[dict[str, list[tuple[str, str]]], dict[str, dict[str, str]]]:
    value = json.loads((DATA / "iods.json").read_text("utf-8"))
    return value["classes"], value["modules"]


def sop_classes() -> tuple[str, ...]:
    return tuple(_data()[0])


@lru_cache(32)
def attributes_of(sop_class: str) -> dict[int, Attribute]:
    """Tag -> attribute of the IOD's top level. Raises KeyError for a class that is not handled."""
    classes, modules = _data()
    top: dict[int, Attribute] = {}
    for module, usage in classes[sop_class]:
        for path, type_ in modules.get(module, {}).items():
            _place(top, path.split("."), type_, usage == "M")
    return dict(sorted(top.items()))


def _place(level: dict[int, Attribute], path: list[str], type_: str, mandatory: bool) -> None:
    for keyword in path:
        tag = tag_for_keyword(keyword)
        if tag is None:  # a group that repeats, 60xx; none of them stays
            return
        found = level.setdefault(tag, Attribute(keyword, tag, dictionary_VR(tag), "3"))
        if keyword is path[-1]:
            found.meet(type_, mandatory)
        level = found.items
