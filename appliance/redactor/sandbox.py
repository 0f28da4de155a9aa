"""Takes away from the running process what parsing a picture does not need: files, sockets, other programs, endless memory.

A seccomp filter allows the few system calls that computing on open file descriptors takes, and answers EPERM to every other one.
So the redactor can talk to the daemon over the socket it has, read the file it was handed and write the result; it cannot name a
file, make a socket, start a program or touch another process. Needs no privilege (seccomp(2), PR_SET_NO_NEW_PRIVS), covers all
threads (SECCOMP_FILTER_FLAG_TSYNC), and cannot be undone.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import select
import struct
import threading
from pathlib import Path

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
RET_ALLOW, RET_KILL_PROCESS, RET_ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = 1, 38
CLONE_THREAD = 0x00010000
LOAD, JUMP_EQUAL, JUMP_BITS, SHIFT_RIGHT, RETURN = 0x20, 0x15, 0x45, 0x74, 0x06  # classic BPF: linux/bpf_common.h
AT_NR, AT_ARCH = 0, 4  # struct seccomp_data
AT_EMPTY_PATH = 0x1000
TERMINAL = 0x54  # an ioctl request of a terminal is 0x54 and a byte (asm-generic/ioctls.h); others say direction and size above

PROCESSORS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""For each processor: its column below, and its AUDIT_ARCH of linux/audit.h."""

ALLOWED = {
    "read": (0, 63), "readv": (19, 65), "pread64": (17, 67), "write": (1, 64), "writev": (20, 66), "pwrite64": (18, 68),
    "lseek": (8, 62), "close": (3, 57), "fstat": (5, 80), "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216),
    "mprotect": (10, 226), "madvise": (28, 233), "brk": (12, 214), "futex": (202, 98), "rseq": (334, 293),
    "set_robust_list": (273, 99), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168),
    "clock_gettime": (228, 113), "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "gettimeofday": (96, 169),
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "recvmsg": (47, 212),
    "recvfrom": (45, 207), "sendto": (44, 206), "sendmsg": (46, 211), "shutdown": (48, 210), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "getpid": (39, 172), "gettid": (186, 178),
    "getppid": (110, 173), "exit": (60, 93), "exit_group": (231, 94), "getrandom": (318, 278), "getrusage": (98, 165),
    "restart_syscall": (219, 128), "membarrier": (324, 283), "set_tid_address": (218, 96),
}  # fmt: skip
"""Numbers on x86-64 and arm64 (asm/unistd_64.h, asm-generic/unistd.h); None: that processor has no such call."""

IOCTL = (16, 29)
"""Allowed in part, and only where TensorRT runs: its driver is spoken to by ioctl on device nodes that were opened before the lock-down
(on a Jetson nvmap, nvhost and nvgpu, at every launch). It reaches only what is open, and no terminal: TIOCSTI would type into it. What
else a driver may want is not on the list until a device is seen to need it; `anonbox selftest` redacts behind this lock."""

CLONE, CLONE3, TGKILL, NEWFSTATAT = (56, 220), (435, 435), (234, 131), (262, 79)
SCHED_SETAFFINITY, SECCOMP = (203, 122), (317, 277)
"""Calls that are allowed in part, and the one that installs the filter."""

Instruction = tuple[int, int, int, int]


def die_with(parent: int) -> None:
    """End when the daemon ends, even by SIGKILL; leave no core dump, which would hold pictures. Call before lock_down.

    A thread waits on the parent's pidfd, because PR_SET_PDEATHSIG follows the thread that started us, not the process.
    """
    _prctl(PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    watched = os.pidfd_open(parent)
    if os.getppid() != parent:  # it died before the line above
        raise SystemExit("the daemon is gone")

    def wait() -> None:
        select.select([watched], [], [])
        os._exit(0)

    threading.Thread(target=wait, daemon=True, name="parent").start()


def limit_resources(beyond_mib: int, largest_file: int) -> None:
    """Let the address space grow by so much beyond what it is now; more is a MemoryError, not a machine that swaps. No file is
    written beyond `largest_file` bytes, so that a taken-over process cannot fill the disk."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + beyond_mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))


def lock_down(gpu: bool = False) -> bool:
    """Install the filter; False where this processor or kernel has none, which doctor tells. After it nothing can be opened.

    gpu : leave a GPU's driver what it needs
    """
    processor = PROCESSORS.get(platform.machine())
    if processor is None:
        return False
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _program(*processor, gpu))
    buffer = ctypes.create_string_buffer(program)

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    filter_ = Filter(len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    number = ctypes.c_long(SECCOMP[processor[0]])
    return bool(libc.syscall(number, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(filter_)) == 0)


def _program(column: int, audit: int, gpu: bool = False) -> list[Instruction]:
    """The filter in classic BPF: each test jumps over what stands behind it unless it applies."""
    code = [(LOAD, 0, 0, AT_ARCH), (JUMP_EQUAL, 1, 0, audit), (RETURN, 0, 0, RET_KILL_PROCESS), (LOAD, 0, 0, AT_NR)]
    for numbers in ALLOWED.values():
        number = numbers[column]
        if number is not None:
            code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, RET_ALLOW)]
    # clone3 hides its flags behind a pointer: glibc falls back to clone on ENOSYS
    code += [(JUMP_EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, RET_ERRNO | ENOSYS)]
    code += _if(CLONE[column], 0, (JUMP_BITS, 0, 1, CLONE_THREAD))  # threads, not processes
    code += _if(TGKILL[column], 0, (JUMP_EQUAL, 0, 1, os.getpid()))  # abort() ends this process, no other
    code += _if(SCHED_SETAFFINITY[column], 0, (JUMP_EQUAL, 0, 1, 0))  # a thread chooses its own cores
    code += _if(NEWFSTATAT[column], 3, (JUMP_BITS, 0, 1, AT_EMPTY_PATH))  # fstat, as newer glibc calls it
    if gpu:
        code += _if(IOCTL[column], 1, (SHIFT_RIGHT, 0, 0, 8), (JUMP_EQUAL, 1, 0, TERMINAL))
    return [*code, (RETURN, 0, 0, RET_ERRNO | EPERM)]


def _if(number: int, argument: int, *test: Instruction) -> list[Instruction]:
    """Allow a system call when the low half of one of its arguments passes the test; the call's number is loaded and stays so."""
    load = (LOAD, 0, 0, 16 + 8 * argument)
    return [(JUMP_EQUAL, 0, len(test) + 3, number), load, *test, (RETURN, 0, 0, RET_ALLOW), (LOAD, 0, 0, AT_NR)]


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")
