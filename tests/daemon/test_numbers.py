"""A number is given once: whatever becomes of the journal, and whoever takes results away or puts something in their place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.daemon import store
from appliance.daemon.journal import Number
from appliance.errors import BadFile

from .rig import Rig, clean

MakeRig = Callable[..., Rig]
pytestmark = pytest.mark.usefixtures("inline")


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig()


def journal_of(rig: Rig) -> Path:
    return rig.config.folders.state / "journal.sqlite"


def put(rig: Rig, *names: str) -> None:
    for name in names:
        rig.drop(name, f"jpeg {name}".encode())
    rig.go()


@pytest.mark.parametrize("loss", ["missing", "empty", "older", "older, in the same examination"])
def test_a_journal_that_knows_less_than_the_folders_replaces_nothing(rig: Rig, loss: str) -> None:
    put(rig, "a/1.jpg", "a/2.jpg")
    assert rig.daemon
    rig.daemon.close()
    shutil.copy(journal_of(rig), rig.home / "older")
    rig.start()
    put(rig, *(["a/3.jpg", "a/4.jpg"] if "same" in loss else ["b/3.jpg", "c/4.jpg"]))
    before = rig.files("out") | rig.files("done")
    rig.daemon.close()
    for path in rig.config.folders.state.glob("journal.sqlite*"):
        path.unlink()
    if loss.startswith("older"):
        shutil.copy(rig.home / "older", journal_of(rig))
    elif loss == "empty":
        journal_of(rig).touch()
    rig.start()
    rig.go(3)
    assert rig.look().state == "Needs attention" and "older than the folders" in rig.look().detail
    put(rig, "a/5.jpg", "d/6.jpg")
    after = rig.files("out") | rig.files("done")
    assert after.items() >= before.items()
    assert sorted(rig.files("out").values()) == [clean(f"jpeg {name}".encode()) for name in sorted([*NAMES[loss], "a/5.jpg", "d/6.jpg"])]
    assert sorted(rig.files("done").values()) == [f"jpeg {name}".encode() for name in sorted([*NAMES[loss], "a/5.jpg", "d/6.jpg"])]


NAMES = {
    **dict.fromkeys(["missing", "empty", "older"], ("a/1.jpg", "a/2.jpg", "b/3.jpg", "c/4.jpg")),
    "older, in the same examination": ("a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg"),
}


def test_numbers_go_on_above_results_that_were_fetched(rig: Rig) -> None:
    """With the journal lost and nothing left in any folder, the note beside it still knows."""
    rig.set(keep_originals_days=0.0)
    put(rig, "a/1.jpg", "b/2.jpg")
    assert rig.daemon
    rig.daemon.close()
    for folder in ("E000001", "E000002"):
        shutil.rmtree(rig.config.folders.out / folder)
    journal_of(rig).unlink()
    rig.start()
    put(rig, "c/3.jpg")
    assert list(rig.files("out")) == ["E000003/0001.jpg"]


def test_a_whole_journal_is_no_alarm(rig: Rig) -> None:
    put(rig, "a/1.jpg")
    number = rig.daemon._journal.claim(b"x", 0, 100)  # type: ignore[union-attr]
    rig.daemon._journal.forget(number)  # type: ignore[union-attr]
    rig.restart()
    rig.go(3)
    assert rig.look().state == "Ready"


@pytest.mark.parametrize("name", ["0002.jpg", "0002.png"])
def test_what_has_a_results_name_stays(rig: Rig, name: str) -> None:
    put(rig, "a/1.jpg")
    (rig.config.folders.out / "E000001" / name).write_text("another's")
    put(rig, "a/2.jpg")
    out = rig.files("out")
    assert out.pop(f"E000001/{name}") == b"another's"
    assert sorted(out.values()) == [b"clean jpeg a/1.jpg", b"clean jpeg a/2.jpg"]
    assert sorted(rig.files("done").values()) == [b"jpeg a/1.jpg", b"jpeg a/2.jpg"]


def test_what_has_an_originals_name_stays(rig: Rig) -> None:
    rig.start()
    for folder, name in (("done", "E000001/0001-1.jpg"), ("quarantine", "E000001/0002/original.jpg")):
        path = getattr(rig.config.folders, folder) / name
        path.parent.mkdir(parents=True)
        path.write_text("another's")
    rig.drop("a/1.jpg", b"jpeg")
    rig.drop("a/2.jpg", b"damaged")
    rig.go()
    assert rig.files("done") == {"E000001/0001-1.jpg": b"another's", "E000001/0001-1-2.jpg": b"jpeg"}
    refused = {name: content for name, content in rig.files("quarantine").items() if not name.endswith("reason.json")}
    assert refused == {"E000001/0002/original.jpg": b"another's", "E000001/0002-2/original.jpg": b"damaged"}


def test_results_that_are_fetched_as_they_appear_are_published(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their folder is moved away right after each step: none waits, none comes twice, no number begins anew, no disk is blamed."""
    rig = make_rig()
    fetched: dict[str, bytes] = {}

    def fetch() -> None:
        for path in sorted(rig.config.folders.out.glob("E*/*")):
            assert clean(b"jpeg") in path.read_bytes(), "only whole results are seen"
            fetched[str(path.relative_to(rig.config.folders.out))] = path.read_bytes()
        for folder in rig.config.folders.out.iterdir():
            if not folder.name.startswith("."):
                shutil.rmtree(folder)

    def after(owner: object, name: str) -> None:
        call = getattr(owner, name)

        def step(*arguments: object, **named: object) -> object:
            result = call(*arguments, **named)
            fetch()
            return result

        monkeypatch.setattr(owner, name, step)

    rig.start()
    for owner, name in ((store.Box, "place"), (store.Box, "settle_result"), (store.files, "make_folder"), (os, "mkdir"), (os, "link")):
        after(owner, name)
    for index in range(1, 6):
        rig.drop(f"a/{index}.jpg", f"jpeg {index}".encode())
    rig.go()
    rig.restart()
    rig.go()
    assert sorted(fetched) == [f"E000001/{number:04d}.jpg" for number in range(1, 6)]
    assert rig.files("out") == {} and (rig.look().state, rig.look().done_ever) == ("Ready", 5)


@pytest.mark.parametrize("nameless", [True, False])
def test_nothing_that_is_not_whole_is_visible(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, nameless: bool) -> None:
    """Not even under a hidden name, unless the file system has no files without a name; then in a folder of the box's own."""
    if not nameless:
        monkeypatch.setattr(store, "NAMELESS", os.O_DIRECTORY)  # EISDIR, as where it is not known
    rig = make_rig()
    seen: list[dict[str, bytes]] = []
    redact = rig.redactor.redact

    def look(*arguments: object, **named: object) -> object:
        result = redact(*arguments, **named)  # type: ignore[arg-type]
        seen.append(rig.files("out"))
        assert nameless or (rig.config.folders.out / ".anonbox").stat().st_mode & 0o777 == 0o700
        return result

    rig.redactor.redact = look  # type: ignore[method-assign, assignment]
    put(rig, "a/1.jpg")
    assert list(seen[0]) == ([] if nameless else [".anonbox/.E000001-0001.part"])
    assert list(rig.files("out")) == ["E000001/0001.jpg"]
    assert not (rig.config.folders.out / ".anonbox").exists()


def test_refused_files_have_a_retention_of_their_own(make_rig: MakeRig) -> None:
    rig = make_rig(keep_refused_days=1.0)
    rig.start()
    rig.drop("a/Mustermann.jpg", b"damaged")
    rig.go()
    assert rig.reason("E000001/0001")["name"] == "Mustermann.jpg" and "E000001/0001/original.jpg" in rig.files("quarantine")
    rig.go(120, step=30)
    due = rig.look().next_discard_at
    assert due is not None and abs(due - rig.wall - 86400) < 200
    rig.go(86400 + 600, step=300)
    assert rig.files("quarantine") == {} and list(rig.config.folders.quarantine.iterdir()) == []
    assert (rig.look().refused, rig.look().refused_ever, rig.look().next_discard_at) == ((), 1, None)


def test_what_an_earlier_version_refused_is_kept_for_as_long_from_now_on(rig: Rig) -> None:
    rig.start()
    journal = rig.daemon._journal  # type: ignore[union-attr]
    number = journal.claim(b"a", 0.0, 1.0)
    journal.refused(number, BadFile("damaged", "no"), 1.0, 0.0)
    journal._db.execute("UPDATE picture SET age = NULL")
    rig.restart()
    assert rig.daemon and rig.daemon._journal.refused_since(rig.daemon._age.at(rig.now) - 1, 9) == []
    assert rig.daemon._journal.refused_since(rig.daemon._age.at(rig.now), 9) == [Number(1, 1)]
