"""Snapshots of made-up boxes, one for every headline of the page."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import Any

from appliance.status.silhouette import Silhouette
from appliance.status.snapshot import Batch, Done, Hour, Refused, Share, Snapshot, State, Stick
from appliance.system.health import Health
from appliance.types import EngineInfo

HEALTH = Health(
    model="NVIDIA Jetson Orin Nano Developer Kit",
    release="L4T 36.4.3",
    gpu_load=43.7,
    gpu_mhz=918,
    gpu_max_mhz=1020,
    temperatures={"cpu": 49.9, "tj": 51.5},
    power={"VDD_IN": 9.116},
    power_mode="25W",
    throttling="too hot (soc0)",
    memory_free=5120,
    memory_total=7618,
)


def snapshot(state: State = "Working", **changes: Any) -> Snapshot:
    """A box in the middle of its day, reported just now."""
    now = time.time()
    full = Snapshot(
        state=state,
        detail="",
        waiting=31,
        working=2,
        batch=Batch(12, 45, 130.0),
        done_today=418,
        refused_today=3,
        done_ever=123456,
        refused_ever=37,
        newest=pictures(50, now),
        hour=an_hour(now),
        refused=(
            Refused("E000123/0003", "damaged", "the picture ends too early", now),
            Refused("E000123/0002", "unsupported", "not a picture type this box handles (JPEG, PNG, BMP, TIFF)", now),
            Refused("E000123/0001", "damaged", "the picture ends too early", now),
        ),
        left={"symbolic link: not followed": 4},
        images_per_minute=96,
        engine=EngineInfo("TensorRT 10.3.0", "INT8", "3fa94c0d12be", "Orin (sm_87)"),
        health=HEALTH,
        free_bytes=412_300_000_000,
        clock_trusted=True,
        version="1.2.3",
        started_at=now - 60,
        written_at=now,
    )
    return replace(full, **changes)


def pictures(count: int, now: float) -> tuple[Done, ...]:
    """Made-up pictures with a block of text at a corner and a line at the bottom, newest first."""
    draw = random.Random(7)
    return tuple(_picture(draw, count - index, now - 3 * index) for index in range(count))


def _picture(draw: random.Random, number: int, at: float) -> Done:
    return Done(f"E000123/{number:04}", at, draw.randint(28, 60), 1080, 1920, 1, draw.uniform(0.004, 0.06), _silhouette(draw))


def _silhouette(draw: random.Random) -> Silhouette:
    rows = [[False] * 32 for _ in range(18)]
    for row in range(1, 1 + draw.randint(2, 6)):
        rows[row][1 : 1 + draw.randint(3, 7)] = [True] * draw.randint(3, 7)
    rows = [(row + [False] * 32)[:32] for row in rows]
    rows[16] = [5 < column < 5 + draw.randint(2, 12) for column in range(32)]
    bits = "".join("1" if cell else "0" for row in rows for cell in row)
    return Silhouette(18, 32, f"{int(bits, 2):0144x}")


def an_hour(now: float) -> Hour:
    draw = random.Random(3)
    done = tuple(draw.randint(0, 90) if index % 20 > 6 else 0 for index in range(60))
    median = tuple(draw.randint(38, 52) if count else None for count in done)
    slowest = tuple(took and took + draw.randint(5, 90) for took in median)
    return Hour(int(now // 60), done, tuple(int(index % 17 == 0) for index in range(60)), median, slowest)


IDLE: dict[str, Any] = {"waiting": 0, "working": 0, "batch": None}


def every_headline() -> dict[str, Snapshot]:
    """Headline → a box that shows it."""
    return {
        "Starting": snapshot("Starting", detail="", **IDLE),
        "Ready": snapshot("Ready", **IDLE, left={}, refused=()),
        "Working": snapshot(sticks=(Stick(1, "working", 12, 45, 3, 1, {"PDF": 2, "thumbnail database": 1}),)),
        "Safe to remove": snapshot("Safe to remove", **IDLE, sticks=(Stick(1, "safe to remove", 45, 45, 3),)),
        "Waiting for space": snapshot("Waiting for space", detail="Less than 512 MiB free; make room, it goes on by itself."),
        "Waiting for share": snapshot("Waiting for share", shares=(Share("in", "connected"), Share("out", "away")), clock_trusted=False),
        "Needs attention": snapshot(
            "Needs attention",
            detail="A stick was pulled too early; plug it in again: what is missing is read then.",
            **IDLE,
            sticks=(Stick(1, "pulled too early", 12, 45),),
        ),
        "Stopped": snapshot("Stopped", **IDLE),
    }
