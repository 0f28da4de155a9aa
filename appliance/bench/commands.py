"""The commands of `anonbox bench`. What they need is imported when they run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from appliance.config import user_cache
from appliance.errors import AnonBoxError


@click.group()
def bench() -> None:
    """Measure how fast this machine is. Take the numbers of a machine that does nothing else."""


@bench.command()
@click.option("--images", type=click.Path(file_okay=False, exists=True, path_type=Path), help="JPEGs to measure with.  [default: drawn]")
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(1, 3600), help="How long the rate is measured, about.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the rate over cores and over picture sizes; make bench installs what it needs.",
)
def throughput(images: Path | None, seconds: float, as_json: bool, plot: Path | None) -> None:
    """The shipped pipeline as the daemon runs it: rate, latency, stages, memory, and the floor on the same cores."""
    from appliance.bench import frames, plots
    from appliance.bench import throughput as way

    if plot:
        try:
            plots.check()
        except ImportError as error:
            problem = f"{error.name} is not installed; make bench installs it: .venv-bench/bin/anonbox bench throughput --plot"
            raise AnonBoxError(problem) from error
    files = frames.from_folder(images) if images else frames.drawn_files()
    with click.progressbar(length=100, label="measuring", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()) as bar:
        result = way.measure(files, seconds, user_cache(), lambda share: bar.update(max(0, round(100 * share) - bar.pos)))
    found = result.to_json()
    if plot:
        by_cores, by_size = way.scaling(user_cache())
        plots.scaling(plot, by_cores, by_size)
        found |= {"images_per_s_by_cores": by_cores, "images_per_s_by_size": by_size}
    click.echo(json.dumps(found, indent=1) if as_json else way.as_table(found))
