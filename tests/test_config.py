"""The configuration: what it takes, and what it refuses by name."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from appliance.config import Config, Folders, document, load, parse, salvage
from appliance.errors import BadConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_nothing_configured_is_the_defaults() -> None:
    assert parse({}) == Config()
    assert load() == replace(Config(), folders=Folders().resolved())


def test_a_key_changes_only_itself() -> None:
    config = parse({"detect": {"threshold": 90}, "folders": {"out": "/srv/out"}})
    assert config.detect == replace(Config().detect, threshold=90)
    assert config.folders == replace(Config().folders, out=Path("/srv/out"))
    assert (config.intake, config.engine, config.limits, config.page) == (Config().intake, Config().engine, Config().limits, Config().page)


def test_a_whole_number_will_do_for_a_float() -> None:
    value = parse({"intake": {"settle_s": 3}}).intake.settle_s
    assert (value, type(value)) == (3.0, float)


@pytest.mark.parametrize("value", [0, 65535])
def test_the_ends_of_a_range_belong_to_it(value: int) -> None:
    assert parse({"page": {"port": value}}).page.port == value


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ({"detekt": {}}, "detekt", "is unknown, choose one of folders, intake"),
        ({"detect": {"treshold": 1}}, "detect.treshold", "is unknown, choose one of mode, threshold"),
        ({"detect": 3}, "detect", "must be a table, [detect]"),
        ({"page": {"port": "80"}}, "page.port", "is '80', must be int"),
        ({"page": {"port": True}}, "page.port", "is True, must be int"),
        ({"page": {"port": 80.0}}, "page.port", "is 80.0, must be int"),
        ({"intake": {"watch": 1}}, "intake.watch", "is 1, must be bool"),
        ({"intake": {"settle_s": "2"}}, "intake.settle_s", "is '2', must be float"),
        ({"intake": {"settle_s": True}}, "intake.settle_s", "is True, must be float"),
        ({"folders": {"out": 1}}, "folders.out", "is 1, must be a path"),
        ({"page": {"host": ["a"]}}, "page.host", "is ['a'], must be str"),
        ({"detect": {"mode": "blur"}}, "detect.mode", "is 'blur', choose one of mask, boxes"),
        ({"page": {"port": 65536}}, "page.port", "is 65536, must be between 0 and 65535"),
        ({"page": {"port": -1}}, "page.port", "is -1, must be between 0 and 65535"),
        ({"limits": {"file_mib": 0}}, "limits.file_mib", "is 0, must be between 1 and 4096 MiB"),
        ({"limits": {"memory_mib": 63}}, "limits.memory_mib", "is 63, must be at least 64 MiB"),
        ({"intake": {"sweep_s": float("nan")}}, "intake.sweep_s", "is nan, must be between"),
        ({"intake": {"sweep_s": float("inf")}}, "intake.sweep_s", "is inf, must be between"),
    ],
)
def test_a_bad_value_is_refused_by_name(values: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(BadConfig) as caught:
        parse(values)
    assert caught.value.key == key
    assert says in caught.value.problem
    assert str(caught.value) == f"configuration: {key}: {caught.value.problem}"


@pytest.mark.parametrize("content", [b"[page\n", b"page = 1\npage = 2", b"\xff"])
def test_a_bad_file_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_bytes(content)
    with pytest.raises(BadConfig, match="is not valid TOML") as caught:
        load(path)
    assert caught.value.key == str(path)


def test_an_unreadable_file_is_refused_by_name(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(BadConfig, match=f"cannot be read: {says}") as caught:
            load(path)
        assert caught.value.key == str(path)


def test_folders_are_absolute_and_below_the_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "box.toml"
    path.write_text('[folders]\nbox = "b"\nout = "/srv/out"\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    folders = load(path).folders
    assert (folders.box, folders.inbox, folders.out) == (tmp_path / "b", tmp_path / "b" / "in", Path("/srv/out"))
    assert load(path, box=Path("/other")).folders.inbox == Path("/other/in")


def test_the_document_parses_back() -> None:
    assert parse(tomllib.loads(document())) == Config()
    changed = parse({"folders": {"box": 'a "böx" \\ of ours 📦'}, "intake": {"watch": False, "settle_s": 0.5}, "detect": {"mode": "boxes"}})
    assert parse(tomllib.loads(document(changed))) == changed


def test_the_document_explains_every_key() -> None:
    lines = document().splitlines()
    for section in fields(Config):
        for spec in fields(getattr(Config(), section.name)):
            assert spec.metadata["why"], f"{section.name}.{spec.name} says nothing"
            assert any(line.startswith(f"{spec.name} = ") and spec.metadata["why"] in line for line in lines)


def test_what_is_wrong_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_text('page = 1\n[intake]\nsettle = 3\nsweep_s = 9\n[signal]\nled = 5\nsound = "beep"\n[usb]\nresults = "stick"\n')
    config, wrong = salvage(path, box=tmp_path)
    assert wrong is not None and wrong.key in ("page", "intake.settle", "signal.led")
    assert (config.intake.sweep_s, config.signal.led, config.signal.sound, config.usb.results) == (9.0, "auto", "beep", "stick")
    assert config.folders.state == tmp_path / "state"


@pytest.mark.parametrize(("text", "key"), [("[page", "box.toml"), ('[usb]\nresults = "stick"\n[shares]\nout = "n:/o"\n', "usb.results")])
def test_without_a_readable_file_the_defaults_are_told_of_and_a_good_one_is_as_it_is(text: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_text(text)
    wrong = salvage(path)[1]
    assert wrong is not None and wrong.key.endswith(key)
    path.write_text("[page]\nport = 1\n")
    assert salvage(path) == (load(path), None)
