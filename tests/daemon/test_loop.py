"""The daemon turn by turn: clocks stand until a test moves them, and a lane's work is done when it is given."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.daemon import loop
from appliance.daemon import store as folders_module
from appliance.daemon.lane import Job
from appliance.daemon.parts import Host, PartView
from appliance.daemon.sources import tree
from appliance.errors import DeviceLost
from appliance.status.silhouette import Silhouette
from appliance.status.snapshot import Batch, Refused
from appliance.types import Report

from .rig import Rig, ScriptedRedactor, by_content, clean, report

MakeRig = Callable[..., Rig]


def test_a_picture_goes_all_the_way(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("Mustermann_Max/IMG_1.JPG", b"jpeg one")
    rig.go()
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg one")}
    assert rig.files("done") == {"E000001/0001-IMG_1.JPG": b"jpeg one"}
    assert rig.files("inbox") == rig.files("work") == rig.files("quarantine") == {}
    seen = rig.look()
    assert (seen.state, seen.waiting, seen.working, seen.done_today, seen.done_ever) == ("Ready", 0, 0, 1, 1)
    assert seen.images_per_minute == 1
    assert seen.engine == rig.redactor.info
    assert seen.free_bytes > 0


def test_results_tell_nothing_by_time_or_rights(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a/x.jpg")
    rig.go()
    result = rig.config.folders.out / "E000001/0001.jpg"
    for path in (result, result.parent):
        assert path.stat().st_mtime_ns == folders_module.NEUTRAL_NS
    assert result.stat().st_mode & 0o777 == 0o644
    assert (rig.config.folders.done / "E000001/0001-x.jpg").stat().st_mode & 0o777 == 0o600
    modes = {name: getattr(rig.config.folders, name).stat().st_mode & 0o777 for name in folders_module.MODES}
    assert modes == folders_module.MODES
    assert (rig.config.folders.done / "E000001").stat().st_mode & 0o777 == 0o700


def test_neither_journal_nor_snapshot_nor_log_knows_a_name(make_rig: MakeRig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rig = make_rig()
    rig.start()
    for name, content in (("good.jpg", b"jpeg"), ("bad.jpg", b"damaged"), ("lost.jpg", b"lost"), ("bug.jpg", b"bug")):
        rig.drop(f"Mustermann/{name}", content)
    (rig.inbox / "Mustermann-link").symlink_to("/etc/passwd")
    rig.go(200)
    rig.close()
    state = rig.config.folders.state
    said = caplog.text.encode() + b"".join(path.read_bytes() for path in state.iterdir() if path.is_file())
    for secret in (b"Mustermann", b"good.jpg", b"bad.jpg"):
        assert secret not in said
    assert b"E000001/0003 published in" in said


def test_pictures_are_numbered_in_the_folders_order(make_rig: MakeRig) -> None:
    rig = make_rig(ScriptedRedactor(lanes=1))
    rig.start()
    for name in ("b/IMG_10.jpg", "b/IMG_9.jpg", "a/2.png", "a/1.png", "top.tif"):
        rig.drop(name, f"{'png' if 'png' in name else 'tiff' if 'tif' in name else 'jpeg'} {name}".encode())
    rig.go(30)
    assert rig.files("out") == {
        "E000001/0001.tif": clean(b"tiff top.tif"),
        "E000002/0001.png": clean(b"png a/1.png"),
        "E000002/0002.png": clean(b"png a/2.png"),
        "E000003/0001.jpg": clean(b"jpeg b/IMG_9.jpg"),
        "E000003/0002.jpg": clean(b"jpeg b/IMG_10.jpg"),
    }


@pytest.mark.parametrize(
    ("name", "content", "ending"),
    [("a.JPEG", b"jpeg", "jpeg"), ("a.png", b"jpeg", "jpg"), ("a.dib", b"bmp", "dib"), ("a", b"tiff", "tif"), ("a.Name", b"png", "png")],
)
def test_the_ending_is_the_inputs_own_only_when_it_fits(make_rig: MakeRig, name: str, content: bytes, ending: str) -> None:
    rig = make_rig()
    rig.start()
    rig.drop(name, content)
    rig.go()
    assert list(rig.files("out")) == [f"E000001/0001.{ending}"]


def test_a_growing_file_is_not_taken(make_rig: MakeRig) -> None:
    rig = make_rig(sweep_s=1.0)
    rig.start()
    path = rig.drop("a.jpg", b"jpeg")
    for _ in range(5):
        rig.go(1)
        with open(path, "ab") as file:
            file.write(b" more")
    assert (rig.look().waiting, rig.files("work"), rig.files("out")) == (1, {}, {})
    rig.go(6)
    assert list(rig.files("out").values()) == [clean(path_content := b"jpeg" + b" more" * 5)]
    assert list(rig.files("done").values()) == [path_content]


def test_a_file_held_open_by_a_writer_is_not_taken(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    with open(rig.drop("a.jpg"), "ab"):
        rig.go(30)
        assert rig.files("out") == {}
    rig.go(10)
    assert list(rig.files("out")) == ["E000001/0001.jpg"]


def test_a_refused_file_goes_to_quarantine_with_its_reason(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start()
    rig.drop("a/report.pdf", b"unsupported")
    rig.go()
    assert rig.files("out") == rig.files("work") == rig.files("inbox") == {}
    assert rig.files("quarantine")["E000001/0001/original.pdf"] == b"unsupported"  # its own name is in the reason only
    reason = rig.reason("E000001/0001")
    assert {key: reason[key] for key in ("number", "code", "reason")} == {
        "number": "E000001/0001",
        "code": "unsupported",
        "reason": "a test says that this is unsupported",
    }
    folder = rig.config.folders.quarantine / "E000001/0001"
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "original.pdf", folder / "reason.json")] == [0o700, 0o600, 0o600]
    assert rig.look().refused_ever == 1
    assert reason.pop("name") == "report.pdf" and Refused(**reason) in rig.look().refused


def test_a_cut_off_file_is_tried_until_its_time_is_over(make_rig: MakeRig) -> None:
    rig = make_rig(incomplete_s=60.0)
    rig.start()
    rig.drop("a.jpg", b"incomplete")
    rig.drop("b.jpg", b"jpeg")
    rig.go(50)
    tries = len(rig.redactor.calls)
    assert 5 <= tries <= 10
    assert (rig.look().working, rig.look().done_ever, rig.look().refused_ever) == (1, 1, 0)
    rig.go(20)
    assert rig.reason("E000001/0001")["code"] == "incomplete"
    assert rig.files("work") == {}


def test_a_file_that_grows_in_work_is_tried_again(make_rig: MakeRig) -> None:
    rig = make_rig(incomplete_s=20.0)
    rig.start()
    rig.drop("a.jpg", b"incomplete")
    rig.go(15)
    (original,) = (rig.config.folders.state / "work").rglob("*.jpg")
    original.write_bytes(b"incomplete but more")
    rig.go(15)
    original.write_bytes(b"jpeg whole")
    rig.go(20)
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg whole")}


def test_a_file_changed_while_it_was_read_is_read_again(make_rig: MakeRig) -> None:
    rig = make_rig()

    def change_once(content: bytes, alone: bool) -> Report:
        if len(rig.redactor.calls) == 1:
            (original,) = (rig.config.folders.state / "work").rglob("*.jpg")
            original.write_bytes(b"jpeg second")
        return report()

    rig.redactor.behave = change_once
    rig.start()
    rig.drop("a.jpg", b"jpeg first")
    rig.go(20)
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg second")}


def test_many_cut_off_files_do_not_hold_up_the_others(make_rig: MakeRig) -> None:
    rig = make_rig(ScriptedRedactor(lanes=1))
    rig.start()
    for index in range(20):
        rig.drop(f"a/{index}.jpg", b"incomplete")
    rig.drop("b/good.jpg", b"jpeg")
    rig.go(45, step=0.1)
    assert list(rig.files("out")) == ["E000002/0001.jpg"]


def test_what_a_person_should_know_of_a_result_is_logged_by_number(make_rig: MakeRig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notes = ("ICC profile dropped, colours are now taken for sRGB", "turned upright")
    rig = make_rig(ScriptedRedactor(lambda content, alone: replace(report(), notes=notes)))
    rig.start()
    rig.drop("a.jpg")
    rig.go()
    said = [record.getMessage() for record in caplog.records]
    assert said.count(f"E000001/0001: {notes[0]}") == said.count(f"E000001/0001: {notes[1]}") == 1


def test_the_page_is_told_what_was_done_and_hears_of_it_after_a_restart(make_rig: MakeRig) -> None:
    rig = make_rig(ScriptedRedactor(by_content))
    rig.start()
    rig.drop("Mustermann/1.jpg")
    rig.drop("Mustermann/2.jpg", b"damaged")
    rig.go()
    seen = rig.look()
    assert (seen.done_today, seen.refused_today, seen.batch) == (1, 1, None)
    (done,) = seen.newest
    assert (done.number, done.height, done.width, done.pages, done.removed) == ("E000001/0001", 8, 32, 1, 0.25)
    assert done.silhouette == Silhouette(1, 4, "80")
    assert seen.hour and (sum(seen.hour.done), sum(seen.hour.refused)) == (1, 1)
    rig.restart()
    rig.go(6)
    again = rig.look()
    assert again.newest == seen.newest
    assert again.hour and (sum(again.hour.done), sum(again.hour.refused)) == (1, 1)


def test_the_work_in_hand_is_counted_from_idle_to_idle(make_rig: MakeRig) -> None:
    rig = make_rig(min_free_mib=10**12)  # nothing is taken
    rig.drop("1.jpg")
    rig.drop("2.jpg")
    rig.go()
    assert rig.look().batch == Batch(0, 2, None)
    rig.set(min_free_mib=0)
    rig.restart()
    rig.go()
    assert rig.look().batch is None


def test_what_a_redactor_had_in_its_lanes_when_it_died_is_one_loss(make_rig: MakeRig) -> None:
    lost: set[bytes] = set()

    def dies_once(content: bytes, alone: bool) -> Report:
        if content not in lost:
            lost.add(content)
            raise DeviceLost("redactor", "it died")
        return report()

    rig = make_rig(ScriptedRedactor(dies_once, lanes=3))
    rig.start()
    for name in ("a", "b", "c"):
        rig.drop(f"{name}.jpg", b"jpeg " + name.encode())
    states = []
    for _ in range(20):
        rig.go(1)
        states.append(rig.look().state)
    assert "Needs attention" not in states
    assert len(rig.files("out")) == 3


def test_side_files_stay_are_counted_and_leave_no_gap_in_the_numbers(make_rig: MakeRig) -> None:
    """What Windows, a Mac, a NAS and the quarantine itself put beside pictures."""
    rig = make_rig()
    rig.start()
    side = ("1.jpg:Zone.Identifier", "1.jpg:com.apple.quarantine", "a.lnk", "b.url", "c.ini", "d.db", "reason.json")
    for name in (*side, ".hidden.jpg", "x.part", "Thumbs.db", "y.tmp", "#recycle/3.jpg", "@eaDir/1.jpg/thumb.jpg"):
        rig.drop(f"a/{name}", b"jpeg side")
    rig.drop("a/1.jpg", b"jpeg one")
    rig.drop("a/2.jpg", b"jpeg two")
    rig.go()
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg one"), "E000001/0002.jpg": clean(b"jpeg two")}
    assert rig.files("quarantine") == {}
    assert rig.look().left == {
        "side file": 6, "thumbnail database": 2, "hidden or temporary": 3, "recycle bin": 1, "system folder": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", b"BM" + bytes(52), b"II*\x00\x08\x00\x00\x00", b"\x89PNG\r\n\x1a\n"]
)
def test_a_file_that_is_made_first_and_filled_later_stays_until_it_is_filled(make_rig: MakeRig, content: bytes) -> None:
    """As scanners and FTP clients do: they open it a second time, by its name."""
    rig = make_rig()
    rig.start()
    path = rig.drop("scan/1.jpg", content)
    rig.drop("scan/2.jpg", b"jpeg two")
    rig.go(30)
    assert rig.files("inbox") == {"scan/1.jpg": content} and rig.files("quarantine") == {}
    assert (rig.look().left, rig.look().waiting, rig.look().state) == ({tree.UNFILLED: 1}, 0, "Ready")
    with path.open("r+b") as file:
        file.write(b"jpeg one")
    os.truncate(path, 8)
    rig.go(10)
    assert rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg two"), "E000001/0002.jpg": clean(b"jpeg one")}
    assert (rig.files("inbox"), rig.look().left) == ({}, {})


class Folder:
    """A source in a test: a folder whose pictures are already whole."""

    folder: Path

    def __init__(self, host: Host) -> None:
        self._host = host

    def look(self, now: float) -> None:
        pass

    def take(self, now: float, age: float) -> Job | None:
        path = next(iter(sorted(self.folder.iterdir())), None)
        if path is None:
            return None
        number = self._host.journal.claim(b"folder", age, 3600.0)
        return Job(number, changed_at=now, stamp=self._host.box.take_copy(path, path.name, number))

    def view(self, now: float) -> PartView:
        return PartView(waiting=len(list(self.folder.iterdir())))

    def due_at(self) -> float:
        return math.inf

    def close(self) -> None:
        pass


def test_a_new_source_is_one_class_and_one_line(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SOURCES", (*loop.SOURCES, Folder))
    rig = make_rig()
    Folder.folder = rig.home / "elsewhere"
    Folder.folder.mkdir()
    (Folder.folder / "a.png").write_bytes(b"png a")
    rig.go(3)
    assert rig.files("out") == {"E000001/0001.png": clean(b"png a")}
    assert list(Folder.folder.iterdir()) == []
