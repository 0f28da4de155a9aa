"""What a locked-in process can no longer do. Each test locks a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

LOCKED = """
import os, resource, signal, socket, sys, threading
from appliance.redactor import sandbox
kept = os.open("/etc/hostname", os.O_RDONLY)
import ctypes, errno
libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(512)
def called(number, *arguments):
    # a system call by its number on x86-64
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
assert sandbox.lock_down()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    "forbidden",
    [
        "open('/etc/passwd')",
        "open('/tmp/anonbox-test', 'w')",
        "os.listdir('/')",
        "os.rename('/tmp/a', '/tmp/b')",
        "os.unlink('/tmp/a')",
        "os.mkdir('/tmp/anonbox-test')",
        "os.chmod('/tmp', 0o777)",
        "socket.socket()",
        "socket.socketpair()",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "os.memfd_create('x')",
        "os.utime('/tmp', (0, 0))",
        "os.stat('/etc/passwd')",
        "os.stat('/etc/passwd', follow_symlinks=False)",
        "called(262, -100, b'/etc/passwd', buffer, 0x1000)",  # newfstatat, AT_EMPTY_PATH
        "called(332, -100, b'/etc/passwd', 0, 0xfff, buffer)",  # statx
        "os.readlink('/proc/self/exe')",
        "os.chdir('/tmp')",
        "os.setxattr('/tmp', 'user.x', b'')",
        "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
        "signal.pthread_kill(threading.get_ident(), 0) or os.kill(1, 0)",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
    ],
)
def test_forbidden(forbidden: str) -> None:
    result = run(f"{LOCKED}\ntry:\n    {forbidden}\nexcept PermissionError:\n    print('refused')")
    assert result.stdout == "refused\n", result.stderr


def test_what_is_open_stays_usable_and_threads_start() -> None:
    result = run(f"{LOCKED}\nt = threading.Thread(target=lambda: print(len(os.read(kept, 100)) > 0)); t.start(); t.join()")
    assert result.stdout == "True\n", result.stderr


def test_threads_that_ran_before_are_locked_in_too() -> None:
    code = """
import threading
from appliance.redactor import sandbox
go, answer = threading.Event(), []
def late():
    go.wait()
    try:
        open("/etc/passwd")
    except PermissionError:
        answer.append("refused")
thread = threading.Thread(target=late)
thread.start()
sandbox.lock_down()
go.set()
thread.join()
print(*answer)
"""
    assert run(code).stdout == "refused\n"


def test_memory_and_disk_are_limited() -> None:
    code = """
import tempfile
from appliance.redactor import sandbox
file = tempfile.TemporaryFile(buffering=0)
sandbox.limit_resources(64, 1 << 20)
bytearray(16 << 20)
try:
    bytearray(128 << 20)
except MemoryError:
    print("refused")
file.write(bytes(1 << 20))
try:
    file.write(b"1")
except OSError:
    print("refused")
"""
    assert run(code).stdout == "refused\nrefused\n"


def test_it_ends_with_its_parent() -> None:
    ends = "sandbox.die_with(os.getppid()); print(os.getpid(), flush=True); time.sleep(60)"
    child = f"import os, time; from appliance.redactor import sandbox; {ends}"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    pid = int(parent.stdout.readline())
    watched = os.pidfd_open(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(pid)
    os.close(watched)


def _alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("gpu", "request_", "answer"),
    [(False, 0xC0104E00, "EPERM"), (True, 0xC0104E00, "ENOTTY"), (True, 0x5412, "EPERM"), (True, 0x541C, "EPERM")],
    ids=["no GPU, nothing", "a driver's", "TIOCSTI", "TIOCLINUX"],
)
def test_a_gpu_driver_is_spoken_to_and_a_terminal_is_not(gpu: bool, request_: int, answer: str) -> None:
    """On a plain file every request that gets through is answered with ENOTTY."""
    code = f"""
import errno, fcntl, os
from appliance.redactor import sandbox
file = os.open("/etc/hostname", os.O_RDONLY)
assert sandbox.lock_down(gpu={gpu})
try:
    fcntl.ioctl(file, {request_})
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    result = run(code)
    assert result.stdout == f"{answer}\n", result.stderr
