"""`anonbox doctor` and `anonbox selftest`: what this machine has, and whether it works."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from appliance.cli.common import box_option, cache_folder, config_option, plans_folder
from appliance.config import document, load


@click.command()
@config_option
@box_option
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@click.option("--config-example", is_flag=True, help="Print the configuration with every key, its default and its meaning; check nothing.")
def doctor(config_path: Path | None, box: Path | None, as_json: bool, config_example: bool) -> None:
    """Say what this machine has and lacks, and what to do. Exit code 1 when something keeps the box from working."""
    from appliance.checks.doctor import examine

    if config_example:
        click.echo(document())
        return
    config, checks = load(config_path, box=box), []
    for check in examine(config, cache_folder(config)):
        checks.append(check)
        if not as_json:
            click.echo(f"{check.status:>6}  {check.name:<13} {check.detail}")
            if check.advice:
                click.echo(f"{'':>8}{'':<13} -> {check.advice}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    sys.exit(1 if any(check.status == "failed" for check in checks) else 0)


@click.command()
@config_option
@box_option
@click.option("--json", "as_json", is_flag=True, help='Print {"ok", "checks": [{"name", "status", "detail"}]}.')
def selftest(config_path: Path | None, box: Path | None, as_json: bool) -> None:
    """Try everything the box needs on this very machine: engine, masks, sandbox, watchdog. Exit code 0 only if all that applies passed.

    Takes half a minute, on a new GPU minutes more. Run it as the user the box runs as. The report holds no picture and no patient data.
    """
    from appliance.checks.selftest import SelfTest

    config = load(config_path, box=box)
    cache = plans_folder(config) if os.access(config.folders.state, os.W_OK) else cache_folder(config)
    checks = []
    for check in SelfTest(config, cache, lambda text: None if as_json else click.echo(f"... {text}", err=True)).run():
        checks.append(check)
        if not as_json:
            click.echo(f"{check.status:>14}  {check.name}: {check.detail}")
    ok = all(check.status != "failed" for check in checks)
    if as_json:
        click.echo(json.dumps({"ok": ok, "checks": [asdict(check) for check in checks]}, indent=1))
    sys.exit(0 if ok else 1)
