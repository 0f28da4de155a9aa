"""How the machine is: GPU, temperatures, power, throttling, memory. Read from sysfs and /proc, without root and without a tool.

What a machine does not have is empty, None or absent, never a fault: names and places differ between Orin, Thor and a PC, so they are
discovered (jetson.md 5). Every read may fail, as a zone that is switched off does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

GPU_NAMES = {"ga10b", "gb10b", "gv11b", "gp10b", "gpu"}
"""What the device tree calls an integrated GPU."""

BUSY, SLOW = 95.0, 0.8
"""A GPU busier than so many percent that runs below this share of its highest clock is being held back."""

COLDEST = -50.0
"""A zone that is off reports -256 °C."""


Translate = Callable[..., str]
"""A text with {name} for values, and the values by name → what is shown."""


def _in_english(text: str, **values: object) -> str:
    return text.format(**values) if values else text


@dataclass(frozen=True)
class Health:
    """model, release : of a Jetson, e.g. "NVIDIA Jetson Orin Nano ...", "L4T 36.4.3"; empty on a PC
    gpu_load : percent of the last moments; gpu_mhz, gpu_max_mhz : its clock now, and the highest the power mode allows
    temperatures : zone -> °C; power : rail -> W; power_mode : the name nvpmodel knows it by
    throttling : why the machine slows itself down, empty when it does not
    memory_free, memory_total : MiB, on a Jetson the GPU's too
    """

    model: str = ""
    release: str = ""
    gpu_load: float | None = None
    gpu_mhz: int | None = None
    gpu_max_mhz: int | None = None
    temperatures: Mapping[str, float] = field(default_factory=dict)
    power: Mapping[str, float] = field(default_factory=dict)
    power_mode: str = ""
    throttling: str = ""
    memory_free: int | None = None
    memory_total: int | None = None

    def lines(self, t: Translate = _in_english) -> dict[str, str]:
        """What there is to show a person: title -> text, in order. t : puts a text into the reader's language, and values into it"""
        hottest = max(self.temperatures.items(), key=lambda zone: zone[1], default=None)
        clock = (
            t("{now} of {highest} MHz", now=self.gpu_mhz, highest=self.gpu_max_mhz) if self.gpu_mhz is not None and self.gpu_max_mhz else ""
        )
        load = "" if self.gpu_load is None else f"{self.gpu_load:.0f} %"
        power = ", ".join(f"{rail} {watts:.1f} W" for rail, watts in self.power.items())
        memory = t("{free} of {total} MiB", free=self.memory_free, total=self.memory_total) if self.memory_free is not None else ""
        mode = t("mode {mode}", mode=self.power_mode) if self.power_mode else ""
        shown = {
            t("Machine"): ", ".join(filter(None, (self.model, self.release))),
            t("GPU"): ", ".join(filter(None, (load, clock))),
            t("Hottest"): f"{hottest[0]} {hottest[1]:.0f} °C" if hottest else "",
            t("Power"): ", ".join(filter(None, (mode, power))),
            t("Slowed down"): "; ".join(t(part) for part in self.throttling.split("; ")),
            t("Free memory"): memory,
        }
        return {title: text for title, text in shown.items() if text}


def read(root: Path = Path("/")) -> Health:
    """The machine's health now; `root` is another tree in tests. Never raises for what cannot be read."""
    load, now, highest = _gpu(root)
    memory = _memory(root)
    alarms = list(_alarms(root))
    if load is not None and now and highest and load >= BUSY and now < SLOW * highest:
        alarms.append(f"the GPU is busy but runs at {now} of {highest} MHz")
    return Health(
        model=_text(root / "proc/device-tree/model").strip("\0 \n"),
        release=_release(root),
        gpu_load=load,
        gpu_mhz=now,
        gpu_max_mhz=highest,
        temperatures=dict(sorted(_temperatures(root))),
        power={label: volts * amperes / 1e6 for label, volts, amperes, _ in _rails(root)},
        power_mode=_power_mode(root),
        throttling="; ".join(alarms),
        memory_free=memory.get("MemAvailable"),
        memory_total=memory.get("MemTotal"),
    )


def _text(path: Path) -> str:
    """A file's content, empty when it cannot be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _release(root: Path) -> str:
    match = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", _text(root / "etc/nv_tegra_release"))
    return f"L4T {match[1]}.{match[2]}" if match else ""


def _gpu(root: Path) -> tuple[float | None, int | None, int | None]:
    """Load in percent, clock and highest clock in MHz. Thor's load is told by NVML only, which is not asked."""
    for device in sorted((root / "sys/class/devfreq").glob("*")):
        name = _text(device / "device/of_node/name").strip("\0 \n")
        if name in GPU_NAMES or device.name.startswith("gpu-gpc"):
            load = _number(device / "device/load")
            clocks = [_number(device / file) for file in ("cur_freq", "max_freq")]
            now, highest = (None if clock is None else clock // 1_000_000 for clock in clocks)
            return None if load is None else load / 10, now, highest
    return None, None, None


def _temperatures(root: Path) -> Iterator[tuple[str, float]]:
    for zone in (root / "sys/class/thermal").glob("thermal_zone*"):
        name, value = _text(zone / "type").strip(), _number(zone / "temp")
        if name and value is not None and value / 1000 > COLDEST:
            yield name.removesuffix("-thermal"), value / 1000


def _rails(root: Path) -> Iterator[tuple[str, int, int, Path]]:
    """Label, mV, mA and the path that alarms lie beside, of each measured rail (kernel: hwmon/ina3221)."""
    for device in sorted((root / "sys/bus/i2c/devices").glob("*")):
        if "ina3221" not in _text(device / "name"):
            continue
        for monitor in sorted(device.glob("hwmon/hwmon*")):
            for number in range(1, 4):
                label = _text(monitor / f"in{number}_label").strip()
                volts, amperes = _number(monitor / f"in{number}_input"), _number(monitor / f"curr{number}_input")
                if label and label != "NC" and volts is not None and amperes is not None:
                    yield label, volts, amperes, monitor / f"curr{number}"


def _power_mode(root: Path) -> str:
    """The mode's name; its number is in one file and what the numbers mean in another, and neither need be there."""
    match = re.search(r"pmode:0*(\d+)", _text(root / "var/lib/nvpmodel/status"))
    if not match:
        return ""
    names: dict[str, str] = dict(re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>", _text(root / "etc/nvpmodel.conf")))
    return names.get(match[1], match[1])


def _alarms(root: Path) -> Iterator[str]:
    for device in sorted((root / "sys/class/thermal").glob("cooling_device*")):
        kind = _text(device / "type").strip()
        if "throttle-alert" in kind and (_number(device / "cur_state") or 0) > 0:
            yield f"too hot ({kind.removesuffix('-throttle-alert')})"
    for label, _, _, stem in _rails(root):
        if any(_number(stem.with_name(f"{stem.name}_{limit}_alarm")) for limit in ("max", "crit")):
            yield f"too much current on {label}"


def _memory(root: Path) -> dict[str, int]:
    """MiB by /proc/meminfo's names."""
    found = re.findall(r"^(\w+):\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return {name: int(kib) // 1024 for name, kib in found}
