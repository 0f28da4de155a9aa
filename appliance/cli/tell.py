"""What tells people of the box: `anonbox page`, `signal` and `message`. A wrong configuration must not silence them."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.common import box_option, config_option, log_format
from appliance.config import Config, Page, salvage
from appliance.errors import BadConfig, why_not

if TYPE_CHECKING:
    from appliance.web.server import Serving

SHORTEST_PIN = 6


@click.command()
@config_option
@box_option
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
def page(config_path: Path | None, box: Path | None, until_stdin_closes: bool) -> None:
    """Serve the status page, by default on http://127.0.0.1:8080. With a wrong configuration it says so, and nothing else."""
    from appliance.web.server import serve

    config, serving = _to_serve(config_path, box)
    if until_stdin_closes:
        for ignored in (signal.SIGINT, signal.SIGHUP):  # meant for the parent
            signal.signal(ignored, signal.SIG_IGN)
        threading.Thread(target=_follow_stdin, daemon=True).start()

    def say_where(port: int) -> None:
        click.echo(f"status page: http{'s' if serving.tls else ''}://{config.page.host}:{port}/", err=True)

    try:
        serve(config.folders.state / "status.json", serving, say_where)
    except OSError as error:
        raise BadConfig("page", f"cannot listen on {config.page.host}:{config.page.port}: {error.strerror}; choose another port") from error


def _follow_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _to_serve(config_path: Path | None, box: Path | None) -> tuple[Config, Serving]:
    """The configuration as far as it is right, and what the page's server needs to know."""
    from appliance.web.server import Serving

    config, wrong = salvage(config_path, box=box)
    try:
        serving = _serving(config.page)
    except BadConfig as error:
        wrong, serving = wrong or error, Serving(config.page.host, config.page.port, _names(config.page))
    if wrong is None:
        return config, serving
    click.echo(f"anonbox: {wrong}; the page says so, and nothing else", err=True)
    return config, replace(serving, fault=why_not(wrong))


def _serving(page: Page) -> Serving:
    """What the page's server needs to know. Raises BadConfig when PIN or certificate cannot be used."""
    from appliance.web.server import Serving, tls_context

    pin = ""
    if page.pin_file:
        try:
            pin = Path(page.pin_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadConfig("page.pin_file", f"cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from error
        if len(pin) < SHORTEST_PIN:
            raise BadConfig("page.pin_file", f"holds {len(pin)} characters, at least {SHORTEST_PIN} are needed")
    try:
        tls = tls_context(page.certificate, page.certificate_key) if page.certificate else None
    except OSError as error:  # ssl.SSLError among them
        raise BadConfig("page.certificate", f"cannot be used with page.certificate_key: {error.strerror}") from error
    return Serving(page.host, page.port, _names(page), pin, tls)


def _names(page: Page) -> tuple[str, ...]:
    return tuple(name.strip() for name in page.names.split(",") if name.strip())


@click.command("signal")
@config_option
@box_option
@click.option("--note", type=click.Path(path_type=Path), help="File that the state is written into when a message about it is due.")
def signal_(config_path: Path | None, box: Path | None, note: Path | None) -> None:
    """Show the state by LED and sound, as [signal] says, until SIGTERM."""
    from appliance.signals.led_and_sound import Signals, find_led

    config, wrong = salvage(config_path, box=box)
    logging.basicConfig(format=log_format(), level=logging.INFO)
    if wrong is not None:
        logging.error("%s; shown as a need for attention", wrong)
    led = None
    try:
        led = find_led(config.signal.led)
    except OSError:  # messages must not end with it
        logging.error("signal.led is %r, which is no LED of this machine: see /sys/class/leds", config.signal.led)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    fault = "" if wrong is None else why_not(wrong)
    Signals(config.folders.state / "status.json", led, config.signal.sound, note, config.signal.after_s, fault).run(ended)


@click.command()
@config_option
@click.argument("note", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def message(config_path: Path | None, note: Path) -> None:
    """Send the state in the file NOTE by e-mail and to the webhook, as [signal] says. Nothing but the state and the box's name is sent.

    A setting that is wrong is passed over. Exit code 1 when a way failed. Secrets are the service's credential: lines username=, password=
    (e-mail), token=, url= (webhook).
    """
    from appliance.signals.messages import Route, read_secrets, send

    how = salvage(config_path)[0].signal
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    route = Route(how.name or os.uname().nodename, how.webhook, how.mail_server, how.mail_from, how.mail_to)
    failures = send(note.read_text("utf-8").strip(), route, read_secrets(Path(folder) if folder else None))
    for failure in failures:
        click.echo(failure, err=True)
    sys.exit(1 if failures else 0)
