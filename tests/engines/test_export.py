"""The exported graphs answer as the network does, and the card describes the files that are there."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("openvino")

import openvino
import torch

from appliance.types import Look
from engines import export
from engines import train as training
from engines.card import Training, data_entries, write_card
from engines.east import East, EastSize
from engines.evaluate.methods import open_networks
from engines.recipe import Recipe
from engines.start import load_exported

pytestmark = pytest.mark.train

OPTIONS = export.Options(height=128, width=192)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with both files of a random network, the network, and a picture."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    network = East(EastSize.slim())
    for module in network.modules():  # norms that do something, so that folding them is tested
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    torch.nn.init.normal_(network.score.weight, std=0.3)
    torch.nn.init.constant_(network.score.bias, 0.0)
    network.eval()
    out = tmp_path_factory.mktemp("weights")
    pixels = np.random.default_rng(4).integers(0, 256, (1, 128, 192, 3), np.uint8)
    with torch.inference_mode():
        score, geometry = export.Pixels(network).maps(torch.from_numpy(pixels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces a newer exporter
        files = export.export(network, out, OPTIONS)
    return out, files, pixels, score, geometry


def infer(path: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(pixels)
    return {name: found[name] for name in ("score", "geometry") if any(name in port.get_names() for port in compiled.outputs)}


def test_mask_graph_grows_by_one_cell_and_matches_torch(exported):
    out, _, pixels, score, _ = exported
    grown = torch.nn.functional.max_pool2d(score, 3, 1, 1)
    found = infer(out / export.MASK_FILE, pixels)["score"]
    assert found.shape == (1, 32, 48)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - np.round(grown[:, 0].numpy() * 255)).max() <= 2
    assert found.max() > found.min()


def test_boxes_graph_matches_torch(exported):
    out, _, pixels, score, geometry = exported
    found = infer(out / export.BOXES_FILE, pixels)
    assert found["geometry"].shape == (1, 32, 48, 5)
    assert np.abs(found["score"].astype(int) - np.round(score[:, 0].numpy() * 255)).max() <= 2
    assert np.allclose(found["geometry"], geometry.permute(0, 2, 3, 1).numpy(), rtol=2e-3, atol=2e-3)


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="multiples of 32"):
        export.export(East(EastSize.slim()), tmp_path, export.Options(height=100, width=128))


def test_card_lists_files_and_data(exported, tmp_path: Path):
    _, files, _, _, _ = exported
    sources = tmp_path / "sources.json"
    rows = [{"set": kind, "kind": "k", "source": "s", "licence_data": "CC0", "file": "f"} for kind in ("frames", "frames", "elsewhere")]
    sources.write_text(json.dumps(rows))
    card = tmp_path / "card.json"
    write_card(card, "tiny", (70, Look(110, True)), files, Training(["train"], {}, 1, 2.0, 3), data_entries(sources, []))
    content = json.loads(card.read_text())
    assert content["files"]["east-mask.onnx"]["outputs"] == {"score": [1, 32, 48]}
    assert [entry["count"] for entry in content["data"]] == [0, 2]


def test_a_checkpoint_is_evaluated_in_both_modes(tmp_path: Path):
    torch.set_num_threads(1)
    training.save(training.new_run(Recipe()), tmp_path / "checkpoint.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        networks = open_networks(tmp_path / "checkpoint.pt")
    assert [(network.name, network.mode) for network in networks] == [
        (f"{tmp_path.name}, mask", "mask"),
        (f"{tmp_path.name}, boxes", "boxes"),
    ]
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (64, 96, 3), np.uint8)).save(tmp_path / "one.png")
    assert all(network.look(tmp_path / "one.png").at(200).mask.shape == (64, 96) for network in networks)


def test_an_exported_network_is_trained_on_from_its_own_answers(exported):
    out, _, pixels, _, _ = exported
    inputs = training.to_input(torch.from_numpy(pixels))
    others = torch.rand(2, 3, 128, 192, generator=torch.Generator().manual_seed(1)) * 2 - 1
    network = load_exported(out / export.BOXES_FILE, EastSize.slim(), others)
    with torch.inference_mode():
        score, geometry = network(inputs)
        found = infer(out / export.BOXES_FILE, pixels)
        assert np.abs(torch.sigmoid(score[:, 0]).numpy() * 255 - found["score"]).max() <= 1
        assert np.allclose(geometry.permute(0, 2, 3, 1).numpy(), found["geometry"], rtol=1e-2, atol=1e-2)
        for wanted, got in zip(network(others), network.train()(others)):  # the batch whose statistics the norms were given
            assert torch.allclose(wanted, got, rtol=1e-2, atol=1e-2)
    with pytest.raises(ValueError, match=r"for stem.0.weight, this recipe's network needs \(48, 3, 3, 3\)"):
        load_exported(out / export.BOXES_FILE, EastSize(stem=48), inputs)
