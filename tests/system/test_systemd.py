from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from appliance.system import systemd


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "systemd.daemon", None)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5)
        yield bound


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_speaks_to_the_socket(kind: str, listener: socket.socket, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = str(home / "notify") if kind == "path" else f"@anonbox-{os.getpid()}"
    listener.bind(name.replace("@", "\0"))
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    assert systemd.notify("READY=1", "STATUS=Ready")
    assert listener.recv(100) == b"READY=1\nSTATUS=Ready"
    assert systemd.reloading()
    assert listener.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/notify"])
def test_without_a_manager_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not systemd.notify("READY=1")


def test_the_library_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    module = ModuleType("systemd.daemon")
    module.notify = said.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "systemd", ModuleType("systemd"))
    monkeypatch.setitem(sys.modules, "systemd.daemon", module)
    systemd.notify("A=1", "B=2")
    assert said == ["A=1\nB=2"]


def test_watchdog_period_is_half_of_its_limit_and_only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    for limit, period in (("30000000", 15.0), ("", None), ("0", None), ("x", None)):
        monkeypatch.setenv("WATCHDOG_USEC", limit)
        assert systemd.watchdog_s() == period
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_s() is None
