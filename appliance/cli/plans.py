"""`anonbox engine`: the TensorRT plans of this device."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from appliance.cli.common import box_option, config_option, plans_folder
from appliance.config import load

engine_mode = click.option("--mode", type=click.Choice(["mask", "boxes"]), help="Which model.  [default: as configured]")


@click.group()
def engine() -> None:
    """Build and show the TensorRT engines of this device. Plans are kept in state/engines, of the box or of --box."""


@engine.command()
@config_option
@box_option
@engine_mode
@click.option("--force", is_flag=True, help="Build anew even if a plan fits this device.")
def build(config_path: Path | None, box: Path | None, mode: Any, force: bool) -> None:
    """Build INT8 and FP16, measure them here, and keep the fastest that agrees with the reference. Takes minutes.

    `anonbox run` does the same at its first start. Run it as the user the box runs as: plans belong to whoever built them.
    """
    from appliance.engine import EngineOptions
    from appliance.engine.build import choose
    from appliance.engine.model import load_model

    config = load(config_path, box=box)
    model = load_model(mode or config.detect.mode)
    start = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - start:6.1f} s  {text}", err=True)

    choice = choose(
        EngineOptions(model.path, model.sha256, cache=plans_folder(config), precision=config.engine.precision), say, force=force
    )
    click.echo(choice.why)


@engine.command()
@config_option
@box_option
@engine_mode
def info(config_path: Path | None, box: Path | None, mode: Any) -> None:
    """Say what is here to build with and from, what was chosen, and why, as JSON. Exit code 1 when no plan fits this device."""
    from appliance.engine.build import describe

    config = load(config_path, box=box)
    facts = describe(mode or config.detect.mode, plans_folder(config), config.engine.precision)
    click.echo(json.dumps(facts, indent=1))
    sys.exit(0 if facts.get("choice") else 1)


@engine.command("list")
@config_option
@box_option
def list_(config_path: Path | None, box: Path | None) -> None:
    """List the plans that are kept, newest first: for which library and device, and why they were chosen."""
    from appliance.engine import plans

    folder = plans_folder(load(config_path, box=box))
    records = plans.records(folder)
    for path in records:
        try:
            kept = plans.read(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            click.echo(f"{path.name}  cannot be read: {error}")
            continue
        built = time.strftime("%Y-%m-%d %H:%M", time.localtime(kept.built_at))
        click.echo(f"{path.stem}  {built}  {kept.key.library} on {kept.key.device}: {kept.why}")
    if not records:
        click.echo(f"no plans in {folder}")
