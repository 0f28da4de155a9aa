"""Takes away from the running process what parsing a picture does not need: files, sockets, other programs, endless memory.

A seccomp filter, made by libseccomp, allows the few system calls that computing on open file descriptors takes, and answers EPERM to
every other one. So the redactor can talk to the daemon over the socket it has, read the file it was handed and write the result; it
cannot name a file, make a socket, start a program or touch another process. Needs no privilege (seccomp(2), PR_SET_NO_NEW_PRIVS, which
libseccomp sets), covers all threads (SECCOMP_FILTER_FLAG_TSYNC), and cannot be undone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import threading
from pathlib import Path
from typing import Any

PR_SET_DUMPABLE = 4
CLONE_THREAD = 0x00010000
TERMINAL = 0x5400  # an ioctl request of a terminal is 0x54 and a byte (asm-generic/ioctls.h); others say direction and size above
ACT_ALLOW, ACT_ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h of libseccomp
ATTRIBUTE_TSYNC = 4
EQUAL, MASKED_EQUAL = 4, 7  # enum scmp_compare

ALLOWED = (
    "read", "readv", "pread64", "write", "writev", "pwrite64", "lseek", "close", "fstat", "mmap", "munmap", "mremap", "mprotect",
    "madvise", "brk", "futex", "rseq", "set_robust_list", "sched_yield", "sched_getaffinity", "getcpu", "clock_gettime",
    "clock_nanosleep", "nanosleep", "gettimeofday", "poll", "ppoll", "select", "pselect6", "recvmsg", "recvfrom", "sendto", "sendmsg",
    "shutdown", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "getpid", "gettid", "getppid", "exit", "exit_group",
    "getrandom", "getrusage", "restart_syscall", "membarrier", "set_tid_address",
)  # fmt: skip
"""fstat, but not newfstatat, by which glibc 2.33 to 2.38 asks the same: that takes a path, which a filter cannot read, and would tell
which files there are."""

# ioctl is allowed only where TensorRT runs: its driver is spoken to by ioctl on device nodes that were opened before the lock-down (on a
# Jetson nvmap, nvhost and nvgpu, at every launch). It reaches only what is open, and no terminal: TIOCSTI would type into it. What else
# a driver may want is not on the list until a device is seen to need it; `anonbox selftest` redacts behind this lock.


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp: what an argument of a call must be."""

    _fields_ = (("argument", ctypes.c_uint), ("compare", ctypes.c_int), ("first", ctypes.c_uint64), ("second", ctypes.c_uint64))


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
    """Install the filter; False where this processor, kernel or system has none, which doctor tells. After it nothing can be opened.

    gpu : leave a GPU's driver what it needs
    """
    try:
        library = _library()
    except OSError:
        return False
    context = library.seccomp_init(ACT_ERRNO | errno.EPERM)
    try:
        return bool(context) and library.seccomp_attr_set(context, ATTRIBUTE_TSYNC, 1) == 0 and _fill(library, context, gpu)
    finally:
        library.seccomp_release(context)


def _library() -> ctypes.CDLL:
    """Raises OSError."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Comparison))
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_release.argtypes = library.seccomp_load.argtypes = (ctypes.c_void_p,)
    return library


def _fill(library: ctypes.CDLL, context: Any, gpu: bool) -> bool:
    """Add every rule and load the filter; whether all of it was possible."""

    def rule(name: str, *comparisons: tuple[int, int, int, int], action: int = ACT_ALLOW) -> int:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # this processor has no such call
            return 0
        array = (Comparison * len(comparisons))(*(Comparison(*comparison) for comparison in comparisons))
        return int(library.seccomp_rule_add_array(context, action, number, len(comparisons), array))

    failed = [rule(name) for name in ALLOWED]
    failed.append(rule("clone3", action=ACT_ERRNO | errno.ENOSYS))  # it hides its flags behind a pointer: glibc falls back to clone
    failed.append(rule("clone", (0, MASKED_EQUAL, CLONE_THREAD, CLONE_THREAD)))  # threads, not processes
    failed.append(rule("tgkill", (0, EQUAL, os.getpid(), 0)))  # abort() ends this process, no other
    failed.append(rule("sched_setaffinity", (0, EQUAL, 0, 0)))  # a thread chooses its own cores
    if gpu:
        failed += [rule("ioctl", (1, MASKED_EQUAL, bit, bit)) for bit in _BITS_NOT_OF_A_TERMINAL]
        failed += [rule("ioctl", (1, MASKED_EQUAL, bit, 0)) for bit in _BITS_OF_A_TERMINAL]
    return not any(failed) and library.seccomp_load(context) == 0


_BITS_OF_A_TERMINAL = [1 << place for place in range(8, 32) if TERMINAL >> place & 1]
_BITS_NOT_OF_A_TERMINAL = [1 << place for place in range(8, 32) if not TERMINAL >> place & 1]
"""libseccomp has no "differs under a mask": a request that is no terminal's has one of these set, or one of those not."""


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")
