"""The commands as a user types them, with the shipped network."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fakes import decoded, encoded
from PIL import Image
from screens import SECRET, screen

from appliance import config
from appliance.redactor import batch


def anonbox(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == code, result.stderr + result.stdout
    return result


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(encoded(screen(0).image, comment=SECRET))
    (folder / "sub" / "b.png").write_bytes(encoded(screen(1, (576, 720)).image, "PNG"))
    return folder


def test_redact_writes_results_and_masks(pictures: Path, tmp_path: Path) -> None:
    out, masks = tmp_path / "out", tmp_path / "masks"
    result = anonbox("redact", pictures, "--out", out, "--masks", masks)
    assert "2 redacted, 0 refused" in result.stdout
    drawn = screen(0)
    after = decoded((out / "a.jpg").read_bytes())
    mask = np.asarray(Image.open(masks / "a.png"))
    assert mask.shape == after.shape[:2] and set(np.unique(mask)) == {0, 255}
    for top, left, bottom, right in drawn.boxes:
        assert (mask[top:bottom, left:right] == 255).mean() > 0.95
        assert after[top:bottom, left:right].max() <= 40
    assert (masks / "sub" / "b.png").exists() and (out / "sub" / "b.png").exists()
    assert SECRET.encode() not in (out / "a.jpg").read_bytes()
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == ["a.jpg", "b.png"]


def test_boxes_cover_text_as_well(pictures: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    anonbox("redact", pictures / "a.jpg", "--out", tmp_path / "out", "--masks", masks, "--mode", "boxes")
    mask = np.asarray(Image.open(masks / "a.png")) == 255
    assert np.mean([mask[top:bottom, left:right].mean() for top, left, bottom, right in screen(0).boxes]) > 0.8


def test_refusals_are_told_apart_and_change_the_exit_code(pictures: Path, tmp_path: Path) -> None:
    (pictures / "c.jpg").write_bytes(b"not a picture")
    (pictures / "d.jpg").symlink_to("/etc/passwd")
    result = anonbox("redact", pictures, "--out", tmp_path / "out", "--json", code=1)
    answer = json.loads(result.stdout)
    assert (answer["redacted"], answer["refused"]) == (2, 2)
    reasons = {Path(entry["source"]).name: entry["refused"]["code"] for entry in answer["files"] if "refused" in entry}
    assert reasons == {"c.jpg": "unsupported", "d.jpg": "unreadable"}
    assert answer["redactor_peak_mib"] < 600
    assert answer["files"][0]["stages_ms"]["infer"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pictures"], "--out"),
        (["pictures", "--out", "pictures"], "originals"),
        (["pictures", "--out", "pictures/sub"], "originals"),
        (["pictures", "--out", "out", "--masks", "pictures/masks"], "originals"),
        (["pictures/a.jpg", "--out", "pictures"], "is an original"),
        (["pictures/sub/b.png", "--out", "out", "--masks", "pictures/sub"], "is an original"),
        (["pictures/sub/b.png", "--out", "out", "--masks", "out"], "both be written"),
        (["pictures/a.jpg", "again/a.jpg", "--out", "out"], "both be written"),
        (["again/a.jpg", "again/a.tif", "--out", "out", "--masks", "masks"], "both be written"),
        (["again/a.tif", "again/a.png-2.jpg", "--out", "out", "--masks", "masks"], "both be written"),
        (["again/a.png-2.jpg", "again/a.tif", "--out", "out", "--masks", "masks"], "both be written"),
    ],
)
def test_a_command_that_would_do_harm_is_refused(
    arguments: list[str], message: str, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures.parent)
    before = {path: path.read_bytes() for path in pictures.rglob("*") if path.is_file()}
    assert message in anonbox("redact", *arguments, code=2).stderr
    assert {path: path.read_bytes() for path in pictures.rglob("*") if path.is_file()} == before


def test_interrupted_it_stops_soon_and_leaves_nothing_half_done(pictures: Path, tmp_path: Path) -> None:
    for index in range(150):
        (pictures / f"{index}.jpg").write_bytes((pictures / "a.jpg").read_bytes())
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-m", "appliance", "redact", str(pictures), "--out", str(out)], stderr=subprocess.PIPE)
    while not list(out.glob("*.jpg")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 1
    assert 0 < len(list(out.glob("*.jpg"))) < 150 and not list(out.rglob("*.part"))


def test_each_page_of_a_file_has_its_mask(tmp_path: Path) -> None:
    first, second = screen(1, (288, 512)).image, screen(2, (288, 512)).image
    (tmp_path / "x.tif").write_bytes(encoded(first, "TIFF", save_all=True, append_images=[second]))
    anonbox("redact", tmp_path / "x.tif", "--out", tmp_path / "out", "--masks", tmp_path / "masks")
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["x.png", "x.png-2.png"]


def test_nothing_is_imported_from_the_current_folder(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A USB stick may hold a file called openvino.py."""
    (pictures / "openvino.py").write_text("open('was here', 'w')")
    monkeypatch.chdir(pictures)
    script = Path(sys.executable).with_name("anonbox")
    subprocess.run([script, "redact", "a.jpg", "--out", "../out"], check=True, capture_output=True)
    assert not (pictures / "was here").exists()


def test_a_folder_that_cannot_be_listed_is_refused_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in" / "closed").mkdir(parents=True)

    def scandir(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", scandir)
    assert [item.source for item in batch.collect([tmp_path / "in"])] == [tmp_path / "in"]


def test_a_missing_file_is_refused_by_reason(tmp_path: Path) -> None:
    assert "No such file" in anonbox("redact", tmp_path / "gone.jpg", "--out", tmp_path / "out", code=1).stderr


def test_doctor_says_what_is_there(tmp_path: Path) -> None:
    checks = {check["name"]: check for check in json.loads(anonbox("doctor", "--box", tmp_path, "--json").stdout)}
    assert checks["engine"]["status"] == "ok" and "openvino" in checks["engine"]["detail"]
    assert {"libturbojpeg", "pillow", "inbox", "state", "clock", "tensorrt", "jetson-utils"} <= {name.lower() for name in checks}
    assert "lanes" in anonbox("doctor", "--box", tmp_path).stdout


def test_doctor_says_what_is_missing(tmp_path: Path) -> None:
    toml = tmp_path / "box.toml"
    toml.write_text("[intake]\nmin_free_mib = 1000000000\n")
    result = anonbox("doctor", "--box", tmp_path, "--config", toml, code=1)
    assert "failed" in result.stdout and "intake.min_free_mib" in result.stdout


def test_the_example_configuration_is_the_default_one() -> None:
    example = anonbox("doctor", "--config-example").stdout
    assert config.parse(config.tomllib.loads(example)) == config.Config()


def test_status_without_a_box_says_so(tmp_path: Path) -> None:
    assert "no box has run here" in anonbox("status", "--box", tmp_path, code=1).stderr


@pytest.mark.parametrize("command", ["run", "page", "redact", "status", "doctor"])
def test_help_helps(command: str) -> None:
    assert "Usage: " in anonbox(command, "--help").stdout
