"""Sticks: read picture by picture, recognised when they come back, safe to remove when the page says so and not before."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.daemon.journal import Journal, Number
from appliance.daemon.sources import stick_reader as stick_module
from appliance.daemon.sources import sticks
from appliance.status.snapshot import Stick
from appliance.system import files

from .rig import Rig, clean

MakeRig = Callable[..., Rig]


class Port:
    """Where sticks are plugged in: folders that the daemon takes for mounts. A stick's number is its device's and its identity."""

    def __init__(self, rig: Rig, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.rig, self.sticks, self.mounts = rig, home / "sticks", home / "usb"
        self.devices: dict[str, int] = {}
        self.mounts.mkdir(parents=True)
        patch.setattr(sticks, "_device", lambda entry: self.devices.get(entry.name))
        patch.setattr(sticks, "identify", lambda device: f"stick {device}")
        patch.setattr(sticks.Plug, "is_present", lambda plug: self.devices.get(plug.path.name) == plug.device)

    def write(self, stick: int, name: str, content: bytes) -> None:
        path = self.sticks / str(stick) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def plug(self, stick: int, device: str = "sda1") -> None:
        (self.sticks / str(stick)).mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.sticks / str(stick), self.mounts / device, symlinks=True)
        self.devices[device] = stick

    def pull(self, device: str = "sda1") -> None:
        del self.devices[device]
        shutil.rmtree(self.mounts / device)

    def go(self, until: Callable[[], bool]) -> None:
        """Turn by turn, until it is so; a stick is read in a thread of its own."""
        for _ in range(500):
            self.rig.go(1)
            if until():
                return
            time.sleep(0.01)
        raise AssertionError(f"never came: {self.rig.look()}")

    def states(self) -> list[str]:
        return [stick.state for stick in self.rig.look().sticks]

    def read(self) -> tuple[Stick, ...]:
        """Go on until every stick is safe to remove, and the box has nothing in hand."""
        self.go(lambda: set(self.states()) == {"safe to remove"} and self.rig.look().state != "Working")
        return self.rig.look().sticks


@pytest.fixture
def port(make_rig: MakeRig, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Port]:
    rig = make_rig()
    port = Port(rig, home, monkeypatch)
    rig.start()
    yield port


def test_a_stick_is_read_to_its_deepest_folder_and_keeps_everything(port: Port) -> None:
    port.write(7, "DCIM/100/IMG_2.JPG", b"jpeg two")
    port.write(7, "DCIM/100/IMG_10.JPG", b"jpeg ten")
    port.write(7, "a/b/c/d/e/f/x.png", b"png deep")
    port.write(7, "no ending", b"BM bitmap")
    port.plug(7)
    before = sorted(path for path in (port.mounts / "sda1").rglob("*"))
    assert port.read() == (Stick(1, "safe to remove", 4, 4),)
    assert port.rig.look().state == "Safe to remove"
    assert sorted(port.rig.files("out").values()) == sorted(
        [clean(b"jpeg two"), clean(b"jpeg ten"), clean(b"png deep"), clean(b"BM bitmap")]
    )
    numbers = port.rig.files("done")
    (two,) = (name for name in numbers if name.endswith("IMG_2.JPG"))
    (ten,) = (name for name in numbers if name.endswith("IMG_10.JPG"))
    assert Path(two).parent == Path(ten).parent and two < ten, "a folder is an examination, in the order people number"
    assert sorted(path for path in (port.mounts / "sda1").rglob("*")) == before
    port.pull()
    port.rig.go(2)
    assert (port.rig.look().state, port.rig.look().sticks) == ("Ready", ())


def test_side_files_stay_and_are_counted(port: Port) -> None:
    for name in ("a.jpg", "report.pdf", "x/patient.txt", "x/Thumbs.db", "DICOMDIR", "x/1.xml", "y.mp4", ".hidden", "z.bin"):
        port.write(1, name, b"jpeg" if name == "a.jpg" else b"something")
    (port.sticks / "1/link.jpg").symlink_to("a.jpg")
    port.plug(1)
    (stick,) = port.read()
    assert (stick.done, stick.total) == (1, 1)
    kinds = ("PDF", "text", "thumbnail database", "DICOM", "XML or HTML", "video", "hidden or temporary", "other")
    assert stick.not_released == dict.fromkeys((*kinds, "symbolic link: not followed"), 1)
    assert list(port.rig.files("out").values()) == [clean(b"jpeg")]
    assert port.rig.files("quarantine") == {}


def test_a_broken_picture_goes_to_quarantine_at_once(port: Port) -> None:
    port.write(1, "cut.jpg", b"incomplete")
    port.plug(1)
    (stick,) = port.read()
    assert (stick.done, stick.total) == (1, 1)
    assert set(port.rig.files("quarantine")) == {"E000001/0001/cut.jpg", "E000001/0001/reason.json"}


def test_a_stick_seen_before_is_already_done(port: Port) -> None:
    port.write(1, "a.jpg", b"jpeg a")
    port.plug(1)
    port.read()
    port.pull()
    port.write(1, "b.jpg", b"jpeg b")
    port.write(1, "a2/a.jpg", b"jpeg a")
    port.rig.restart()
    port.plug(1)
    assert port.read() == (Stick(1, "safe to remove", 3, 3, already_done=1),)
    assert sorted(port.rig.files("out").values()) == sorted([clean(b"jpeg a"), clean(b"jpeg b"), clean(b"jpeg a")]), (
        "the same picture in another folder belongs to another examination"
    )


def test_the_same_name_with_other_content_is_another_picture(port: Port) -> None:
    port.write(1, "a.jpg", b"jpeg a")
    port.plug(1)
    port.read()
    port.pull()
    port.write(1, "a.jpg", b"jpeg anew")
    port.plug(1)
    (stick,) = port.read()
    assert (stick.done, stick.already_done) == (1, 0)


def test_two_sticks_never_share_an_examination(port: Port) -> None:
    for stick in (1, 2):
        port.write(stick, "DCIM/a.jpg", f"jpeg of {stick}".encode())
    port.plug(1, "sda1")
    port.plug(2, "sdb1")
    assert [stick.number for stick in port.read()] == [1, 2]
    assert set(port.rig.files("out")) == {"E000001/0001.jpg", "E000002/0001.jpg"}


def test_pulled_too_early_and_plugged_in_again(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [f"jpeg {number}".encode() for number in range(6)]
    for number, content in enumerate(contents):
        port.write(1, f"x/{number}.jpg", content)
    read, copied = files.bring, itertools.count(1)

    def torn(source: int, path: Path) -> None:
        """The fourth picture is half read when the stick goes."""
        if next(copied) == 4:
            port.devices.pop("sda1", None)
            path.write_bytes(b"jp")
            raise OSError(errno.EIO, "gone")
        read(source, path)

    monkeypatch.setattr(files, "bring", torn)
    port.plug(1)
    port.go(lambda: port.states() == ["pulled too early"])
    shutil.rmtree(port.mounts / "sda1")
    port.rig.go(5)
    seen = port.rig.look()
    assert (seen.state, seen.sticks[0].state, seen.sticks[0].total) == ("Needs attention", "pulled too early", 6)
    assert seen.sticks[0].done <= 3
    assert port.rig.files("work") == {}, "nothing half is left"
    monkeypatch.setattr(files, "bring", read)
    port.plug(1)
    (stick,) = port.read()
    assert (stick.number, stick.done, stick.total) == (1, 6, 6)
    assert sorted(port.rig.files("out").values()) == [clean(content) for content in contents], "each once"
    assert {Path(name).parent.name for name in port.rig.files("out")} == {"E000001"}, "the same examination goes on"


def test_one_pulled_too_early_is_forgotten_in_time(port: Port) -> None:
    port.write(1, "a.jpg", b"jpeg")
    port.plug(1)
    port.rig.set(min_free_mib=1 << 40)
    port.rig.restart()
    port.go(lambda: port.states() == ["working"])
    assert port.rig.look().state == "Waiting for space"
    port.pull()
    port.rig.go(2)
    assert port.states() == ["pulled too early"]
    port.rig.go(sticks.PULLED_S, step=60)
    assert port.states() == []
    assert port.rig.files("work") == {}


def test_nothing_is_read_into_a_full_box_and_it_goes_on(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stick_module, "PAUSE_S", 0.01)
    full = iter([True, True, False])
    write = os.write

    def no_space(file: int, data: bytes) -> int:
        if bytes(data) == b"jpeg kept" and next(full, False):
            raise OSError(errno.ENOSPC, "full")
        return write(file, data)

    monkeypatch.setattr(os, "write", no_space)
    port.write(1, "a.jpg", b"jpeg kept")
    port.plug(1)
    (stick,) = port.read()
    assert (stick.done, stick.unreadable) == (1, 0)
    assert list(port.rig.files("out").values()) == [clean(b"jpeg kept")]


def test_a_picture_that_cannot_be_read_is_counted_and_the_others_come(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.read

    def worn(file: int, size: int) -> bytes:
        if Path(f"/proc/self/fd/{file}").readlink().match("usb/sda1/2.jpg"):
            raise OSError(errno.EIO, "worn")
        return read(file, size)

    monkeypatch.setattr(os, "read", worn)
    for number in (1, 2, 3):
        port.write(1, f"{number}.jpg", f"jpeg {number}".encode())
    port.plug(1)
    (stick,) = port.read()
    assert (stick.done, stick.total, stick.unreadable) == (2, 3, 1)


def test_a_stick_that_cannot_be_mounted_is_shown(port: Port) -> None:
    port.plug(port.mounts.stat().st_dev)
    port.rig.go(5)
    assert port.states() == ["reading"]
    port.rig.go(sticks.MOUNTING_S)
    assert (port.states(), port.rig.look().state) == (["cannot be read"], "Needs attention")
    port.pull()
    port.rig.go(2)
    assert (port.states(), port.rig.look().state) == ([], "Ready")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_while_reading_never_says_safe(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(source: int, path: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(files, "bring", bug)
    port.write(1, "a.jpg", b"jpeg")
    port.plug(1)
    port.go(lambda: port.states() == ["cannot be read"])
    assert port.rig.look().state == "Needs attention"


@pytest.mark.parametrize("step", ["claim", "take_copy", "settle"])
def test_a_kill_while_taking_loses_and_doubles_nothing(port: Port, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Killed right after the step, the next run finds the stick still plugged in."""

    class Killed(BaseException):
        pass

    owner = Journal if step == "claim" else sticks.Box
    call = getattr(owner, step)

    def kill(*arguments: object, **named: object) -> None:
        call(*arguments, **named)
        raise Killed

    port.write(1, "a.jpg", b"jpeg a")
    port.write(1, "b.jpg", b"jpeg b")
    port.plug(1)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, kill)
        with pytest.raises(Killed):
            port.go(lambda: False)
    port.rig.restart()
    (stick,) = port.read()
    assert (stick.done, stick.total) == (2, 2)
    assert sorted(port.rig.files("out").values()) == [clean(b"jpeg a"), clean(b"jpeg b")]
    assert port.rig.files("work") == {}


def test_the_journal_forgets_a_sighting_with_its_claim(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    number = journal.claim(b"folder", 0.0, 60.0, b"seen")
    assert (number, journal.number_of(b"seen"), journal.number_of(b"other")) == (Number(1, 1), number, None)
    journal.forget(number)
    assert journal.number_of(b"seen") is None
    journal.close()


def test_a_pulled_stick_whose_mount_is_still_there_is_no_new_stick(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel forgets the device at once, systemd unmounts it a moment later; a look may come in between."""
    port.write(1, "a.jpg", b"jpeg a")
    port.plug(1)
    port.read()
    monkeypatch.setattr(sticks.Plug, "is_present", lambda plug: False)
    port.rig.go(3)
    assert (port.rig.look().state, port.rig.look().sticks) == ("Ready", ())


def test_a_room_that_a_power_cut_brings_back_does_not_make_its_picture_unseen(port: Port) -> None:
    """That a room was given up is not synced; the picture was in done/ long before."""
    port.write(1, "a.jpg", b"jpeg a")
    port.plug(1)
    port.read()
    port.pull()
    (port.rig.config.folders.state / "work/E000001-0001").mkdir()
    port.rig.restart()
    port.plug(1)
    (stick,) = port.read()
    assert (stick.already_done, stick.total) == (1, 1)
    assert port.rig.files("work") == {}


def test_identity_comes_from_udev(tmp_path: Path) -> None:
    (tmp_path / "b8:1").write_text("S:disk/by-label/MUSTERMANN\nE:ID_FS_UUID=12AB-34CD\nE:ID_FS_LABEL=MUSTERMANN\nE:ID_SERIAL=x_0:0\n")
    assert sticks.identify(os.makedev(8, 1), tmp_path) == "12AB-34CD/x_0:0"
    assert sticks.identify(os.makedev(8, 2), tmp_path) == ""
