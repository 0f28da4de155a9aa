"""The snapshot: written in one step, read back whole, and never taken for news when it is old."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.status.silhouette import Silhouette
from appliance.status.snapshot import FIRST_REPORT_S, STALE_S, STATES, Batch, Done, Hour, Refused, Share, Snapshot, Stick, last, read, write
from appliance.system.health import Health
from appliance.types import EngineInfo

FULL = Snapshot(
    state="Working",
    detail="Pictures come out.",
    waiting=3,
    batch=Batch(7, 12, 4.5),
    working=2,
    done_today=40,
    refused_today=2,
    done_ever=4000,
    refused_ever=5,
    newest=(Done("E000123/0002", 999.0, 412, 1080, 1920, 1, 0.0123, Silhouette(2, 3, "a8")),),
    hour=Hour(16, (3, 0), (0, 1), (400, None), (900, None)),
    refused=(Refused("E000123/0001", "damaged", "the picture ends too early", 1000.0),),
    left={"a link, not a file": 2},
    sticks=(Stick(1, "working", 12, 30, 4, 1, {"PDF": 2}), Stick(2, "safe to remove")),
    shares=(Share("in", "away"),),
    images_per_minute=90,
    engine=EngineInfo("openvino", "INT8", "3fa94c0d12be", "a chip"),
    health=Health(gpu_load=43.7, temperatures={"tj": 51.5}, throttling="too hot"),
    free_bytes=10**11,
    clock_trusted=True,
    version="1.2.3",
    started_at=900.0,
    written_at=1000.0,
)


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "status.json", FULL)
    assert read(tmp_path / "status.json", now=1001.0) == FULL


def test_the_smallest_snapshot_reads_back(tmp_path: Path) -> None:
    write(tmp_path / "status.json", Snapshot("Starting"))
    assert read(tmp_path / "status.json", now=1.0) == Snapshot("Starting")


def test_write_replaces_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write(path, FULL)
    with open(path, encoding="utf-8") as before:
        write(path, Snapshot("Ready", written_at=1000.0))
        assert json.load(before)["state"] == "Working", "a reader keeps the file it opened"
    assert read(path, now=1000.0).state == "Ready"
    assert list(tmp_path.iterdir()) == [path]


def test_other_users_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write(tmp_path / "status.json", FULL)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "status.json").stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write(path, FULL)
    with pytest.raises(TypeError):
        write(path, Snapshot("Ready", version=object()))  # type: ignore[arg-type]
    assert read(path, now=1000.0) == FULL
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("state", STATES)
def test_an_old_snapshot_needs_attention_unless_the_box_said_goodbye(state: Any, tmp_path: Path) -> None:
    write(tmp_path / "status.json", Snapshot(state, written_at=1000.0))
    assert read(tmp_path / "status.json", now=1000.0 + STALE_S).state == state
    late = read(tmp_path / "status.json", now=1040.0, up_s=9000.0)
    assert late.state == ("Stopped" if state == "Stopped" else "Needs attention")
    assert state == "Stopped" or "40 s" in late.detail


def test_a_snapshot_from_the_future_needs_attention(tmp_path: Path) -> None:
    write(tmp_path / "status.json", Snapshot("Ready", written_at=5000.0))
    late = read(tmp_path / "status.json", now=1000.0, up_s=9000.0)
    assert late.state == "Needs attention"
    assert "clock" in late.detail


@pytest.mark.parametrize("now", [1300.0, 900.0], ids=["a power cut of minutes", "a clock without a battery"])
def test_after_a_power_cut_the_report_of_before_is_no_alarm_while_the_machine_starts(now: float, tmp_path: Path) -> None:
    write(tmp_path / "status.json", Snapshot("Working", written_at=1000.0))
    assert read(tmp_path / "status.json", now, up_s=30.0).state == "Starting"
    assert read(tmp_path / "status.json", now, up_s=FIRST_REPORT_S).state == "Needs attention"
    assert read(tmp_path / "status.json", 1040.0, up_s=60.0).state == "Needs attention", "it reported since, and no longer does"


def test_what_the_daemon_ended_with_does_not_grow_stale(tmp_path: Path) -> None:
    end = Snapshot("Needs attention", "The box cannot start.", written_at=1000.0, final=True)
    write(tmp_path / "status.json", end)
    assert read(tmp_path / "status.json", now=90_000.0) == end


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"state": "Fine"}', '{"state": "Ready"}', '{"state": "Ready", "refused": [], "engine": null, "x": 1}'],
)
def test_a_damaged_snapshot_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(text, "utf-8")
    with pytest.raises((ValueError, KeyError, TypeError)):
        read(tmp_path / "status.json")


def test_no_snapshot_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "status.json")


def test_what_an_earlier_run_wrote_is_read_however_old_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    assert last(path) is None
    write(path, FULL)
    assert last(path) == FULL
    path.write_text('{"state": "Ready"}', "utf-8")
    assert last(path) is None


def test_a_full_snapshot_is_small(tmp_path: Path) -> None:
    """It is written at most once a second, and read at each refresh of a page."""
    done = Done("E000123/0002", 1_700_000_000.123, 41234, 1080, 1920, 1, 0.01234, Silhouette(18, 32, "f" * 144))
    refused = Refused("E000123/0001", "text-left", "text was still seen after 8 looks; look at the picture and cover the text by hand", 1e9)
    hour = Hour(28_000_000, (123,) * 60, (1,) * 60, (41234,) * 60, (61234,) * 60)
    write(tmp_path / "status.json", replace(FULL, newest=(done,) * 50, refused=(refused,) * 50, hour=hour))
    assert (tmp_path / "status.json").stat().st_size < 32 * 1024
