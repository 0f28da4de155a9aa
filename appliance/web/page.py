"""The status page: one glance, one state. It only answers questions, stands alone on the snapshot, and has no name or picture to give away.

It is meant for a hospital's network, where anybody may call: GET and HEAD only, nothing in it acts on the box.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import cast

import flask
from markupsafe import Markup
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound, TooManyRequests

from appliance.status import snapshot as snapshots
from appliance.status.snapshot import Snapshot
from appliance.web import charts, licences, metrics, views
from appliance.web.access import Pin, host_allowed, own_names
from appliance.web.texts import LANGUAGES, Language, Words, iso

METHODS = ("GET", "HEAD")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

TEXT = "text/plain; charset=utf-8"

WITHOUT_PIN = ("healthz", "static")
"""What watches the box need not know the PIN; style and script say nothing of it."""


class Answers:
    """What is made of the snapshot, made once a second at most, so that a flood of requests takes nothing from the pictures."""

    def __init__(self, path: Path, first_report_due: float, fault: str) -> None:
        self._path, self._first_report_due, self._fault = path, first_report_due, fault
        self._lock = threading.Lock()
        self._made: dict[str, tuple[object, str]] = {}

    def __call__(self, name: str, make: Callable[[Snapshot, float], str]) -> str:
        """The answer called `name`; make : from the snapshot and the time, Unix seconds"""
        now = time.time()
        moment = (int(now), self._signature())
        with self._lock:
            known, answer = self._made.get(name, (None, ""))
            if known != moment:
                answer = make(snapshots.look(self._path, self._first_report_due, now, self._fault), now)
                self._made[name] = (moment, answer)
            return answer

    def _signature(self) -> tuple[int, int] | None:
        """Changes whenever a new snapshot takes the old one's place."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino


def create_app(snapshot_path: Path, allowed_hosts: Collection[str] = (), pin: str = "", fault: str = "") -> flask.Flask:
    """The page as a WSGI application.

    allowed_hosts : further names the box may be called by; pin : empty when anybody may look
    fault : what is wrong with the configuration; then the page says that, and nothing else
    """
    app = flask.Flask(__name__)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 60
    app.jinja_env.filters.update(iso=iso, outline=charts.outline)
    app.jinja_env.globals.update(
        shapes=_shapes(Path(app.static_folder or "")), languages=LANGUAGES, views=views, slug=_slug, no_connection="No connection"
    )
    answers = Answers(snapshot_path, time.time() + snapshots.FIRST_REPORT_S, fault)
    _guard(app, own_names() | {name.lower() for name in allowed_hosts}, Pin(pin))

    @app.get("/")
    def page() -> str:
        words = Words(_language())
        return answers(f"page {words.language}", lambda snapshot, now: _render(snapshot, words, now))

    @app.get("/api/status")
    def status() -> flask.Response:
        return flask.Response(answers("status", _as_json), content_type="application/json")

    @app.get("/metrics")
    def measures() -> flask.Response:
        def make(snapshot: Snapshot, now: float) -> str:
            return metrics.expose(snapshot, snapshot.state, now).decode()

        return flask.Response(answers("metrics", make), content_type=metrics.CONTENT_TYPE)

    @app.get("/healthz")
    def healthz() -> flask.Response:
        headline = answers("health", lambda snapshot, now: snapshot.state)
        return _text("ok", 200) if headline in views.HEALTHY else _text(headline, 503)

    @app.get("/licences")
    def licence_list() -> str:
        return flask.render_template("licences.html", t=Words(_language()), software=_software(), data=licences.data())

    @app.get("/licences/<name>")
    def licence_text(name: str) -> flask.Response:
        texts = [text for part in _software() if part.name == name for text in part.texts]
        if not texts:
            raise NotFound("No licence text came with a part of that name.")
        return _text("\n\n".join(texts), 200)

    return app


def _guard(app: flask.Flask, hosts: Collection[str], pin: Pin) -> None:
    """What holds for every request and every answer."""

    @app.before_request
    def refuse_strangers() -> flask.Response | None:
        if not host_allowed(flask.request.headers.get("Host", ""), hosts):
            raise BadRequest("Call the box by its address or its own name.")
        if flask.request.method not in METHODS:
            raise MethodNotAllowed(METHODS)
        if flask.request.endpoint in WITHOUT_PIN:
            return None
        verdict = pin.check(_pin_given(), flask.request.remote_addr or "", time.monotonic())
        if verdict == "wait":
            raise TooManyRequests("Too many wrong PINs; wait a minute.")
        if verdict == "ask":
            return _text("The PIN is needed; any user name will do.", 401, {"WWW-Authenticate": 'Basic realm="AnonBox"'})
        return None

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


def _pin_given() -> str | None:
    """What was sent as the PIN; "" for what is none."""
    try:
        given = flask.request.authorization
    except ValueError:  # Werkzeug 3.1 lets through what is not ASCII
        return ""
    return (given.password or "") if given else None


def _render(snapshot: Snapshot, words: Words, now: float) -> str:
    return flask.render_template(
        "page.html",
        now=now,
        t=words,
        snapshot=snapshot,
        glance=views.glance(snapshot, words),
        groups=views.grouped(snapshot.refused),
        hour=views.hour(snapshot.hour) if snapshot.hour else None,
    )


def _as_json(snapshot: Snapshot, now: float) -> str:
    """The whole snapshot, the one state of the page, and how old the report is."""
    age_s = round(now - snapshot.written_at, 1) if snapshot.written_at else None
    return json.dumps({"headline": snapshot.state, **asdict(snapshot), "age_s": age_s})


def _language() -> Language:
    """The language asked for by ?lang=, or the browser's."""
    asked = flask.request.args.get("lang", "")
    return cast(Language, asked if asked in LANGUAGES else flask.request.accept_languages.best_match(LANGUAGES, "en"))


@cache
def _software() -> tuple[licences.Part, ...]:
    return tuple(licences.software())


def _text(text: str, code: int, headers: Mapping[str, str] | None = None) -> flask.Response:
    return flask.Response(f"{text}\n", code, headers, content_type=TEXT)


def _shapes(static: Path) -> dict[str, Markup]:
    """Slug of a state → its drawing; ours, so safe to place in the page, where it is seen even when the box is gone."""
    return {path.stem: Markup(path.read_text("utf-8")) for path in (static / "shapes").glob("*.svg")}  # noqa: S704


def _slug(headline: str) -> str:
    return headline.lower().replace(" ", "-")
