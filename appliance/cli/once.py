"""`anonbox redact`: once, without the box."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from appliance.cli.common import EXIT_REFUSED, FOLDER, cache_folder, config_option, to_stderr
from appliance.config import load
from appliance.errors import BadFile


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(exists=False, path_type=Path))
@click.option("--out", required=True, type=FOLDER, help="Folder for the results; made if missing; results of the same name are replaced.")
@click.option("--masks", type=FOLDER, help="Folder for one PNG a picture, STEM.png, 255 = removed.")
@click.option(
    "--mode", type=click.Choice(["mask", "boxes"]), help="mask: black out the score map; boxes: decode boxes first.  [default: mask]"
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def redact(inputs: Sequence[Path], out: Path, masks: Path | None, mode: Any, config_path: Path | None, as_json: bool) -> None:
    """Redact INPUTS, files or folders, once. Exit code 1 when any file was refused."""
    from appliance.engine.ensure import ensure_plans
    from appliance.redactor import batch
    from appliance.redactor.client import RedactorProcess

    config = load(config_path)
    if mode:
        config = replace(config, detect=replace(config.detect, mode=mode))
    items = batch.collect(inputs)
    places = batch.Places(out, masks)
    if harm := batch.find_harm(items, inputs, places):
        raise click.UsageError(harm)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as after Ctrl-C, nothing half-done is left
    ensure_plans(config, cache_folder(config), to_stderr)
    redactor = RedactorProcess(config, cache_folder(config))
    try:
        start = time.perf_counter()
        with click.progressbar(length=len(items), label="redacting", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()) as bar:
            outcomes = batch.redact_all(items, redactor, places, lambda _: bar.update(1))
        seconds = time.perf_counter() - start
        peak = redactor.peak_mib()
    except OSError as error:
        raise click.ClickException(f"{error.filename or out}: {error.strerror}") from error
    finally:
        redactor.close()
    refused = [outcome for outcome in outcomes if isinstance(outcome.result, BadFile)]
    summary = {
        "redacted": len(outcomes) - len(refused),
        "refused": len(refused),
        "ms_per_image": round(1e3 * seconds / max(1, len(outcomes)), 1),
        "redactor_peak_mib": peak,
    }
    if as_json:
        click.echo(json.dumps({**summary, "files": [outcome.to_json() for outcome in outcomes]}, indent=1))
    else:
        for outcome in refused:
            click.echo(f"refused  {outcome.item.source}: {outcome.result}", err=True)
        click.echo(
            "{redacted} redacted, {refused} refused, {ms_per_image} ms an image, redactor peak {redactor_peak_mib} MiB".format(**summary)
        )
    sys.exit(EXIT_REFUSED if refused else 0)
