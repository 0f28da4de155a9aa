# mypy: disallow-subclassing-any=False, warn-unused-ignores=False, warn-return-any=False
"""Write a trained network as two ONNX files, and the card that describes them.

    python -m engines.export RUN/checkpoint.pt --out engines/weights --sources SOURCES.json --fonts FOLDER

east-mask.onnx   pixels (1, H, W, 3) uint8 RGB -> score (1, H/4, W/4) uint8, grown by one cell each way: the mask is this map
                 at the card's threshold
east-boxes.onnx  the same input -> score (1, H/4, W/4) uint8, not grown, and geometry (1, H/4, W/4, 5) float32: from the cell's
                 centre (x*4 + 2, y*4 + 2) to the box's top, right, bottom and left side in detector pixels, then the box's angle
                 in radians, positive counter-clockwise on the screen. Along the text runs (cos a, -sin a), down it
                 (sin a, cos a); so the top side lies `top` px from the centre against (sin a, cos a), and so on.

Normalisation, the sigmoid, the growth and the scaling to 0..255 are inside the graphs: every engine does them alike.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from appliance.redactor.detector import AGAIN
from appliance.types import Look
from engines.card import BOXES_FILE, CARD_FILE, MASK_FILE, FileCard, Training, data_entries, file_card, read_card, write_card
from engines.east import STRIDE, ConvNorm, East
from engines.start import load_average

OPSET = 17
HEIGHT, WIDTH = 576, 960  # the product's canvas, px
LARGEST_FILE = 20_000_000  # bytes; the weights live in the repository


@dataclass(frozen=True)
class Options:
    """height, width : of the fixed input in px, multiples of the size's; threshold : recommended, on the uint8 map."""

    height: int = HEIGHT
    width: int = WIDTH
    threshold: int = 77
    name: str = "east-slim"


def fused(network: East) -> East:
    """The same network with every batch norm folded into its convolution; changes `network`."""
    network.eval()
    for module in network.modules():
        if isinstance(module, ConvNorm):
            convolution, norm = module[0], module[1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network


class Pixels(nn.Module):
    """(1, H, W, 3) uint8 -> (1, 3, H, W) float, -1..1, then the network."""

    def __init__(self, network: East) -> None:
        super().__init__()
        self.network = network

    def maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Score 0..1 (1, 1, h, w) and geometry (1, 5, h, w)."""
        # float first: TensorRT does nothing with uint8 but convert it
        logits, geometry = self.network(pixels.float().permute(0, 3, 1, 2) / 127.5 - 1.0)
        return torch.sigmoid(logits), geometry


class MaskGraph(Pixels):
    """pixels -> the grown score map, uint8."""

    def forward(self, pixels: Tensor) -> Tensor:
        score, _ = self.maps(pixels)
        return to_bytes(F.max_pool2d(score, 3, 1, 1))


class BoxesGraph(Pixels):
    """pixels -> the score map, uint8, and the geometry, float32 (1, h, w, 5)."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        score, geometry = self.maps(pixels)
        return to_bytes(score), geometry.permute(0, 2, 3, 1)


def to_bytes(score: Tensor) -> Tensor:
    """(1, 1, h, w) 0..1 -> (1, h, w) uint8, 0..255."""
    return torch.round(score[:, 0] * 255.0).to(torch.uint8)


def write_onnx(graph: Pixels, path: Path, outputs: list[str], options: Options) -> None:
    """Raises ValueError when the size does not fit the network or the file is too large for the repository."""
    multiple = graph.network.size.multiple
    if options.height % multiple or options.width % multiple:
        raise ValueError(f"input is {options.width} x {options.height} px, both must be multiples of {multiple}")
    example = torch.zeros(1, options.height, options.width, 3, dtype=torch.uint8)
    torch.onnx.export(graph.eval(), (example,), str(path), input_names=["pixels"], output_names=outputs, opset_version=OPSET, dynamo=False)
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path.name} is {path.stat().st_size} bytes, limit is {LARGEST_FILE}")


def export(network: East, out: Path, options: Options) -> dict[str, FileCard]:
    """Both files; their cards by file name."""
    network = fused(network)
    out.mkdir(parents=True, exist_ok=True)
    write_onnx(MaskGraph(network), out / MASK_FILE, ["score"], options)
    write_onnx(BoxesGraph(network), out / BOXES_FILE, ["score", "geometry"], options)
    cells = [1, options.height // STRIDE, options.width // STRIDE]
    shape = [1, options.height, options.width, 3]
    return {
        MASK_FILE: file_card(out / MASK_FILE, shape, {"score": cells}),
        BOXES_FILE: file_card(out / BOXES_FILE, shape, {"score": cells, "geometry": [*cells, 5]}),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="engines.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt of a run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files and card.json")
    parser.add_argument("--height", type=int, default=HEIGHT, help=f"px, a multiple of 32, or 64 for the lean network (default {HEIGHT})")
    parser.add_argument("--width", type=int, default=WIDTH, help=f"px, the same (default {WIDTH})")
    parser.add_argument("--threshold", type=int, default=Options.threshold, help="recommended threshold on the uint8 map")
    parser.add_argument("--again", type=int, default=AGAIN.threshold, help=f"the same for every later look (default {AGAIN.threshold})")
    parser.add_argument("--stretched", action="store_true", help="later looks see stretched highlights; it must have been trained for it")
    parser.add_argument("--name", default=Options.name)
    parser.add_argument("--command", action="append", default=[], help="the training command, for the card; repeat for each stage")
    parser.add_argument("--earlier", type=Path, action="append", default=[], help="last checkpoint of an earlier stage; repeat for each")
    parser.add_argument(
        "--after", type=Path, help="card of the weights that the first stage began from; its commands, steps and minutes count"
    )
    parser.add_argument("--sources", type=Path, help="JSON list naming every training picture and its licence")
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="the font folders of the training")
    args = parser.parse_args(arguments)
    options = Options(args.height, args.width, args.threshold, args.name)
    files = export(load_average(args.checkpoint), args.out, options)
    stages = [torch.load(path, map_location="cpu", weights_only=True) for path in (*args.earlier, args.checkpoint)]
    before: dict[str, Any] = read_card(args.after)["training"] if args.after else {"commands": [], "minutes": 0, "steps": 0}
    minutes = round(before["minutes"] + sum(stage["seconds"] for stage in stages) / 60, 1)
    steps = before["steps"] + sum(stage["step"] for stage in stages)
    recipe = stages[-1]["recipe"]
    training = Training([*before["commands"], *args.command], recipe, recipe["schedule"]["seed"], minutes, steps)
    looks = (options.threshold, Look(args.again, args.stretched))
    data = data_entries(args.sources, args.fonts)
    write_card(args.out / CARD_FILE, options.name, looks, files, training, data)
    for name, card in files.items():
        print(f"{name}  {card['sha256']}  {card['bytes']} bytes")


if __name__ == "__main__":
    main()
