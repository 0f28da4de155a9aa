"""python -m engines.bench: the study's ladder and beyond. `make bench` installs what it needs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from appliance.bench import plots as libraries
from appliance.config import user_cache
from engines.bench import ladder, plots


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="How often every row is measured, in turn.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw each stage's time, row by row, beside the study's.")
def main(rounds: int, as_json: bool, plot: Path | None) -> None:
    """The study's ladder and beyond, one change a row, file to file on the same 1080p pictures; other detectors beside it."""
    if plot:
        libraries.check()
    length = rounds * len(ladder.ROWS)
    with click.progressbar(length=length, label="measuring", file=sys.stderr, hidden=as_json or not sys.stderr.isatty()) as bar:
        found = ladder.measure(rounds, user_cache(), lambda: bar.update(1))
    if plot:
        plots.ladder(plot, found)
    click.echo(json.dumps(found, indent=1) if as_json else ladder.as_table(found))


if __name__ == "__main__":
    main()
