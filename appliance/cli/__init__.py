"""The command line: the only place that wires things together. What a command needs is imported when it runs."""

from __future__ import annotations

from typing import Any

import click

import appliance
from appliance.bench.commands import bench
from appliance.cli.box import run, status
from appliance.cli.checks import doctor, selftest
from appliance.cli.common import EXIT_CONFIG, EXIT_DOWN
from appliance.cli.device import shares, update
from appliance.cli.dicom import dicom
from appliance.cli.once import redact
from appliance.cli.plans import engine
from appliance.cli.tell import message, page, signal_
from appliance.errors import AnonBoxError, BadConfig


class Commands(click.Group):
    """Turns the errors this program raises on purpose into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BadConfig as error:
            click.echo(f"anonbox: {error}", err=True)
            ctx.exit(EXIT_CONFIG)
        except AnonBoxError as error:
            click.echo(f"anonbox: {error}", err=True)
            ctx.exit(EXIT_DOWN)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(appliance.__version__, prog_name="anonbox")
def cli() -> None:
    """Remove every text overlay and every other trace of a patient from endoscopy pictures.

    Drop pictures into box/in while `anonbox run` is on; results appear in box/out, refused files in box/quarantine.
    """


for command in (run, status, page, signal_, message, doctor, selftest, redact, engine, bench, update, shares, dicom):
    cli.add_command(command)


def main() -> None:
    """The console script."""
    cli()
