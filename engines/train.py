# mypy: disallow-subclassing-any=False, warn-unused-ignores=False, warn-return-any=False
"""Train EAST on synthetic overlays.

    python -m engines.train --recipe engines/recipes/first.toml --out RUN --fonts FOLDER --frames FOLDER --photos FOLDER

RUN gets checkpoint.pt (the latest), step-N.pt (every tenth of the way), loss.csv and loss.png. Started again with the same
RUN it goes on where it stopped, to the same result as an uninterrupted run. Without --frames and --photos the backgrounds are
procedural; without --fonts the machine's own fonts are used.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from engines.east import East, EastSize, parameter_count
from engines.losses import Losses, east_losses
from engines.recipe import Recipe, from_dict, read_recipe
from engines.start import load_average, load_exported
from engines.synth.backgrounds import Backgrounds
from engines.synth.fonts import FontBook, find_faces, system_faces
from engines.synth.scene_text import Photo, draw_scene_crop, load_scene_text
from engines.synth.screens import draw_crop
from engines.synth.targets import draw_targets

SHELF = 32  # crops drawn with the same few faces
FIRST_CROPS = 64  # shown to an exported network, to learn the statistics of its layers
LOG_EVERY = 20
COLUMNS = ("step", "total", "dice", "cross", "overlap", "angle", "rate", "seconds")


@dataclass(frozen=True)
class Material:
    """What crops are made of: faces, backgrounds, and photographs with labelled text."""

    book: FontBook
    store: Backgrounds
    photos: tuple[Photo, ...] = ()


class Crops(Dataset[tuple[Tensor, Tensor, Tensor, Tensor]]):
    """Crop number i is always the same for the same seed, whoever draws it and whatever was drawn before."""

    def __init__(self, recipe: Recipe, material: Material) -> None:
        self.recipe, self.material = recipe, material

    def __len__(self) -> int:
        return self.recipe.schedule.steps * self.recipe.schedule.batch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """pixels (side, side, 3) uint8, score and weight (side/4, side/4), geometry (5, side/4, side/4)."""
        plan, material = self.recipe.schedule, self.material
        rng = np.random.default_rng([plan.seed, index])
        if rng.random() < self.recipe.data.scene_share:
            drawn, boxes = draw_scene_crop(rng, material.photos, plan.side, self.recipe.mix.degraded)
        else:
            shelf = material.book.shelf(plan.seed, index // SHELF, self.recipe.data.bitmap_share)
            drawing = draw_crop(rng, shelf, material.store, plan.side, self.recipe.mix)
            drawn, boxes = drawing.pixels, drawing.boxes
        targets = draw_targets(boxes, plan.side, plan.side)
        pixels = torch.from_numpy(np.array(drawn))  # Pillow's own memory is read-only
        return pixels, torch.from_numpy(targets.score), torch.from_numpy(targets.weight), torch.from_numpy(targets.geometry)


@dataclass
class Run:
    """Everything that a checkpoint holds."""

    recipe: Recipe
    network: East
    average: East
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)


def new_run(recipe: Recipe) -> Run:
    torch.manual_seed(recipe.schedule.seed)
    network = East(EastSize(**recipe.network)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]  # norms and biases are not pulled to zero
    groups = [{"params": kernels, "weight_decay": recipe.schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.schedule.rate)
    return Run(recipe, network, copy.deepcopy(network).eval(), optimiser)


def save(run: Run, path: Path) -> None:
    """Atomically, so that a killed run leaves a whole checkpoint."""
    state = {
        "recipe": run.recipe.as_dict(), "size": asdict(run.network.size), "step": run.step, "seconds": run.seconds, "rows": run.rows,
        "network": run.network.state_dict(), "average": run.average.state_dict(), "optimiser": run.optimiser.state_dict(),
    }  # fmt: skip
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def restore(path: Path) -> Run:
    """The run as it was saved, on the CPU."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    run = new_run(from_dict(state["recipe"]))
    run.network.load_state_dict(state["network"])
    run.average.load_state_dict(state["average"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.step, run.seconds, run.rows = state["step"], state["seconds"], state["rows"]
    return run


def start(path: Path, run: Run, material: Material) -> East:
    """The network to begin from, out of a checkpoint or an exported boxes file. Raises ValueError when its size is not the run's."""
    if path.suffix != ".onnx":
        return load_average(path)
    crops = Crops(run.recipe, material)
    return load_exported(path, run.network.size, to_input(torch.stack([crops[index][0] for index in range(FIRST_CROPS)])))


def learning_rate(recipe: Recipe, step: int) -> float:
    plan = recipe.schedule
    if step < plan.warmup:
        return plan.rate * (step + 1) / plan.warmup
    along = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along)))


def to_input(pixels: Tensor) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float, -1..1, channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0).contiguous(memory_format=torch.channels_last)


def train_step(run: Run, batch: list[Tensor], device: torch.device) -> Losses:
    """One step of AdamW and of the moving average."""
    plan = run.recipe.schedule
    pixels, score, weight, wanted = (one.to(device, non_blocking=True) for one in batch)
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate(run.recipe, run.step)
    with torch.autocast(device.type, torch.bfloat16, enabled=plan.bf16):
        logits, geometry = run.network(to_input(pixels))
    losses = east_losses(logits.float(), geometry.float(), score, weight, wanted)
    run.optimiser.zero_grad(set_to_none=True)
    losses.total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimiser.step()
    run.step += 1
    _follow(run, min(plan.ema, (1 + run.step) / (10 + run.step)))
    return losses


def _follow(run: Run, keep: float) -> None:
    """Move the average's weights and norms a little towards the network's."""
    with torch.no_grad():
        for mean, now in zip(run.average.state_dict().values(), run.network.state_dict().values()):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)


def batches(run: Run, material: Material, workers: int) -> Iterator[list[Tensor]]:
    """The batches from the run's step on."""
    plan = run.recipe.schedule
    order = range(run.step * plan.batch, plan.steps * plan.batch)
    loader: DataLoader[Any] = DataLoader(
        Crops(run.recipe, material), plan.batch, sampler=order, num_workers=workers,
        prefetch_factor=4 if workers else None, worker_init_fn=_single_thread,
    )  # fmt: skip
    return iter(loader)


def _single_thread(_: int) -> None:
    torch.set_num_threads(1)


def train(run: Run, out: Path, material: Material, workers: int, stop_at: int | None = None) -> Run:
    """To the recipe's last step or to `stop_at`; checkpoints, loss.csv and loss.png go to `out`."""
    plan = run.recipe.schedule
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run.network.to(device)
    run.average.to(device)
    for state in run.optimiser.state.values():
        state.update({key: value.to(device) if torch.is_tensor(value) and value.ndim else value for key, value in state.items()})
    last = min(plan.steps, stop_at or plan.steps)
    started, before = time.monotonic(), run.seconds
    run.network.train()
    if plan.compiled:
        run.network.compile()
    sums, counted = np.zeros(5), 0
    with tqdm(total=last, initial=run.step, unit="step", mininterval=5.0) as bar:
        for batch in batches(run, material, workers):
            if run.step >= last:
                break
            losses = train_step(run, batch, device)
            sums += [float(getattr(losses, name).detach()) for name in COLUMNS[1:6]]
            counted += 1
            run.seconds = before + time.monotonic() - started
            bar.update()
            if run.step % LOG_EVERY == 0 or run.step == last:
                values = (run.step, *(sums / counted), learning_rate(run.recipe, run.step - 1), run.seconds)
                run.rows.append(dict(zip(COLUMNS, (float(value) for value in values))))
                bar.set_postfix(loss=f"{sums[0] / counted:.3f}", dice=f"{sums[1] / counted:.3f}")
                sums, counted = np.zeros(5), 0
            if run.step % plan.save_every == 0 or run.step == last:
                save(run, out / "checkpoint.pt")
                write_curve(run.rows, out)
            if run.step % max(1, plan.steps // 10) == 0:
                save(run, out / f"step-{run.step}.pt")
    return run


def write_curve(rows: list[dict[str, float]], out: Path) -> None:
    """loss.csv and, drawn from it, loss.png: the total in blue, dice in orange."""
    with (out / "loss.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    if len(rows) < 2:
        return
    image = Image.new("RGB", (900, 400), "white")
    pen = ImageDraw.Draw(image)
    top = max(row["total"] for row in rows[1:])
    for name, colour in (("total", "blue"), ("dice", "darkorange")):
        points = [(50 + 830 * row["step"] / rows[-1]["step"], 370 - 340 * min(1.0, row[name] / top)) for row in rows]
        pen.line(points, fill=colour, width=2)
        pen.text((760, 20 if name == "total" else 36), f"{name} {rows[-1][name]:.3f}", fill=colour)
    pen.line([(50, 20), (50, 370), (880, 370)], fill="black")
    pen.text((8, 22), f"{top:.2f}", fill="black")
    pen.text((800, 376), f"step {int(rows[-1]['step'])}", fill="black")
    image.save(out / "loss.png")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="engines.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, required=True, help="TOML file, see engines/recipes/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; made when missing, resumed when it holds a checkpoint")
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="folder of ttf, otf, otb or woff2 files; may be repeated")
    parser.add_argument("--frames", type=Path, help="folder of endoscopic frames without any text")
    parser.add_argument("--photos", type=Path, help="folder of general photographs without text")
    parser.add_argument(
        "--scene-text", type=Path, help="folder of ICDAR 2015's form, images/ and gt/gt_STEM.txt; for recipes with scene_share"
    )
    parser.add_argument("--start", type=Path, help="checkpoint or exported boxes file to begin from (fine-tuning); ignored when resuming")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw crops (default 2)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of the network (default: all cores)")
    parser.add_argument("--stop-at", type=int, help="stop at this step although the recipe goes on; resume later")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    latest = args.out / "checkpoint.pt"
    run = restore(latest) if latest.exists() else new_run(read_recipe(args.recipe))
    book = FontBook.of(find_faces(args.fonts) if args.fonts else system_faces())
    data = run.recipe.data
    store = Backgrounds.load(args.frames, args.photos, data)
    photos = load_scene_text(args.scene_text) if data.scene_share else ()
    if data.scene_share and not photos:
        sys.exit(f"the recipe takes {data.scene_share:.0%} of its crops from labelled photographs; name their folder with --scene-text")
    print(
        f"{parameter_count(run.network)} parameters, {len(book.latin)} outline and {len(book.bitmap)} bitmap faces, "
        f"{len(store.frames)} frames ({len(store.hard)} of {len(data.hard)} hard ones), {len(store.photos)} photographs, "
        f"{len(photos)} photographs with labelled text, from step {run.step}"
    )
    material = Material(book, store, photos)
    if args.start and not latest.exists():
        begin = start(args.start, run, material).state_dict()
        run.network.load_state_dict(begin)
        run.average.load_state_dict(begin)
    train(run, args.out, material, args.workers, args.stop_at)


if __name__ == "__main__":
    main()
