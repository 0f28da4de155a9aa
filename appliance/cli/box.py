"""`anonbox run` and `anonbox status`: the box, and how it is doing."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType

import click

from appliance.cli.common import box_option, config_option, log_format, plans_folder
from appliance.config import Config, load
from appliance.errors import AnonBoxError, BadConfig, why_not


@click.command()
@config_option
@box_option
@click.option("--page/--no-page", "with_page", default=False, help="Start the status page too, as a process of its own.")
def run(config_path: Path | None, box: Path | None, with_page: bool) -> None:
    """Watch the drop folder and redact what arrives, until SIGTERM. SIGHUP rereads the configuration."""
    from appliance.daemon.announcer import Announcer
    from appliance.daemon.start import run_box
    from appliance.engine.ensure import ensure_plans
    from appliance.redactor.client import RedactorProcess
    from appliance.status import journald

    signal.signal(signal.SIGTERM, _leave)  # until run_box knows better: a first start may compile for minutes
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reload = partial(load, config_path, box=box)
    try:
        config = reload()
    except BadConfig as error:  # page and signals see it by themselves
        journald.tell("Needs attention", why_not(error))
        raise
    logging.basicConfig(format=log_format(), level=logging.INFO)
    with ExitStack() as undo:
        if with_page:
            undo.callback(_stop, _start_page(config_path, config))
        announce = Announcer(config.folders.state / "status.json", time.time())
        try:
            with announce.until_ready():
                ensure_plans(config, plans_folder(config), announce)
                redactor = RedactorProcess(config, plans_folder(config), say=announce)
            undo.callback(redactor.close)
            sys.exit(run_box(config, redactor, reload))
        except AnonBoxError as error:
            announce.give_up(error)
            raise


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _start_page(config_path: Path | None, config: Config) -> subprocess.Popen[bytes]:
    """The page as a child; it ends when the pipe to it closes, which even a killed parent does."""
    options = ["--box", str(config.folders.box)] + (["--config", str(config_path)] if config_path else [])
    command = [sys.executable, "-I", "-m", "appliance", "page", "--until-stdin-closes", *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.communicate()


@click.command()
@config_option
@box_option
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON.")
def status(config_path: Path | None, box: Path | None, as_json: bool) -> None:
    """Say how the running box is doing. Exit code 1 when it needs attention or does not run."""
    from appliance.status import snapshot

    path = load(config_path, box=box).folders.state / "status.json"
    try:
        now = snapshot.read(path)
    except FileNotFoundError:
        raise click.ClickException(f"no box has run here: {path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error
    if as_json:
        click.echo(json.dumps(asdict(now), indent=1))
    else:
        click.echo(f"{now.state}{': ' + now.detail if now.detail else ''}")
        click.echo(f"waiting {now.waiting}, in work {now.working}, done today {now.done_today}, ever {now.done_ever}")
        click.echo(f"quarantined {now.refused_ever}, left in the drop folder {sum(now.left.values())}")
        if now.engine and now.engine.note:
            click.echo(f"{now.engine.name} runs {now.engine.note}")
        if now.health and now.health.throttling:
            click.echo(f"slowed down: {now.health.throttling}")
        click.echo(f"{now.images_per_minute} pictures in the last minute, {now.free_bytes / 2**30:.1f} GiB free, version {now.version}")
    sys.exit(0 if now.state not in {"Needs attention", "Stopped"} else 1)
