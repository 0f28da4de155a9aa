"""The status page: one glance, one state. It only answers questions, stands alone on the snapshot, and has no name or picture to give away.

It is meant for a hospital's network, where anybody may call and nobody logs in: GET and HEAD only, nothing in it acts on the box.
"""

from __future__ import annotations

import ipaddress
import re
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import flask
import waitress
from markupsafe import Markup
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed

from appliance.status import snapshot as snapshots
from appliance.status.snapshot import Refused, Snapshot, State

METHODS = ("GET", "HEAD")
HEALTHY = ("Ready", "Working", "Waiting for space")
MEANING: Mapping[State, str] = {
    "Starting": "The box is getting ready.",
    "Ready": "Drop pictures into the folder.",
    "Working": "Pictures are being de-identified.",
    "Waiting for space": "The disk is nearly full. Make room; the box goes on by itself.",
    "Needs attention": "Somebody must look after the box.",
    "Stopped": "The box was shut down. Nothing is lost; it goes on when it is started again.",
}
"""What a state means for the person in front of the box, when the daemon has nothing more exact to say."""

FIRST_REPORT_S = 120.0
"""A box that has not written its first snapshot so long after the page started is not starting any more, seconds."""

HOST = re.compile(r"(\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[\w.-]+?)\.?)(:\d+)?", re.ASCII)
"""A Host header: an IPv6 address in brackets, or a name or IPv4 address; a last dot and a port do not count."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

ADVICE: Mapping[str, tuple[str, str]] = {
    "unsupported": ("Not a picture this box handles", "Export it as JPEG, PNG, BMP or TIFF and drop it again."),
    "damaged": ("Damaged file", "Export or copy the picture from its source again."),
    "incomplete": ("Cut-off file", "Copy it again and let the copy finish before you pull the stick or close the connection."),
    "too-large": ("Larger than this box accepts", "Export it smaller, or ask for a higher limit in the box's configuration."),
    "text-left": ("Text may be left", "Somebody must look at this picture. Do not pass it on: it may still show a name."),
    "not-faithful": ("The result failed its check", "Drop it again. If it fails again, report its number to whoever looks after the box."),
    "timeout": ("Took too long", "Drop it again when the box is idle. If it fails again, export it smaller."),
    "crash": ("Broke the reader", "The file is probably malformed. Export the picture from its source again."),
    "unreadable": ("Could not be read", "Check the file's permissions and the stick or share it came from, then copy it again."),
}
"""A refusal's code (errors.BAD_FILE_CODES) → its title, and what a person can do."""

UNKNOWN_REFUSAL = ("Refused", "Report its number to whoever looks after the box.")


@dataclass(frozen=True)
class RefusalGroup:
    """The refusals of one kind: its title, what to do, and reason → entries, newest first."""

    title: str
    advice: str
    reasons: Mapping[str, tuple[Refused, ...]]

    @property
    def count(self) -> int:
        return sum(len(entries) for entries in self.reasons.values())


def grouped(refused: Iterable[Refused]) -> list[RefusalGroup]:
    """Group refusals by code, then by reason; the kind that happened last comes first."""
    codes: defaultdict[str, defaultdict[str, list[Refused]]] = defaultdict(lambda: defaultdict(list))
    for entry in refused:
        codes[entry.code][entry.reason].append(entry)
    return [
        RefusalGroup(*ADVICE.get(code, UNKNOWN_REFUSAL), {reason: tuple(entries) for reason, entries in reasons.items()})
        for code, reasons in codes.items()
    ]


def look(path: Path, first_report_due: float, now: float) -> Snapshot:
    """The snapshot at `path`, or an honest one where there is none; times in Unix seconds."""
    try:
        return snapshots.read(path, now)
    except FileNotFoundError:
        if now < first_report_due:
            return Snapshot("Starting", "The box has not reported yet.")
        return Snapshot("Needs attention", "The box has never reported; see whether its daemon runs.")
    except OSError as error:
        return Snapshot("Needs attention", f"The box's report cannot be read: {error.strerror}.")
    except (ValueError, KeyError, TypeError):
        return Snapshot("Needs attention", "The box's report is damaged; restart the box.")


def create_app(snapshot_path: Path, allowed_hosts: Collection[str] = ()) -> flask.Flask:
    """The page as a WSGI application; `allowed_hosts` are further names the box may be called by."""
    app = flask.Flask(__name__)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 60
    app.jinja_env.filters.update(ago=_ago, clock=_clock, iso=_iso, count=_count, size=_size)
    app.jinja_env.globals["shapes"] = _shapes(Path(app.static_folder or ""))
    hosts = own_names() | {name.lower() for name in allowed_hosts}
    first_report_due = time.time() + FIRST_REPORT_S

    @app.before_request
    def refuse_strangers() -> None:
        if not host_allowed(flask.request.headers.get("Host", ""), hosts):
            raise BadRequest("Call the box by its address or its own name.")
        if flask.request.method not in METHODS:
            raise MethodNotAllowed(METHODS)

    @app.after_request
    def harden(response: flask.Response) -> flask.Response:
        response.headers.update(HEADERS)
        if flask.request.endpoint != "static" or response.status_code >= 400:
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> flask.Response:
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        return _text(f"{error.name}. {error.description}", error.code or 500, headers)

    @app.get("/")
    def page() -> str:
        now = time.time()
        snapshot = look(snapshot_path, first_report_due, now)
        return flask.render_template(
            "page.html",
            now=now,
            snapshot=snapshot,
            slug=_slug(snapshot.state),
            detail=snapshot.detail or MEANING[snapshot.state],
            groups=grouped(snapshot.refused),
        )

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        now = time.time()
        snapshot = look(snapshot_path, first_report_due, now)
        return {**asdict(snapshot), "age_s": round(now - snapshot.written_at, 1) if snapshot.written_at else None}

    @app.get("/healthz")
    def healthz() -> flask.Response:
        state = look(snapshot_path, first_report_due, time.time()).state
        return _text("ok", 200) if state in HEALTHY else _text(state, 503)

    return app


def serve(snapshot_path: Path, host: str, port: int, ready: Callable[[int], None] | None = None) -> None:
    """Serve the page until SIGTERM or SIGINT; port 0 takes a free one, `ready` is told which. Main thread only. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, dualstack_ipv6=host == "::") as listener:
        server = waitress.create_server(
            create_app(snapshot_path, allowed_hosts=[host]),
            sockets=[listener],
            ident=None,
            threads=2,
            channel_timeout=30,
            max_request_header_size=16 * 1024,
            max_request_body_size=16 * 1024,
        )
        # waitress ends its loop on SystemExit, answers what is in hand, and returns from run()
        signal.signal(signal.SIGTERM, _leave)
        if ready:
            ready(listener.getsockname()[1])
        server.run()
        server.close()


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def own_names() -> frozenset[str]:
    """The names this machine is called by, full and short, lower case."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, name.partition(".")[0]})


def host_allowed(header: str, names: Collection[str]) -> bool:
    """Whether a Host header names this box: an address, *.local or one of `names`. Anything else may be DNS rebinding."""
    match = HOST.fullmatch(header.lower())
    if not match:
        return False
    host = match["address"] or match["name"]
    return host in names or host.endswith(".local") or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _text(text: str, code: int, headers: Mapping[str, str] | None = None) -> flask.Response:
    return flask.Response(f"{text}\n", code, headers, content_type="text/plain; charset=utf-8")


def _shapes(static: Path) -> dict[str, Markup]:
    """Slug of a state → its drawing; ours, so safe to place in the page, where it is seen even when the box is gone."""
    return {path.stem: Markup(path.read_text("utf-8")) for path in (static / "shapes").glob("*.svg")}  # noqa: S704


def _slug(state: str) -> str:
    return state.lower().replace(" ", "-")


def _ago(seconds: float) -> str:
    """A length of time in the largest unit of which there are two: "4 s", "12 min", "3 h", "2 days"."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _clock(at: float) -> str:
    """A Unix time as the box's own date and time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(at))


def _count(number: int) -> str:
    """12345 → "12 345", with a narrow space that does not break."""
    return f"{number:,}".replace(",", "\u202f")


def _size(bytes_: int) -> str:
    return f"{bytes_ / 1e12:.1f} TB" if bytes_ >= 1e12 else f"{bytes_ / 1e9:.1f} GB"
