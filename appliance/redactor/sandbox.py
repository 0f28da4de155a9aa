"""Takes away from the running process what parsing a picture does not need: files, sockets, other programs, endless memory.

A seccomp filter answers EPERM to every system call that opens, names or changes a file, makes a socket or starts a program. File
descriptors that are open stay usable, so the redactor can still talk to the daemon and read the file it was handed. Needs no
privilege (seccomp(2), PR_SET_NO_NEW_PRIVS), covers all threads (SECCOMP_FILTER_FLAG_TSYNC), and cannot be undone.
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
X32_BIT = 0x40000000
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF: linux/bpf_common.h
AT_NR, AT_ARCH, AT_ARG0 = 0, 4, 16  # struct seccomp_data

_COMMON_X86 = {
    "open": 2, "creat": 85, "openat": 257, "openat2": 437, "open_by_handle_at": 304, "open_tree": 428,
    "socket": 41, "socketpair": 53, "connect": 42, "bind": 49, "listen": 50, "accept": 43, "accept4": 288,
    "execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
    "rename": 82, "renameat": 264, "renameat2": 316, "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266, "unlink": 87,
    "unlinkat": 263, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "mknod": 133, "mknodat": 259, "truncate": 76, "chmod": 90,
    "fchmodat": 268, "chown": 92, "lchown": 94, "fchownat": 260, "mount": 165, "umount2": 166, "chroot": 161, "pivot_root": 155,
    "unshare": 272, "setns": 308, "bpf": 321, "io_uring_setup": 425, "pidfd_getfd": 438, "memfd_create": 319, "kill": 62,
}  # fmt: skip
_COMMON_ARM64 = {
    "openat": 56, "openat2": 437, "open_by_handle_at": 265, "open_tree": 428,
    "socket": 198, "socketpair": 199, "connect": 203, "bind": 200, "listen": 201, "accept": 202, "accept4": 242,
    "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
    "renameat": 38, "renameat2": 276, "linkat": 37, "symlinkat": 36, "unlinkat": 35, "mkdirat": 34, "mknodat": 33, "truncate": 45,
    "fchmodat": 53, "fchownat": 54, "mount": 40, "umount2": 39, "chroot": 51, "pivot_root": 41, "unshare": 97, "setns": 268,
    "bpf": 280, "io_uring_setup": 425, "pidfd_getfd": 438, "memfd_create": 279, "kill": 129,
}  # fmt: skip


class Architecture:
    """What differs between processors: AUDIT_ARCH_*, the numbers of seccomp, clone and clone3, and of what is refused."""

    def __init__(self, audit: int, seccomp: int, clone: int, refused: dict[str, int]) -> None:
        self.audit, self.seccomp, self.clone, self.clone3, self.refused = audit, seccomp, clone, 435, refused


ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, 317, 56, _COMMON_X86),
    "aarch64": Architecture(0xC00000B7, 277, 220, _COMMON_ARM64),
}


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


def limit_memory(beyond_mib: int) -> None:
    """Let the address space grow by so much beyond what it is now; more is a MemoryError, not a machine that swaps."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + beyond_mib * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def lock_down() -> bool:
    """Install the filter; False where this processor or kernel has none (doctor says so). After it nothing can be opened."""
    arch = ARCHITECTURES.get(platform.machine())
    if arch is None:
        return False
    program = _program(arch)
    buffer = ctypes.create_string_buffer(program)

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    filter_ = Filter(len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    result = libc.syscall(ctypes.c_long(arch.seccomp), SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(filter_))
    return bool(result == 0)


def _program(arch: Architecture) -> bytes:
    """The filter in classic BPF: each test jumps over the return behind it unless it applies."""
    code = [(LOAD, 0, 0, AT_ARCH), (JUMP_EQUAL, 1, 0, arch.audit), (RETURN, 0, 0, RET_KILL_PROCESS), (LOAD, 0, 0, AT_NR)]
    code += [(JUMP_AT_LEAST, 0, 1, X32_BIT), (RETURN, 0, 0, RET_KILL_PROCESS)]
    for number in sorted(arch.refused.values()):
        code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, RET_ERRNO | EPERM)]
    # clone3 hides its flags behind a pointer: glibc falls back to clone on ENOSYS; clone may make threads only
    code += [(JUMP_EQUAL, 0, 1, arch.clone3), (RETURN, 0, 0, RET_ERRNO | ENOSYS)]
    code += [(JUMP_EQUAL, 0, 3, arch.clone), (LOAD, 0, 0, AT_ARG0), (JUMP_BITS, 1, 0, CLONE_THREAD), (RETURN, 0, 0, RET_ERRNO | EPERM)]
    code += [(RETURN, 0, 0, RET_ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")
