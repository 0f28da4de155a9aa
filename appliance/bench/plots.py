"""The picture of the measurements, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def check() -> None:
    """Raises ImportError where matplotlib is missing, before minutes of measuring."""
    import matplotlib.figure  # noqa: F401


def scaling(path: Path, by_cores: Mapping[int, float], by_size: Mapping[str, float]) -> None:
    """Images a second over cores, beside what the first core would give times their number, and over picture sizes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    cores, sizes = figure.subplots(1, 2)
    counts, rates = list(by_cores), list(by_cores.values())
    cores.plot(counts, rates, "o-", label="measured")
    cores.plot(counts, [rates[0] * count for count in counts], ":", label="in proportion")
    cores.set(xlabel="cores", ylabel="images/s, 1080p", xticks=counts, ylim=(0, None))
    cores.legend()
    sizes.bar(list(by_size), list(by_size.values()))
    sizes.set(ylabel=f"images/s on {counts[-1]} cores")
    figure.savefig(path)
