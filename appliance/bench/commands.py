"""The commands of `anonbox bench`. What they need is imported when they run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from appliance.config import user_cache
from appliance.errors import AnonBoxError

Command = TypeVar("Command", bound=Callable[..., object])
json_option = click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
HEAVY = "make bench installs what it needs"


def plot_option(what: str) -> Callable[[Command], Command]:
    return click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help=f"Draw {what}; {HEAVY}.")


@contextmanager
def _heavy() -> Iterator[None]:
    """Say what to do where a library of the bench extra is missing."""
    try:
        yield
    except ImportError as error:
        raise AnonBoxError(f"{error.name} is not installed; {HEAVY}: .venv-bench/bin/anonbox bench --help") from error


@click.group()
def bench() -> None:
    """Measure how fast this machine is. Take the numbers of a machine that does nothing else."""


@bench.command()
@click.option("--images", type=click.Path(file_okay=False, exists=True, path_type=Path), help="JPEGs to measure with.  [default: drawn]")
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(1, 3600), help="How long the rate is measured, about.")
@json_option
@plot_option("the rate over cores and over picture sizes")
def throughput(images: Path | None, seconds: float, as_json: bool, plot: Path | None) -> None:
    """The shipped pipeline as the daemon runs it: rate, latency, stages, memory, and the floor on the same cores."""
    from appliance.bench import frames, plots
    from appliance.bench import throughput as way

    files = frames.from_folder(images) if images else frames.drawn_files()
    with _heavy():
        if plot:
            plots.check()
        with click.progressbar(length=100, label="measuring", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()) as bar:
            result = way.measure(files, seconds, user_cache(), lambda share: bar.update(max(0, round(100 * share) - bar.pos)))
        found = result.to_json()
        if plot:
            by_cores, by_size = way.scaling(user_cache())
            plots.scaling(plot, by_cores, by_size)
            found |= {"images_per_s_by_cores": by_cores, "images_per_s_by_size": by_size}
    click.echo(json.dumps(found, indent=1) if as_json else way.as_table(found))


@bench.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="How often every row is measured, in turn.")
@json_option
@plot_option("the time of each stage, row by row, beside the study's")
def ladder(rounds: int, as_json: bool, plot: Path | None) -> None:
    """The study's ladder and beyond, one change a row, file to file on the same 1080p pictures; other detectors beside it."""
    with _heavy():
        from appliance.bench import ladder as way
        from appliance.bench import plots

        if plot:
            plots.check()
        length = rounds * len(way.ROWS)
        with click.progressbar(length=length, label="measuring", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()) as bar:
            found = way.measure(rounds, user_cache(), lambda: bar.update(1))
        if plot:
            plots.ladder(plot, found)
    click.echo(json.dumps(found, indent=1) if as_json else way.as_table(found))
