"""Killed at any moment, the daemon loses nothing, doubles nothing and leaves nothing partial: tried at every single step."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from appliance.daemon.journal import Journal

from .rig import Rig, ScriptedRedactor, clean

GOOD = {"a/IMG_2.jpg": b"jpeg two", "a/IMG_10.jpg": b"jpeg ten", "b/1.jpg": b"jpeg other"}
BAD = {"a/IMG_3.jpg": b"damaged three"}

# Opening a file is no step of its own: a file it makes is there when the daemon is killed before the step after it.
STEPS = {
    os: ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync", "chmod", "fchmod", "utime", "ftruncate"),
    Journal: ("claim", "forget", "published", "kept", "finished", "refused", "adopt", "begin_above", "write_mark", "close_examinations"),
}


class Killed(BaseException):
    """Stands for kill -9: nobody may catch it, and nothing is done after it."""


class Killer:
    """Kills the daemon before step number `at` of a run; from then on every step fails, as nothing happens after a kill."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.at, self.steps = at, 0
        for owner, names in STEPS.items():
            for name in names:
                patch.setattr(owner, name, self._watched(getattr(owner, name), sync=name == "fsync"))

    def _watched(self, call: Callable[..., Any], sync: bool) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            self.steps += 1
            if self.steps > self.at:
                raise Killed
            return None if sync else call(*arguments, **named)

        return step


def other_file_systems(patch: pytest.MonkeyPatch) -> None:
    """As if the drop folder, done/ and quarantine/ were each on a disk of their own."""
    rename, replace = os.rename, os.replace

    def from_inbox(source: Any, target: Any, **more: Any) -> None:
        if "src_dir_fd" in more:
            raise OSError(errno.EXDEV, "other file system")
        rename(source, target, **more)

    def from_work(source: Any, target: Any, **more: Any) -> None:
        if "work" in Path(source).parts and "work" not in Path(target).parts:
            raise OSError(errno.EXDEV, "other file system")
        replace(source, target, **more)

    patch.setattr(os, "rename", from_inbox)
    patch.setattr(os, "replace", from_work)


def check_nothing_partial(rig: Rig) -> None:
    for name, content in rig.files("out").items():
        assert Path(name).name.startswith(".") or content in {clean(good) for good in GOOD.values()}


def check_all_arrived(rig: Rig, kept: bool) -> None:
    out = rig.files("out")
    assert sorted(out.values()) == sorted(clean(good) for good in GOOD.values())
    assert sorted(out) == ["E000001/0001.jpg", "E000001/0003.jpg", "E000002/0001.jpg"]
    done = rig.files("done")
    assert sorted(done.values()) == (sorted(GOOD.values()) if kept else [])
    refused = {name: content for name, content in rig.files("quarantine").items() if not name.endswith("reason.json")}
    assert refused == {"E000001/0002/IMG_3.jpg": b"damaged three"}
    assert rig.reason("E000001/0002")["code"] == "damaged"
    assert rig.files("inbox") == {}
    assert list((rig.config.folders.state / "work").iterdir()) == []
    assert (rig.look().state, rig.look().done_ever, rig.look().refused_ever) == ("Ready", 3, 1)
    assert rig.rows("SELECT DISTINCT state FROM picture ORDER BY state") == [("kept" if kept else "finished",), ("refused",)]


def filled(home: Path, keep: float) -> Rig:
    rig = Rig(home, ScriptedRedactor(lanes=1), keep_originals_days=keep, sweep_s=1.0, settle_s=1.0)
    for name, content in {**GOOD, **BAD}.items():
        rig.drop(name, content)
    return rig


def is_killed(rig: Rig, at: int, far: bool) -> bool:
    """Run until killed before step `at`; False when the run was over before."""
    with pytest.MonkeyPatch.context() as patch:
        if far:
            other_file_systems(patch)
        Killer(patch, at)
        try:
            rig.go(12)
        except Killed:
            bury(rig)
            return True
    rig.close()
    return False


def run_on(rig: Rig, far: bool) -> None:
    """Start again, unharmed, until everything is through; and once more, to see that nothing is left to do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        if far:
            other_file_systems(patch)
        rig.go(72, step=3)
        rig.close()
        rig.start()
        rig.go(3)


def bury(rig: Rig) -> None:
    """What the kernel does for a killed process: close its descriptors."""
    if rig.daemon is not None:
        rig.daemon._journal.close()
    for link in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):
            target = str(link.readlink())
            if target.startswith(f"{rig.home}/") and "journal.sqlite" not in target:
                os.close(int(link.name))
    rig.daemon = None


@pytest.mark.slow
@pytest.mark.parametrize(("far", "keep"), [(False, 7.0), (False, 0.0), (True, 7.0)], ids=["kept", "removed", "other disks"])
@pytest.mark.usefixtures("inline")
def test_killed_before_every_step(home: Path, far: bool, keep: float) -> None:
    for at in itertools.count():
        rig = filled(home / str(at), keep)
        if not is_killed(rig, at, far):
            assert at > 40  # Python 3.10 hides the steps that pathlib takes
            return
        check_nothing_partial(rig)
        run_on(rig, far)
        check_all_arrived(rig, kept=keep > 0)
        rig.close()


@pytest.mark.slow
@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("first", [20, 37, 53, 71])
def test_killed_again_while_it_recovers(home: Path, first: int) -> None:
    for second in range(1, 60, 4):
        rig = filled(home / str(second), keep=7.0)
        assert is_killed(rig, first, far=True)
        is_killed(rig, second, far=True)
        check_nothing_partial(rig)
        run_on(rig, far=True)
        check_all_arrived(rig, kept=True)
        rig.close()


SCRIPT = """
import sys, time
from pathlib import Path
from appliance.config import Config, Folders, Intake
from appliance.daemon.loop import Daemon
from daemon.rig import ScriptedRedactor, report

def slow(content, alone):
    time.sleep(0.005)
    return report()

config = Config(Folders(box=Path(sys.argv[1])).resolved(), Intake(settle_s=0.0, sweep_s=0.05, min_free_mib=0, watch=False))
sys.exit(Daemon(config, ScriptedRedactor(slow)).run(lambda: config))
"""


def daemon_process(home: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(home)], env=environment)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not condition():
        assert process.poll() is None, "the daemon ended"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.005)


@pytest.mark.slow
def test_really_killed_and_then_stopped(home: Path) -> None:
    """kill -9 while it works on 200 files, three times over; then SIGTERM when all is done."""
    rig = Rig(home, ScriptedRedactor())
    for index in range(200):
        rig.drop(f"{index % 4}/{index}.jpg", f"jpeg {index}".encode())

    def results() -> int:
        return sum(1 for name in rig.config.folders.out.rglob("[0-9]*.jpg"))

    for goal in (30, 80, 130):
        process = daemon_process(home)
        wait_for(lambda goal=goal: results() >= goal, process)  # type: ignore[misc]
        process.kill()
        assert process.wait() == -signal.SIGKILL
    process = daemon_process(home)
    wait_for(lambda: results() >= 200 and not rig.files("work"), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    out = rig.files("out")
    assert sorted(out.values()) == sorted(clean(f"jpeg {index}".encode()) for index in range(200))
    assert len({Path(name).parent for name in out}) == 4
    assert not any(Path(name).name.startswith(".") for name in out)
    assert (len(rig.files("done")), rig.files("inbox"), rig.files("work")) == (200, {}, {})
