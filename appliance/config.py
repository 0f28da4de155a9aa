"""The configuration: TOML in, frozen values out. An unknown key, a wrong type or a value out of range is refused by name."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from appliance.errors import BadConfig
from appliance.types import Mode

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Section = TypeVar("Section")

NODE = re.compile(r"(?P<title>[^@\\]{1,16})@(?P<host>[^@\s]+):(?P<port>[1-9]\d{0,4})")
"""A DICOM node, AETITLE@host:port; an IPv6 address in brackets."""


def setting(
    default: Any, why: str, unit: str = "", low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A field of a section: its default, what it is for, its unit and what it may be."""
    return field(default=default, metadata={"why": why, "unit": unit, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class Folders:
    """Where things are; a relative path is below `box`, and `box` below the working directory."""

    box: Path = setting(Path("box"), "the folder that holds all others")
    inbox: Path = setting(Path("in"), "drop folder, any depth")
    out: Path = setting(Path("out"), "results")
    done: Path = setting(Path("done"), "originals after publishing; same file system as state saves a copy")
    quarantine: Path = setting(Path("quarantine"), "refused files, each with reason.json")
    state: Path = setting(Path("state"), "journal, status.json, work/, compiled models")

    def resolved(self) -> Folders:
        box = self.box.absolute()
        return Folders(box, *(box / getattr(self, f.name) for f in dataclasses.fields(self)[1:]))


@dataclass(frozen=True)
class Intake:
    settle_s: float = setting(2.0, "a file is taken when size and time stood still this long", "s", 0, 3600)
    sweep_s: float = setting(5.0, "the whole drop folder is listed this often, events or not", "s", 0.05, 3600)
    watch: bool = setting(True, "let inotify shorten the wait; it sees nothing on a network share, the sweep does")
    incomplete_s: float = setting(60.0, "a cut-off picture is tried again this long after it last changed, then refused", "s", 0, 86400)
    examination_idle_s: float = setting(600.0, "a folder into which nothing came for so long starts a new examination", "s", 1, 864000)
    keep_originals_days: float = setting(7.0, "originals stay in done/ so long; 0: removed once the result is on disk", "days", 0, 3650)
    keep_refused_days: float = setting(30.0, "refused files stay in quarantine/ so long", "days", 0, 3650)
    min_free_mib: int = setting(512, "with less free space on out/ or state/ nothing new is taken", "MiB", 0)


@dataclass(frozen=True)
class EngineSection:
    name: str = setting("openvino", "which engine runs the network: on the CPU, or on an NVIDIA GPU", choices=("openvino", "tensorrt"))
    fallback: str = setting("none", "what runs when that engine cannot; the page then says so", choices=("none", "openvino"))
    precision: str = setting("auto", "auto: INT8 where that is faster on this machine and sees as much", choices=("auto", "int8", "float"))
    threads: int = setting(0, "CPU threads for the network, 0 = one a core", "", 0, 256)
    lanes: int = setting(0, "pictures worked on at once, 0 = one a core and one more", "", 0, 64)


@dataclass(frozen=True)
class Detect:
    mode: Mode = setting("mask", "mask: black out where the score map says text; boxes: decode RBOX boxes first", choices=("mask", "boxes"))
    threshold: int = setting(0, "from this score on a cell is text; lower removes more; 0 = as the model's card says", "0..255", 0, 255)


@dataclass(frozen=True)
class Limits:
    megapixels: int = setting(100, "a larger picture (all its pages together) is refused", "Mpx", 1, 4000)
    file_mib: int = setting(256, "a larger file is refused", "MiB", 1, 4096)
    job_s: float = setting(60.0, "a picture that works so long without a sign of progress is refused; CPU time counts", "s", 1, 3600)
    memory_mib: int = setting(3072, "address space a redactor may take beyond what it needs when idle, and one for a large file", "MiB", 64)


@dataclass(frozen=True)
class Dicom:
    retain_characteristics: bool = setting(False, "the patient's sex, age, size and weight stay in DICOM files")
    retain_device: bool = setting(False, "the device's maker, model, software, serial number and station name stay in DICOM files")
    shift_dates: bool = setting(False, "dates stay, moved back by a secret number of days an examination; false: they are removed")
    uids: str = setting(
        "examination",
        "how far one secret makes new UIDs: examination: it is forgotten with it; box: it is kept, so that examinations stay linked",
        choices=("examination", "box"),
    )
    port: int = setting(0, "port DICOM is received on, 11112 or 104; 0: none is", "", 0, 65535)
    host: str = setting("0.0.0.0", "address it is received on")  # noqa: S104
    ae_title: str = setting("ANONBOX", "what the box is called among DICOM nodes, and by those who send to it")
    callers: str = setting("", "AE titles that may send, separated by commas")
    addresses: str = setting("", "IP addresses or networks (10.1.2.0/24) that may send, separated by commas")
    send_to: str = setting("", "node that results are sent on to: AETITLE@host:port; empty: none")


@dataclass(frozen=True)
class Usb:
    results: str = setting(
        "box",
        "results of a stick's pictures: box: in out/ alone; stick: also onto that stick, AnonBox-out-NNNN; "
        "second: also onto every stick that has a folder AnonBox-results",
        choices=("box", "stick", "second"),
    )


@dataclass(frozen=True)
class Shares:
    inbox: str = setting(
        "", "the hospital's folder to fetch pictures from: //server/share/folder (SMB) or server:/folder (NFS); empty: none"
    )
    out: str = setting("", "the hospital's folder to deliver results to, written likewise; empty: they stay in out/")


@dataclass(frozen=True)
class Page:
    host: str = setting("127.0.0.1", "address the status page listens on")
    port: int = setting(8080, "its port; 0 takes a free one", "", 0, 65535)
    names: str = setting("", "further names it may be called by, separated by commas; addresses, own name and *.local always work")
    pin_file: str = setting("", "file that holds the PIN the page asks for; empty: anybody on the network may look")
    certificate: str = setting("", "file with the TLS certificate and its chain, PEM; empty: plain HTTP")
    certificate_key: str = setting("", "file with its key, PEM; empty: the certificate's file holds it")


@dataclass(frozen=True)
class Signal:
    led: str = setting("auto", "LED below /sys/class/leds that shows the state; auto: the board's own for its owner; empty: none")
    sound: str = setting("none", "what lets it be heard that a stick may go or somebody is needed", choices=("none", "aplay", "beep"))
    after_s: float = setting(60.0, "a message is sent when the box needs attention for so long", "s", 0, 86400)
    name: str = setting("", "what the box is called in a message; empty: its host name")
    webhook: str = setting("", "address that a message is posted to as JSON; empty: none, or url= of the credential")
    mail_server: str = setting("", "host:port that takes e-mail, 587 with STARTTLS, 465 with TLS, 25 without either; empty: no e-mail")
    mail_from: str = setting("", "sender of the e-mail; empty: the recipient")
    mail_to: str = setting("", "recipient of the e-mail")


@dataclass(frozen=True)
class Config:
    folders: Folders = field(default_factory=Folders)
    intake: Intake = field(default_factory=Intake)
    engine: EngineSection = field(default_factory=EngineSection)
    detect: Detect = field(default_factory=Detect)
    limits: Limits = field(default_factory=Limits)
    dicom: Dicom = field(default_factory=Dicom)
    usb: Usb = field(default_factory=Usb)
    shares: Shares = field(default_factory=Shares)
    page: Page = field(default_factory=Page)
    signal: Signal = field(default_factory=Signal)


def load(path: Path | None = None, *, box: Path | None = None) -> Config:
    """Read a TOML file (None: all defaults); `box` overrides folders.box. Folders come back absolute. Raises BadConfig."""
    return _placed(parse(_read(path)), box)


def salvage(path: Path | None = None, *, box: Path | None = None) -> tuple[Config, BadConfig | None]:
    """As `load`, for those who tell people of a fault: what is wrong is left at its default, and told; None when all is right."""
    values: Mapping[str, Any] = {}
    try:
        values = _read(path)
        return _placed(parse(values), box), None
    except BadConfig as error:
        return _placed(_build(_sound(values)), box), error


def _read(path: Path | None) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8")) if path else {}
    except OSError as error:
        raise BadConfig(str(path), f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(str(path), f"is not valid TOML: {error}") from error


def _sound(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the settings that are right, each by itself."""
    kept: dict[str, dict[str, Any]] = {}
    for section, settings in values.items():
        for key, value in settings.items() if isinstance(settings, Mapping) else ():
            with suppress(BadConfig):
                _build({section: {key: value}})
                kept.setdefault(section, {})[key] = value
    return kept


def _placed(config: Config, box: Path | None) -> Config:
    folders = dataclasses.replace(config.folders, box=box) if box else config.folders
    return dataclasses.replace(config, folders=folders.resolved())


def user_cache() -> Path:
    """Where commands that are not the daemon keep the compiled model; the box's own folders are the daemon's."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anonbox"


def parse(values: Mapping[str, Any]) -> Config:
    """Turn a parsed TOML document into a Config. Raises BadConfig naming the key."""
    config = _build(values)
    if config.shares.out and config.usb.results != "box":
        raise BadConfig("usb.results", f"is {config.usb.results}, but shares.out takes every result off the box: choose one of the two")
    _check_dicom(config.dicom, config.shares)
    return config


def _check_dicom(dicom: Dicom, shares: Shares) -> None:
    """What the network's settings mean together. Raises BadConfig."""
    for key, titles in (("ae_title", [dicom.ae_title]), ("callers", listed(dicom.callers))):
        for title in titles:
            if not (0 < len(title.strip()) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):
                raise BadConfig(f"dicom.{key}", f"has {title!r}, an AE title has 1 to 16 ASCII characters and no backslash")
    for address in listed(dicom.addresses):
        try:
            ipaddress.ip_network(address)
        except ValueError as error:
            raise BadConfig("dicom.addresses", f"has {address!r}, which is no IP address or network: {error}") from error
    for key in ("callers", "addresses") if dicom.port else ():
        if not listed(getattr(dicom, key)):
            raise BadConfig(f"dicom.{key}", "is empty, but dicom.port is set: say who may send")
    if dicom.send_to and shares.out:
        raise BadConfig("dicom.send_to", "is set, but shares.out takes every result off the box: choose one of the two")
    if dicom.send_to and not NODE.fullmatch(dicom.send_to):
        raise BadConfig("dicom.send_to", f"is {dicom.send_to!r}, must be AETITLE@host:port")


def listed(text: str) -> list[str]:
    """The entries of a setting that holds several, separated by commas."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _build(values: Mapping[str, Any]) -> Config:
    """Each setting by itself. Raises BadConfig."""
    sections = {f.name: type(f.default_factory()) for f in dataclasses.fields(Config) if callable(f.default_factory)}
    _refuse_unknown("", values, sections)
    return Config(**{name: _section(name, sections[name], values[name]) for name in values})


def _section(name: str, kind: type[Section], values: Any) -> Section:
    if not isinstance(values, Mapping):
        raise BadConfig(name, f"must be a table, [{name}]")
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _refuse_unknown(f"{name}.", values, fields)
    return kind(**{key: _value(f"{name}.{key}", fields[key], value) for key, value in values.items()})


def _refuse_unknown(prefix: str, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in values:
        if key not in known:
            raise BadConfig(f"{prefix}{key}", f"is unknown, choose one of {', '.join(known)}")


def _value(key: str, spec: dataclasses.Field[Any], value: Any) -> Any:
    kind = type(spec.default)
    if isinstance(spec.default, Path) and isinstance(value, str):
        return Path(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise BadConfig(key, f"is {value!r}, must be {'a path' if isinstance(spec.default, Path) else kind.__name__}")
    low, high, choices = spec.metadata["low"], spec.metadata["high"], spec.metadata["choices"]
    if choices and value not in choices:
        raise BadConfig(key, f"is {value!r}, choose one of {', '.join(choices)}")
    if not ((low is None or value >= low) and (high is None or value <= high)):  # so that nan, which is neither, is refused
        span = f"at least {low}" if high is None else f"between {low} and {high}"
        raise BadConfig(key, f"is {value}, must be {span} {spec.metadata['unit']}".rstrip())
    return value


def document(config: Config | None = None) -> str:
    """The configuration as commented TOML, defaults unless given; `anonbox doctor --config-example` prints it."""
    lines: list[str] = []
    for section in dataclasses.fields(Config):
        values = getattr(config or Config(), section.name)
        lines.append(f"[{section.name}]")
        for spec in dataclasses.fields(values):
            value, meta = getattr(values, spec.name), spec.metadata
            text = json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)  # TOML writes these as JSON does
            unit = f" [{meta['unit']}]" if meta["unit"] else ""
            either = f" ({' | '.join(meta['choices'])})" if meta["choices"] else ""
            lines.append(f"{spec.name} = {text}  # {meta['why']}{unit}{either}")
        lines.append("")
    return "\n".join(lines)
