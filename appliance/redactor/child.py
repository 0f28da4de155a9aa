"""One redactor process, as the daemon holds it: its start, its lines, its end."""

from __future__ import annotations

import logging
import queue
import re
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from appliance.config import Config
from appliance.errors import BadConfig, RedactorDown
from appliance.redactor import wire
from appliance.system.liveness import SAID_EVERY_S, Pulse
from appliance.types import EngineInfo

log = logging.getLogger("anonbox.redactor")

START_S = 600.0
"""A first start may have to compile the model; on a Jetson that takes minutes."""

PLACE = re.compile(rb"(?:\w+ \S+: )?(\w{1,40} in \w{1,40}\.py:[0-9]{1,5})\s*")
"""All that a redactor at work may say to the log: the type and the place of a fault."""


class Child:
    """One redactor process and its lanes' ends of the line. A line is closed by whoever holds it last, never under a reader.

    ready : whether it takes files; locked : whether it is in its sandbox; since : when it was ready, monotonic seconds
    used : whether it was given a file
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.idle: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self.info = EngineInfo("", "", "", "")
        self.ready = self.locked = self.used = False
        self.since = time.monotonic()
        self._lock, self._leaving, self._out = threading.Lock(), False, 0
        self._ear = threading.Thread(target=self._listen, daemon=True, name="redactor's words")
        self._ear.start()

    @property
    def busy(self) -> int:
        """How many files it works on."""
        return self._out

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def take(self, timeout_s: float) -> socket.socket:
        """A lane nobody uses. Raises queue.Empty."""
        line = self.idle.get(timeout=timeout_s)
        with self._lock:
            self._out += 1
        self.used = True
        return line

    def give_back(self, line: socket.socket) -> None:
        """After a file; the last one of a child that retires ends it."""
        self.idle.put(line)
        with self._lock:
            self._out -= 1
            over = self._leaving and not self._out
        if over or not self.lives:
            self.bury()

    def retire(self) -> None:
        """End it once the files in its lanes are done."""
        with self._lock:
            self._leaving = True
            over = not self._out
        if over:
            self.bury()

    def bury(self) -> None:
        self.process.kill()
        self.process.wait()
        self._close_idle()
        if threading.current_thread() is not self._ear:
            self._ear.join()

    def _close_idle(self) -> None:
        while True:
            try:
                self.idle.get_nowait().close()
            except queue.Empty:
                return

    def _listen(self) -> None:
        """What it writes to its standard output and error: the log's until it is locked in, then dropped but for the place of a fault,
        because it may be any text of a picture."""
        assert self.process.stdout
        with self.process.stdout as words:
            while text := words.readline(1000):
                if not self.ready:
                    log.warning("redactor, starting: %s", text.decode("utf-8", "replace").rstrip())
                elif place := PLACE.fullmatch(text):
                    log.error("redactor: %s", place[1].decode())


def start(
    command: Sequence[str], settings: Callable[[tuple[int, ...]], str], config: Config, lanes: int, say: Callable[[str], None]
) -> Child:
    """Start a process and wait until it is ready.

    command : the program that settings, made of its lanes' descriptors, are added to; say : called every few seconds meanwhile
    Raises BadConfig, RedactorDown.
    """
    pairs = [socket.socketpair() for _ in range(lanes)]
    theirs = tuple(theirs.fileno() for _, theirs in pairs)
    process = subprocess.Popen(
        [*command, settings(theirs)], pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    for _, end in pairs:
        end.close()
    lines = [ours for ours, _ in pairs]
    child = Child(process)
    try:
        _await_words(lines[0], process.pid, say)
        _greet(child, lines[0])
    except BaseException:
        child.bury()
        for line in lines:
            line.close()
        raise
    for line in lines:
        line.settimeout(config.limits.job_s)
        child.idle.put(line)
    return child


def _greet(child: Child, line: socket.socket) -> None:
    line.settimeout(START_S)
    try:
        answer, _ = wire.receive(line)
    except (OSError, EOFError, ValueError) as error:
        raise RedactorDown("the redactor ended while it started; what it said stands above") from error
    if "bad_config" in answer:
        raise BadConfig(*answer["bad_config"])
    if "down" in answer:
        raise RedactorDown(answer["down"])
    child.info, child.locked = EngineInfo(**answer["ready"]), bool(answer["locked"])
    child.ready, child.since = True, time.monotonic()
    if not child.locked:
        log.warning("this kernel or processor has no seccomp filter: the redactor runs without a sandbox")


def _await_words(line: socket.socket, pid: int, say: Callable[[str], None]) -> None:
    """Wait until the starting redactor says something, or ends. Raises RedactorDown when it hangs, or takes longer than START_S."""
    pulse, until = Pulse(pid), time.monotonic() + START_S
    while True:
        say("preparing the network; the first time this takes long")
        if select.select([line], [], [], SAID_EVERY_S)[0]:
            return
        if pulse.is_still() or time.monotonic() > until:
            raise RedactorDown("the redactor hangs while it starts")
