# mypy: disallow-subclassing-any=False, warn-unused-ignores=False, warn-return-any=False
"""What a training may begin from: the averaged network of a checkpoint, or the boxes file that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from engines.east import ConvNorm, East, EastSize

PREFIX = "network."  # of the weights' names in an exported file


def load_average(path: Path) -> East:
    """The averaged network of a checkpoint of engines.train, ready to use."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = East(EastSize(**state["size"]))
    network.load_state_dict(state["average"])
    return network.eval()


def load_exported(path: Path, size: EastSize, inputs: Tensor) -> East:
    """The network of a boxes file of engines.export, ready to be trained on.

    Export folded every batch norm into its convolution. Here each norm gets the statistics of what reaches it when `inputs` are shown,
    and the scale and shift that undo them: the network gives the file's answers, and in training too as far as a batch resembles them.

    inputs : (n, 3, H, W) float, -1..1, like those of the training
    Raises ValueError when the file is no export of a network of this size.
    """
    stored = {
        one.name.removeprefix(PREFIX): torch.from_numpy(numpy_helper.to_array(one).copy()) for one in onnx.load(path).graph.initializer
    }
    network = East(size).eval()
    hooks = []
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, ConvNorm):
                convolution, norm = module[0], module[1]
                _copy(convolution.weight, stored, f"{name}.0.weight", path)
                _copy(norm.bias, stored, f"{name}.0.bias", path)
                hooks.append(norm.register_forward_pre_hook(_undone))
        for name in ("score", "geometry"):
            head = network.get_submodule(name)
            _copy(head.weight, stored, f"{name}.weight", path)
            _copy(head.bias, stored, f"{name}.bias", path)
        network(inputs)
    for hook in hooks:
        hook.remove()
    return network


def _copy(target: Any, stored: dict[str, Tensor], name: str, path: Path) -> None:
    if name not in stored or stored[name].shape != target.shape:
        found = tuple(stored[name].shape) if name in stored else "nothing"
        raise ValueError(
            f"{path.name} has {found} for {name}, this recipe's network needs {tuple(target.shape)}; start from east-boxes.onnx"
        )
    target.copy_(stored[name])


def _undone(norm: nn.Module, inputs: tuple[Tensor]) -> None:
    """Give a norm whose bias is the folded convolution's the statistics of its input, and make it the identity but for that bias."""
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), unbiased=False)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.add_(mean)
