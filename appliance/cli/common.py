"""What the commands share: options, exit codes, and where compiled models are."""

from __future__ import annotations

import os
from pathlib import Path

import click

from appliance.config import Config, user_cache

EXIT_REFUSED, EXIT_CONFIG, EXIT_DOWN = 1, 78, 69  # the last two: sysexits EX_CONFIG, EX_UNAVAILABLE

FOLDER = click.Path(file_okay=False, path_type=Path)
config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="ANONBOX_CONFIG",
    help="TOML file; defaults apply without.",
)
box_option = click.option("--box", type=FOLDER, help="Folder that holds in/, out/, done/, quarantine/ and state/.  [default: ./box]")


def plans_folder(config: Config) -> Path:
    """Where the box keeps compiled models."""
    return config.folders.state / "engines"


def cache_folder(config: Config) -> Path:
    """Where commands that are not the daemon look for compiled models: among the box's own plans where this user may, because building
    them anew takes minutes; otherwise in the user's cache."""
    plans = plans_folder(config)
    return plans if config.engine.name == "tensorrt" and os.access(plans, os.R_OK | os.X_OK) else user_cache()


def log_format() -> str:
    """Under systemd the journal adds the time itself."""
    return "%(levelname)s %(message)s" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s %(levelname)s %(message)s"


def to_stderr(text: str) -> None:
    click.echo(text, err=True)
