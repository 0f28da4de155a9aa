"""Shares of other machines: fetched from and delivered to, away and back, and never mistaken for the folder they are mounted on."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config import Shares
from appliance.daemon import share_worker, store
from appliance.daemon.journal import Journal
from appliance.daemon.loop import Daemon
from appliance.daemon.sinks import share
from appliance.daemon.sinks.share import ShareSink
from appliance.daemon.sources import share as source
from appliance.daemon.sources import tree
from appliance.daemon.sources.share import Fetching, ShareSource
from appliance.daemon.store import Box
from appliance.status.snapshot import Share
from appliance.system import files

from .rig import Rig, clean

MakeRig = Callable[..., Rig]


def workers(daemon: Daemon) -> list[share_worker.ShareWorker]:
    """What fetches and what delivers."""
    return [part.worker for part in daemon._parts if isinstance(part, ShareSource | ShareSink)]


class Hospital:
    """A server with an in and an out share; what is mounted has another device number, as the kernel gives it."""

    def __init__(self, rig: Rig, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.rig, self.points, self.kept = rig, home / "shares", home / "server"
        rig.config = replace(rig.config, shares=Shares("//server/in", "//server/out"))
        self.mounted = {"in": True, "out": True}
        for name in self.mounted:
            (self.points / name).mkdir(parents=True)
        patch.setattr("appliance.daemon.share_worker.device_of", self._device_of)
        patch.setattr(share_worker.ShareWorker, "begin", lambda worker: None)

    def _device_of(self, file: int) -> int:
        name = Path(f"/proc/self/fd/{file}").readlink().name
        return os.fstat(file).st_dev + self.mounted[name]

    def write(self, name: str, content: bytes) -> Path:
        path = self.points / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def files(self, share: str) -> dict[str, bytes]:
        root = self.points / share
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

    def go(self, seconds: int = 20) -> None:
        """As the threads do, in an order that the test knows."""
        daemon = self.rig.daemon or self.rig.start()
        for _ in range(seconds):
            self.rig.go(1)
            for worker in workers(daemon):
                worker.turn()
        self.rig.go(1)

    def away(self, name: str) -> None:
        """The server is gone, and with it the mount: the bare folder is there."""
        self.mounted[name] = False
        shutil.move(self.points / name, self.kept / name)
        (self.points / name).mkdir()

    def back(self, name: str) -> None:
        (self.points / name).rmdir()  # fails if anything was written into it
        shutil.move(self.kept / name, self.points / name)
        self.mounted[name] = True


@pytest.fixture
def hospital(make_rig: MakeRig, home: Path, monkeypatch: pytest.MonkeyPatch) -> Hospital:
    return Hospital(make_rig(), home, monkeypatch)


def test_pictures_come_from_one_share_and_results_go_to_the_other(hospital: Hospital) -> None:
    hospital.write("room 1/MUSTER_2.jpg", b"jpeg two")
    hospital.write("room 1/MUSTER_10.jpg", b"jpeg ten")
    hospital.write("b.png", b"png b")
    hospital.go()
    assert hospital.files("in") == {}
    delivered = hospital.files("out")
    assert delivered["E000002/0001.jpg"] == clean(b"jpeg two"), "a folder is an examination"
    assert delivered["E000002/0002.jpg"] == clean(b"jpeg ten")
    assert delivered["E000001/0001.png"] == clean(b"png b")
    assert (len(delivered), hospital.rig.files("out"), hospital.rig.files("work")) == (3, {}, {})
    assert os.stat(hospital.points / "out/E000001/0001.png").st_mtime_ns == store.NEUTRAL_NS
    seen = hospital.rig.look()
    assert (seen.state, seen.shares) == ("Ready", (Share("in", "connected"), Share("out", "connected")))


def test_a_picture_that_is_still_written_stays(hospital: Hospital) -> None:
    hospital.rig.set(settle_s=5.0)
    path = hospital.write("a.jpg", b"jpeg")
    hospital.go(3)
    path.write_bytes(b"jpeg more")
    hospital.go(4)
    assert hospital.files("in") == {"a.jpg": b"jpeg more"}
    hospital.go(20)
    assert list(hospital.files("out").values()) == [clean(b"jpeg more")]


def test_results_wait_on_the_box_while_the_share_is_away(hospital: Hospital) -> None:
    hospital.go(2)
    hospital.kept.mkdir()
    hospital.away("out")
    hospital.write("a.jpg", b"jpeg a")
    hospital.go()
    seen = hospital.rig.look()
    assert (seen.state, seen.shares[1]) == ("Waiting for share", Share("out", "away"))
    assert hospital.rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg a")}
    hospital.back("out")
    hospital.go(5)
    assert hospital.files("out") == {"E000001/0001.jpg": clean(b"jpeg a")}
    assert (hospital.rig.look().state, hospital.rig.files("out")) == ("Ready", {})


def test_what_lies_below_a_share_that_is_not_mounted_is_not_taken(hospital: Hospital) -> None:
    hospital.kept.mkdir()
    hospital.away("in")
    (hospital.points / "in/a.jpg").write_bytes(b"jpeg")
    hospital.go()
    assert (hospital.rig.look().state, hospital.files("in")) == ("Waiting for share", {"a.jpg": b"jpeg"})


def test_what_was_taken_from_the_out_share_is_not_brought_again(hospital: Hospital) -> None:
    hospital.write("a.jpg", b"jpeg a")
    hospital.go()
    shutil.rmtree(hospital.points / "out/E000001")
    hospital.go()
    assert hospital.files("out") == {}


def test_another_result_in_the_place_is_never_replaced(hospital: Hospital) -> None:
    other = hospital.points / "out/E000001/0001.jpg"
    other.parent.mkdir()
    other.write_bytes(b"of another box")
    hospital.write("a.jpg", b"jpeg a")
    hospital.go()
    assert other.read_bytes() == b"of another box"
    assert hospital.rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg a")}
    seen = hospital.rig.look()
    assert (seen.state, seen.detail) == ("Needs attention", share.CLASH)
    other.unlink()
    hospital.go(5)
    assert (other.read_bytes(), hospital.rig.look().state) == (clean(b"jpeg a"), "Ready")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["write_whole", "fsync", "rename", "unlink"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_step_of_fetching_loses_and_doubles_nothing(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    hospital.rig.start()
    hospital.write("x/a.jpg", b"jpeg a")
    owner = os if step in ("fsync", "unlink") else Path if step == "rename" else files
    call = getattr(owner, step)

    def kill(*arguments: object, **named: object) -> object:
        if after:
            call(*arguments, **named)
        raise Killed

    fetcher = workers(hospital.rig.daemon)[0]
    with monkeypatch.context() as patch:
        fetcher.turn()
        hospital.rig.now += 10
        patch.setattr(owner, step, kill)
        with pytest.raises(Killed):
            fetcher.turn()
    hospital.rig.restart()
    hospital.go()
    assert list(hospital.files("out").values()) == [clean(b"jpeg a")]
    assert (hospital.files("in"), hospital.rig.files("work")) == ({}, {})


@pytest.mark.parametrize(("owner", "step"), [(Journal, "claim"), (Box, "take_copy"), (Box, "settle"), (Fetching, "taken")])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_while_the_copy_gets_its_number_loses_and_doubles_nothing(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, owner: type, step: str, after: bool
) -> None:
    hospital.write("x/a.jpg", b"jpeg a")
    call = getattr(owner, step)

    def kill(*arguments: object, **named: object) -> object:
        if after:
            call(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, kill)
        with pytest.raises(Killed):
            hospital.go()
    hospital.rig.restart()
    hospital.go()
    assert list(hospital.files("out").values()) == [clean(b"jpeg a")]
    assert (hospital.files("in"), hospital.rig.files("work")) == ({}, {})


@pytest.mark.parametrize("done", [False, True], ids=["still there", "gone all the same"])
def test_a_share_that_goes_while_the_original_is_taken_away(hospital: Hospital, monkeypatch: pytest.MonkeyPatch, done: bool) -> None:
    hospital.write("a.jpg", b"jpeg a")
    unlink = os.unlink

    def lost(path: str, **named: int) -> None:
        if path == "a.jpg":
            if done:
                unlink(path, **named)
            raise OSError(errno.EHOSTDOWN, "down")
        unlink(path, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lost)
        hospital.go(6)
        if not done:
            assert hospital.rig.look().state == "Waiting for share"
            assert hospital.rig.look().done_ever == 0, "not known to be gone, not published"
    hospital.go()
    assert (list(hospital.files("out").values()), hospital.files("in")) == ([clean(b"jpeg a")], {})


def test_what_cannot_be_taken_away_is_left_and_counted(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital.write("a.jpg", b"jpeg a")
    hospital.write("b.jpg", b"jpeg b")
    unlink = os.unlink

    def protected(path: str, **named: int) -> None:
        if path == "a.jpg":
            raise PermissionError(errno.EACCES, "no")
        unlink(path, **named)

    monkeypatch.setattr(os, "unlink", protected)
    hospital.go()
    assert list(hospital.files("out").values()) == [clean(b"jpeg b")]
    assert (sum(hospital.rig.look().left.values()), hospital.rig.look().state) == (1, "Ready")


def test_rights_lost_between_the_copy_and_a_restart(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier run copied and cannot take away now was not taken; the share is not given up for it."""
    hospital.write("a.jpg", b"jpeg a")
    hospital.rig.start()
    fetcher = workers(hospital.rig.daemon)[0]
    fetcher.turn()
    hospital.rig.now += 10

    def refuse(error: type[BaseException]) -> Callable[..., None]:
        def unlink(path: str, **named: int) -> None:
            raise error(errno.EACCES, "no")

        return unlink

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse(Killed))
        with pytest.raises(Killed):
            fetcher.turn()
    hospital.rig.restart()
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse(PermissionError))
        workers(hospital.rig.daemon)[0].turn()
        assert workers(hospital.rig.daemon)[0].fault == ""
    hospital.go()
    assert list(hospital.files("out").values()) == [clean(b"jpeg a")]


def test_a_share_that_hangs_holds_up_nothing(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, asked = threading.Event(), threading.Event()

    def hang(point: Path) -> None:
        asked.set()
        answer.wait(30)
        raise OSError(errno.EHOSTDOWN, "down")

    monkeypatch.setattr("appliance.daemon.share_worker.opened", hang)
    daemon = hospital.rig.start()
    for worker in workers(daemon):
        worker.start()
    assert asked.wait(10)
    hospital.rig.drop("local.jpg", b"jpeg local")
    hospital.rig.go(10)
    assert hospital.rig.files("out") == {"E000001/0001.jpg": clean(b"jpeg local")}
    assert hospital.rig.look().state == "Ready"
    hospital.rig.go(share_worker.HANG_S)
    assert hospital.rig.look().state == "Waiting for share"
    answer.set()


def test_a_full_box_fetches_nothing(hospital: Hospital) -> None:
    hospital.rig.set(min_free_mib=1 << 40)
    hospital.write("a.jpg", b"jpeg")
    hospital.go()
    assert hospital.files("in") == {"a.jpg": b"jpeg"}
    assert (hospital.rig.look().state, hospital.rig.look().shares[0].state) == ("Waiting for space", "connected")


def test_a_disk_that_fills_while_a_picture_comes_is_not_the_shares_fault(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def no_space(file: int, data: bytes) -> int:
        if bytes(data) == b"jpeg":
            raise OSError(errno.ENOSPC, "full")
        return write(file, data)

    hospital.write("a.jpg", b"jpeg")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", no_space)
        hospital.go()
        assert hospital.files("in") == {"a.jpg": b"jpeg"}
        assert hospital.rig.look().shares[0].state == "connected"
    hospital.go()
    assert list(hospital.files("out").values()) == [clean(b"jpeg")]


def test_the_bare_folder_is_no_share(tmp_path: Path) -> None:
    """With the kernel's own numbers."""
    (tmp_path / "in").mkdir()
    with pytest.raises(OSError, match="No such device"), share_worker.opened(tmp_path / "in"):
        pass
    with share_worker.opened(Path("/proc")) as root:
        assert os.fstat(root).st_dev == Path("/proc").stat().st_dev


@pytest.mark.parametrize("bin_folder", ["#recycle", "@Recycle", ".recycle", ".Trash-1000", "papelera"])
def test_what_a_recycle_bin_keeps_is_not_done_again(hospital: Hospital, monkeypatch: pytest.MonkeyPatch, bin_folder: str) -> None:
    """A NAS moves what the box takes away into a folder of the same share; one whose name nobody knows is known by the content."""
    unlink = os.unlink

    def to_the_bin(path: str, **named: int) -> None:
        if "dir_fd" in named and str(path).startswith("x/"):
            kept = hospital.points / "in" / bin_folder / path
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(hospital.points / "in" / path, kept)
        else:
            unlink(path, **named)

    monkeypatch.setattr(os, "unlink", to_the_bin)
    for number in range(3):
        hospital.write(f"x/{number}.jpg", f"jpeg {number}".encode())
    hospital.go(40)
    assert sorted(hospital.files("out").values()) == [clean(f"jpeg {number}".encode()) for number in range(3)]
    assert set(hospital.files("in")) == {f"{bin_folder}/x/{number}.jpg" for number in range(3)}, "nothing is deleted in a bin"
    left = hospital.rig.look().left
    assert left == ({source.ALREADY_DONE: 3} if bin_folder == "papelera" else {source.BIN_ON: 1})


def test_a_file_too_large_stays_on_the_share_and_the_others_come(hospital: Hospital) -> None:
    hospital.rig.config = replace(hospital.rig.config, limits=replace(hospital.rig.config.limits, file_mib=1))
    hospital.write("a.jpg", b"jpeg" + bytes(1 << 20))
    hospital.write("b.jpg", b"jpeg b")
    hospital.go()
    assert list(hospital.files("out").values()) == [clean(b"jpeg b")]
    assert (set(hospital.files("in")), hospital.rig.look().left) == ({"a.jpg"}, {tree.TOO_LARGE: 1})


def test_a_file_that_is_not_filled_yet_stays_on_the_share(hospital: Hospital) -> None:
    hospital.write("a.jpg", b"")
    hospital.write("b.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF")
    hospital.write("c.jpg", b"jpeg c")
    hospital.go()
    assert list(hospital.files("out").values()) == [clean(b"jpeg c")]
    assert (set(hospital.files("in")), hospital.rig.look().left) == ({"a.jpg", "b.jpg"}, {tree.UNFILLED: 2})


def test_fetched_pictures_are_never_in_the_drop_folder(hospital: Hospital) -> None:
    hospital.write("x/a.jpg", b"jpeg a")
    hospital.go()
    assert list(hospital.files("out").values()) == [clean(b"jpeg a")]
    assert list(hospital.rig.inbox.iterdir()) == []
