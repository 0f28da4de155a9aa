"""The documents say what the program says, and name nothing that is not there."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("[A-Z]*.md")), *sorted((ROOT / "deploy/docs").glob("*.md"))]
LICENCES_OF = ((3, 11), "x86_64")


def test_what_is_generated_is_fresh() -> None:
    command = [sys.executable, "deploy/docs/generate.py", "--check"]
    stale = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if (sys.version_info[:2], platform.machine()) != LICENCES_OF:
        stale = [name for name in stale if name != "licences.md"]  # other wheels, whose makers may state it otherwise
    assert stale == [], "make docs"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    links = [path.parent / link for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)]
    files = [ROOT / name for name in re.findall(r"`((?:appliance|engines|deploy|tests|systemd|requirements)/[\w./-]+)`", text)]
    assert [str(target) for target in [*links, *files] if not target.exists()] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 110
