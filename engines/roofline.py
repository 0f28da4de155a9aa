"""Estimate, on paper, how long the network takes on each Jetson module. Nothing here was measured on one.

    python -m engines.roofline [MODEL.onnx]

Williams, Waterman, Patterson, "Roofline", 2009: the time is the longer of computing and moving. Computing: multiply-adds of all
convolutions, at 25 to 45 % of the dense peak, which is 4096 INT8 operations a clock and SM on Orin, half of that in FP16. Moving: each
convolution's input and output once, at 70 % of the memory's nominal rate. Launches, which a small network feels, are not in it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from appliance.engine.model import load_model

OPERATIONS = {"INT8": 4096, "FP16": 2048}  # a clock and SM, dense; a multiply-add is two
BYTES = {"INT8": 1, "FP16": 2}
ACHIEVED = (0.45, 0.25)  # of the peak: the best and the worst case
MOVED = 0.7  # of the memory's nominal rate


@dataclass(frozen=True)
class Module:
    """sm : streaming multiprocessors; mhz : the GPU's highest clock in that power mode; gb_s : nominal memory rate (jetson.md 1.2)"""

    name: str
    sm: int
    mhz: int
    gb_s: float


MODULES = (
    Module("Orin Nano 8GB, 15 W", 8, 625, 68),
    Module("Orin Nano 8GB Super, 25 W", 8, 1020, 102),
    Module("Orin NX 16GB, 25 W", 8, 918, 102.4),
    Module("Orin NX 16GB Super, 40 W", 8, 1173, 102.4),
    Module("AGX Orin 64GB", 16, 1300, 204.8),
)


@dataclass(frozen=True)
class Work:
    """macs : multiply-adds of all convolutions; moved : their inputs' and outputs' elements"""

    macs: int
    moved: int

    def milliseconds(self, module: Module, precision: str) -> tuple[float, float]:
        """The best and the worst case."""
        peak = OPERATIONS[precision] * module.sm * module.mhz * 1e6
        moving = self.moved * BYTES[precision] / (MOVED * module.gb_s * 1e9)
        best, worst = (1e3 * max(2 * self.macs / (share * peak), moving) for share in ACHIEVED)
        return best, worst


def work_of(model: Path) -> Work:
    """Count the convolutions of a model."""
    import openvino as ov

    macs = moved = 0
    for operation in ov.Core().read_model(str(model)).get_ops():
        if operation.get_type_name() == "Convolution":
            source, kernel = operation.get_input_shape(0), operation.get_input_shape(1)
            outputs = _product(operation.get_output_shape(0))
            macs += outputs * _product(list(kernel)[1:])
            moved += _product(source) + outputs
    return Work(macs, moved)


def _product(sides: object) -> int:
    product = 1
    for side in sides:  # type: ignore[attr-defined]  # an openvino.Shape
        product *= int(side)
    return product


def table(work: Work) -> str:
    """Markdown."""
    lines = ["| module | INT8, ms a picture | FP16, ms a picture |", "|---|---|---|"]
    for module in MODULES:
        cells = ("{:.1f} - {:.1f}".format(*work.milliseconds(module, precision)) for precision in OPERATIONS)
        lines.append(f"| {module.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.roofline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=None, help="ONNX file (default: the shipped one for mask mode)")
    work = work_of(parser.parse_args(arguments).model or load_model("mask").path)
    print(f"{work.macs / 1e9:.2f} G multiply-adds, {work.moved / 1e6:.0f} M elements moved. An estimate, not measured:\n")
    print(table(work))


if __name__ == "__main__":
    main()
