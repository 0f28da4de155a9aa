"""The house's import rules (architecture document): imports go one way, and heavy libraries stay in their one file, opened late."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "appliance").rglob("*.py"))

BASE = {"types", "errors", "config"}
MAY_IMPORT = {
    "types": set(),
    "errors": set(),
    "config": {"types", "errors"},
    "system": {"types", "errors"},
    "formats": BASE,
    "detect": BASE,
    "deid": BASE,
    "dicomnet": BASE | {"deid", "system"},
    "engine": BASE | {"system"},
    "status": {"types", "system"},  # the contract between the processes
    "web": BASE | {"status", "system"},
    "signals": BASE | {"status", "system"},
    "redactor": BASE | {"formats", "deid", "detect", "engine", "system"},
    "daemon": BASE | {"redactor", "status", "system", "formats"},
    "checks": BASE | {"daemon", "redactor", "engine", "formats", "status", "system"},
    "bench": BASE | {"daemon", "redactor", "engine", "detect", "formats"},
    "install": BASE,
    "cli": BASE | {"bench", "checks", "daemon", "dicomnet", "engine", "install", "redactor", "signals", "status", "system", "web"},
    "__main__": {"cli"},
    "__init__": set(),
}
ONE_HOME = {
    "openvino": {"engine/openvino.py"},
    "tensorrt": {"engine/bridge.py"},
    "pycuda": {"engine/cuda.py"},
    "jetson_utils": {"formats/reduce.py"},
    "flask": {"web/page.py"},
    "waitress": {"web/server.py"},
    "prometheus_client": {"web/metrics.py"},
    "watchfiles": {"system/watch.py"},
    "systemd": {"system/systemd.py"},
    "PIL": {
        "formats",
        "redactor/warmup.py",
        "redactor/warmup_dicom.py",
        "redactor/batch.py",
        "detect/rbox.py",
        "engine/reference.py",
        "checks/rehearsal.py",
        "bench/frames.py",
    },
    "av": {"formats/film/libav.py"},
    "imagecodecs": {"formats"},
    "openjpeg": {"formats/dicom/codecs.py"},
    "torch": set(),
    "engines": set(),  # the laboratory stands on the product, never the other way round
    "matplotlib": {"bench/plots.py"},
    "pydicom": {"deid", "formats", "dicomnet", "redactor/redact_dicom.py", "redactor/warmup_dicom.py"},
    "pynetdicom": {"dicomnet"},
}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module" and isinstance(node.args[0], ast.Constant):
            names.add(node.args[0].value)
    return names


def part(path: Path) -> str:
    return path.relative_to(ROOT / "appliance").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    parts = {name.split(".")[1] for name in imports(path) if name.startswith("appliance.")}
    own = part(path)
    allowed = MAY_IMPORT[own] | {own, "__version__"}
    assert parts <= allowed, f"{own} may import {sorted(allowed)}"


@pytest.mark.parametrize("library", sorted(ONE_HOME))
def test_a_library_has_one_home(library: str) -> None:
    users = [path for path in FILES if any(name == library or name.startswith(f"{library}.") for name in imports(path))]
    strangers = [path for path in users if not {str(path.relative_to(ROOT / "appliance")), part(path)} & ONE_HOME[library]]
    assert not strangers


@pytest.mark.parametrize("path", [path for path in FILES if part(path) == "daemon"], ids=lambda path: path.name)
def test_the_daemon_knows_the_redactor_only_by_its_protocol(path: Path) -> None:
    allowed = {"appliance.redactor", "appliance.redactor.Redactor", "appliance.status"}
    foreign = {name for name in imports(path) if name.startswith(("appliance.redactor", "appliance.status"))}
    values = tuple(f"appliance.status.{module}" for module in ("snapshot", "silhouette", "journald"))
    assert all(name in allowed or name.startswith(values) for name in foreign)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("appliance.daemon.loop", {"PIL", "openvino", "flask", "appliance.formats.jpeg", "appliance.formats.raster", "numpy.random"}),
        ("appliance.web.page", {"PIL", "openvino", "sqlite3", "appliance.formats", "appliance.daemon"}),
        ("appliance.cli", {"PIL", "openvino", "flask", "sqlite3", "appliance.daemon"}),
        ("appliance.redactor.process", {"flask", "sqlite3", "watchfiles"}),
    ],
)
def test_what_is_not_opened_is_not_imported(module: str, absent: set[str]) -> None:
    """Imported fresh, because other tests have imported everything."""
    code = f"import sys, {module}; print(*[name for name in {sorted(absent)!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == []


def test_openvino_reports_its_use_to_nobody(tmp_path: Path) -> None:
    """Where its telemetry runs, it leaves a number of its own in the home folder."""
    program = "import appliance, openvino; from openvino.tools import ovc; assert 'stub' in ovc.telemetry_utils.tm.__name__"
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []
