"""Whether a flood of requests slows the pictures down: redaction with and without it, in turns, on one running box.

    python tests/page/flood.py [--seconds 30] [--rounds 5] [--rate 200]

The flooder runs on the same machine, so its own work counts against the box too; its processor time and the page's are told apart, and
what others on this machine took, the host it may be a guest of among them: a round in which they took much says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

WAITING = 120
"""The drop folder is kept so full."""


def flood(port: int, rate: float, seconds: float) -> None:
    """Ask for the page at this rate, each time over a new connection; say as JSON what came back."""
    answers: Counter[str] = Counter()
    began = time.monotonic()
    sent = 0
    while (now := time.monotonic() - began) < seconds:
        if sent > now * rate:
            time.sleep(sent / rate - now)
        sent += 1
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
                line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                first = line.recv(65536)
                while line.recv(65536):
                    pass
            answers[first[9:12].decode()] += 1
        except OSError as error:
            answers[type(error).__name__] += 1
    print(json.dumps({"answers": answers, "per_s": round(sent / seconds, 1), "cpu_s": round(time.process_time(), 2)}))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_s() -> float:
    """CPU time that the whole machine has spent or lost to its host, seconds: user, nice, system, irq, softirq, steal (proc_stat(5))."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


class Feeder(threading.Thread):
    """Keeps the drop folder full."""

    def __init__(self, inbox: Path, pictures: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.inbox, self.pictures, self.dropped, self.stop = inbox, pictures, 0, threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.5):
            for _ in range(max(0, WAITING - len(list(self.inbox.iterdir())))):
                part = self.inbox / f"{self.dropped:06}.part"
                part.write_bytes(self.pictures[self.dropped % len(self.pictures)])
                part.rename(part.with_suffix(".jpg"))
                self.dropped += 1


def published(out: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(out))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--rate", type=float, default=200)
    options.add_argument("--port", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.port:
        flood(chosen.port, chosen.rate, chosen.seconds)
        return

    from fakes import encoded
    from screens import screen

    pictures = [encoded(screen(seed, (1080, 1920)).image) for seed in range(4)]
    home = Path(tempfile.mkdtemp(prefix="anonbox-flood-"))
    (home / "in").mkdir()
    config = home / "box.toml"
    config.write_text("[intake]\nsettle_s = 0.2\nkeep_originals_days = 0\n[page]\nport = 0\n")
    command = [sys.executable, "-m", "appliance", "run", "--page", "--config", str(config), "--box", str(home)]
    box = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    feeder = Feeder(home / "in", pictures)
    try:
        assert box.stderr
        port = next(int(line.rsplit(":", 1)[1].strip("/\n")) for line in box.stderr if "status page: http" in line)
        threading.Thread(target=box.stderr.read, daemon=True).start()
        page = next(int(pid) for pid in Path(f"/proc/{box.pid}/task/{box.pid}/children").read_text().split() if b"page" in _words(pid))
        feeder.start()
        while published(home / "out") < 50:
            time.sleep(0.5)
        rates: dict[bool, list[float]] = {False: [], True: []}
        for flooded in [False, True] * chosen.rounds:
            before, page_s, began = published(home / "out"), cpu_s(page), time.monotonic()
            others_s = -machine_s() + sum(map(cpu_s, [os.getpid(), *family(box.pid)]))
            if flooded:
                again = [sys.executable, __file__, "--port", str(port), "--rate", str(chosen.rate), "--seconds", str(chosen.seconds)]
                said = subprocess.run(again, capture_output=True, text=True, check=True).stdout.strip()
                others_s -= json.loads(said)["cpu_s"]
            else:
                time.sleep(chosen.seconds)
                said = ""
            took = time.monotonic() - began
            others_s += machine_s() - sum(map(cpu_s, [os.getpid(), *family(box.pid)]))
            rate = (published(home / "out") - before) / took
            rates[flooded].append(rate)
            cores_s = took * (os.cpu_count() or 1)
            shares = f"of all cores: page {(cpu_s(page) - page_s) / cores_s:.1%}, others {others_s / cores_s:.1%}"
            print(f"{'flood' if flooded else 'quiet'}: {rate:.2f} pictures/s; {shares} {said}", flush=True)
        ratios = [with_ / without for without, with_ in zip(rates[False], rates[True])]
        print(f"with the flood, round by round: {', '.join(f'{r:.3f}' for r in ratios)} of the rate without; median {median(ratios):.3f}")
    finally:
        feeder.stop.set()
        box.terminate()
        box.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def _words(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


if __name__ == "__main__":
    main()
