"""What is on the sticks, and on the shares: drawn pictures, no two alike, and files that are no pictures."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from fakes import encoded, picture

SIDE_FILES = ("DCIM/report.pdf", "patient.txt", "DCIM/Thumbs.db", "DICOMDIR", "study.xml")


def pictures(number: int, count: int = 30) -> dict[str, bytes]:
    """Name -> JPEG with a white square for text. number : of the set"""
    squares = [(32 + index, 48 + number, 24) for index in range(count)]
    return {f"IMG_{index}.JPG": encoded(picture(squares=(square,))) for index, square in enumerate(squares)}


def contents(number: int, count: int = 30) -> dict[str, bytes]:
    """A stick's files: so many pictures, one of them deep down; side files; odd names; a broken picture."""
    names = pictures(number, count)
    places = {name: "deep/" * 8 if index == 29 else f"DCIM/{100 + index // 10}/" for index, name in enumerate(names)}
    files = {places[name] + name: content for name, content in names.items()}
    files |= {name: f"Mustermann {name}".encode() for name in SIDE_FILES}
    files["broken.jpg"] = names["IMG_0.JPG"][:900]
    files["link.lnk"] = b"a name like a link's"
    return files


def lay_out(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def blank(path: Path, mib: int = 64) -> Path:
    """A new stick with nothing on it, not even a file system."""
    subprocess.run(["truncate", "-s", f"{mib}M", path], check=True)
    return path


def make_stick(path: Path, files: Mapping[str, bytes]) -> Path:
    blank(path)
    subprocess.run(["mkfs.vfat", "-F", "32", "-n", "MUSTERMANN", path], check=True, capture_output=True)
    folder = lay_out(path.with_suffix(".files"), files)
    subprocess.run(["mcopy", "-s", "-Q", "-i", path, *folder.iterdir(), "::/"], check=True)
    return path


def files_of(stick: Path, folder: Path) -> dict[str, bytes]:
    """All that is on a pulled stick, whose file system must be sound. folder : an empty one, to copy into"""
    subprocess.run(["fsck.vfat", "-n", stick], check=True, capture_output=True)
    subprocess.run(["mcopy", "-s", "-Q", "-i", stick, "::/*", folder], check=True)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sums(contents: Iterable[bytes]) -> list[str]:
    """SHA-256 of each, sorted."""
    return sorted(hashlib.sha256(content).hexdigest() for content in contents)
