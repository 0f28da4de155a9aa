"""A box in QEMU: booted without KVM, sticks plugged in and pulled over QMP, the page asked from outside, a shell over SSH for the rest."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

BOOT_S = 900.0
"""Emulated, on two busy cores."""

SETTINGS = "/etc/anonbox/anonbox.toml"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Machine:
    """folder : what image.sh made; the disk is not written to, but a copy-on-write layer over it, `layer`.

    sound : what its sound card played since it booted, a WAV file
    """

    def __init__(self, folder: Path, layer: Path) -> None:
        self.folder, self.layer, self.sound = folder, layer, layer.with_suffix(".wav")
        self.page_port, self.ssh_port, self.smb_port = free_port(), free_port(), free_port()
        if not layer.exists():
            disk = folder.resolve() / "disk.raw"
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk, layer], check=True)

    def boot(self) -> None:
        monitor = self.layer.with_suffix(".qmp")
        monitor.unlink(missing_ok=True)
        self.process = subprocess.Popen([*self.command(), "-qmp", f"unix:{monitor},server=on,wait=off"])
        until(lambda: monitor.exists(), 20, "QEMU started")
        self.monitor = socket.socket(socket.AF_UNIX)
        self.monitor.connect(str(monitor))
        self.answers = self.monitor.makefile()
        self.answers.readline()
        self.tell("qmp_capabilities")

    def command(self) -> list[str]:
        """QEMU, with the devices of a PC: sticks by USB, a sound card, a keyboard with a LED."""
        devices = ["virtio-net-pci,netdev=net", "qemu-xhci,id=usb", "intel-hda", "hda-output,audiodev=sound,mixer=off"]
        options = {"cpu": "max,la57=off", "audiodev": f"wav,id=sound,path={self.sound}"}
        return [*self._words("qemu-system-x86_64", options, "ttyS0"), *(word for device in devices for word in ("-device", device))]

    def _words(self, program: str, own: Mapping[str, object], console: str) -> list[str]:
        """What every machine has: the disk, a network of its own, a console that is written to a file. own : further options"""
        forwards = f"hostfwd=tcp:127.0.0.1:{self.page_port}-:8080,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"
        forwards += f",hostfwd=tcp:127.0.0.1:{self.smb_port}-:445"
        options = {
            "accel": "tcg,thread=multi,tb-size=512",
            "smp": "2",
            "m": "2560",
            "kernel": self.folder / "vmlinuz",
            "initrd": self.folder / "initrd.img",
            "append": f"root=/dev/vda rw console={console} panic=-1 mitigations=off nokaslr",
            "drive": f"file={self.layer},if=virtio,format=qcow2,cache=writethrough",
            "netdev": f"user,id=net,restrict=on,{forwards}",
            "serial": f"file:{self.layer.with_suffix('.log')}",
            "display": "none",
            **own,
        }
        return [program, *(str(word) for name, value in options.items() for word in (f"-{name}", value))]

    def power_cut(self) -> None:
        """At once, whatever it writes."""
        self.process.kill()
        self.process.wait()
        self.answers.close()
        self.monitor.close()

    def tell(self, command: str, **arguments: Any) -> Any:
        self.monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.answers.readline())
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]

    def plug(self, name: str, image: Path) -> None:
        file = {"driver": "file", "filename": str(image)}
        self.tell("blockdev-add", driver="raw", **{"node-name": f"node-{name}", "file": file})
        self.tell("device_add", driver="usb-storage", id=name, drive=f"node-{name}", serial=image.stem, removable=True, bus="usb.0")

    def pull(self, name: str) -> None:
        """Without a word to the machine, as a hand does."""
        self.tell("device_del", id=name)
        until(lambda: self._forgets(name), 60, "QEMU let go of the stick")

    def _forgets(self, name: str) -> bool:
        try:
            self.tell("blockdev-del", **{"node-name": f"node-{name}"})
        except RuntimeError:
            return False
        return True

    def status(self) -> dict[str, Any]:
        """What the page tells a program from outside; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page_port}/api/status", timeout=20) as answer:
                value: dict[str, Any] = json.load(answer)
                return value
        except (OSError, urllib.error.HTTPError, ValueError):
            return {}

    def page(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.page_port}/", timeout=60) as answer:
            return str(answer.read().decode())

    def wait_for(self, what: str, is_so: Callable[[dict[str, Any]], bool], limit_s: float = 300.0) -> dict[str, Any]:
        last: dict[str, Any] = {}

        def look() -> bool:
            nonlocal last
            last = self.status()
            return bool(last) and is_so(last)

        until(look, limit_s, what, lambda: str({key: last.get(key) for key in ("state", "detail", "sticks", "waiting", "working")}))
        return last

    def becomes(self, state: str, limit_s: float = 300.0) -> dict[str, Any]:
        """Wait until the page says so, to a program and to a person."""
        now = self.wait_for(state, lambda now: now["state"] == state, limit_s)
        assert state in self.page()
        return now

    def configure(self, settings: str, state: str = "Ready") -> None:
        """Add these to the settings that the image has, in place of what was added before, and start the box anew, into that state."""
        self.run(f"[ -e {SETTINGS}.image ] || cp {SETTINGS} {SETTINGS}.image; cat {SETTINGS}.image - >{SETTINGS}", stdin=settings)
        self.run("systemctl reset-failed anonbox; systemctl restart anonbox", BOOT_S)  # or it was started too often for systemd
        self.becomes(state)

    def run(self, command: str, limit_s: float = 300.0, check: bool = True, stdin: str = "") -> str:
        """In a root shell of the machine."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=30"]
        flags = [word for option in options for word in ("-o", option)]
        login = ["ssh", "-i", str(self.folder / "key"), "-p", str(self.ssh_port), *flags, "root@127.0.0.1"]
        result = subprocess.run([*login, command], input=stdin, capture_output=True, text=True, timeout=limit_s, check=False)
        if check and result.returncode:
            raise AssertionError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout

    def write(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Files by their path below a folder of the machine, which is made if need be."""
        lines = [
            f"""mkdir -p "$(dirname '{name}')"; base64 -d >'{name}' <<'EOF'\n{_text(content)}\nEOF""" for name, content in files.items()
        ]
        self.run("bash -s", stdin="\n".join(["set -eu", f"mkdir -p {folder}; cd {folder}", *lines, ""]))

    def fetch(self, folder: str) -> dict[str, str]:
        """Path below a folder of the machine -> SHA-256 of every file in it."""
        lines = self.run(f"cd {folder} && find . -type f -exec sha256sum {{}} + || true").splitlines()
        return {line[66:].removeprefix("./"): line[:64] for line in lines}


class Arm64Machine(Machine):
    """The same for an arm64 machine without sticks and sound: a kernel of its own, so that its system calls and seccomp are real."""

    def command(self) -> list[str]:
        options = {"machine": "virt", "cpu": "max,pauth-impdef=on", "m": "4096"}
        return [*self._words("qemu-system-aarch64", options, "ttyAMA0"), "-device", "virtio-net-pci,netdev=net"]


def _text(content: bytes) -> str:
    return base64.encodebytes(content).decode().strip()


def until(is_so: Callable[[], bool], limit_s: float, what: str, last: Callable[[], str] = lambda: "") -> None:
    end = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s:.0f} s: {what}. {last()}")
        time.sleep(0.5)
