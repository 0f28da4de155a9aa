"""`anonbox update BUNDLE`: checks who signed a bundle and that it is whole, unpacks it, and lets its own installer do the rest.

The installer (deploy/install.sh) makes the version's folder, tests it as the service user, switches one link, and goes back to the
version before when the new one does not start. So nothing here touches what runs.
"""

from __future__ import annotations

import hashlib
import itertools
import lzma
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import appliance
from appliance.errors import AnonBoxError

SIGNERS = Path("/etc/anonbox/update-signers")
"""Whose bundles this box takes: ssh-keygen's allowed signers, lines "anonbox ssh-ed25519 AAAA..."."""

NAMESPACE, IDENTITY = "anonbox-bundle", "anonbox"

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
LINE = re.compile(r"(?P<sum>[0-9a-f]{64})  \./(?P<path>[^\0]+)")
VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)

MOST_SUMS_BYTES, MOST_BYTES = 4 << 20, 2 << 30
"""A bundle holds 0.2 GB; one that unpacks to more than these fills a disk, whoever signed it."""

CHUNK = 1 << 20


class BadBundle(AnonBoxError):
    """A bundle that this box does not take."""


def update(bundle: Path, signers: Path = SIGNERS, *, older: bool = False) -> int:
    """Install the bundle; the installer's exit code. older : whether it may be of an earlier version than this program

    Raises BadBundle, and then nothing was changed.
    """
    with tempfile.TemporaryDirectory(prefix="anonbox-update-") as scratch:
        folder = unpack(bundle, Path(scratch), signers)
        version = version_of(folder)
        if not older and _as_numbers(version) < _as_numbers(appliance.__version__):
            raise BadBundle(f"it is version {version}, this box has {appliance.__version__}; --older takes it all the same")
        return subprocess.run([folder / "deploy/install.sh"], check=False).returncode


def unpack(bundle: Path, into: Path, signers: Path) -> Path:
    """The bundle's one folder, below `into`, which is empty: every file that was signed and is as it was signed, and no other.

    The checksums and their signature come first in a bundle; nothing of what follows is unpacked before they are checked, and of that
    nothing that they do not name. Raises BadBundle.
    """
    try:
        with tarfile.open(bundle) as archive:
            return _Unpacking(archive, into, signers).run()
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        raise BadBundle(f"{bundle} cannot be unpacked: {error}") from error


class _Unpacking:
    """Goes through an archive once. The files are read and written here, so that no name, link or right of it leads anywhere."""

    def __init__(self, archive: tarfile.TarFile, into: Path, signers: Path) -> None:
        self._archive, self._into, self._signers = archive, into, signers
        self._left_bytes = MOST_BYTES

    def run(self) -> Path:
        members = ((_place(member), member) for member in self._archive if not member.isdir())
        folder = self._into / self._sealed(members)
        listed = checksums((folder / SUMS).read_bytes())
        for place, member in members:
            if place.parts[0] != folder.name or listed.pop(str(PurePosixPath(*place.parts[1:])), "") != self._write(place, member):
                raise BadBundle(f"{place} is not what was signed")
        if listed:
            raise BadBundle(f"the bundle lacks files: {min(listed)} ({len(listed)} in all)")
        return folder

    def _sealed(self, members: Iterator[tuple[PurePosixPath, tarfile.TarInfo]]) -> str:
        """The name of the bundle's folder, once its checksums are there and known to be signed."""
        first = [(place, member) for place, member in itertools.islice(members, 2) if member.size <= MOST_SUMS_BYTES]
        folders = {place.parent for place, _ in first}
        names = [place.name for place, _ in first]
        if not first or names[0] != SUMS or len(folders) != 1 or len(first[0][0].parts) != 2:
            raise BadBundle(f"it is no bundle: it must begin with one folder's {SUMS}")
        if names != [SUMS, SIGNATURE]:
            raise BadBundle("the bundle is not signed")
        for place, member in first:
            self._write(place, member)
        (folder,) = folders
        _check_signature(self._into / folder, self._signers)
        return folder.name

    def _write(self, place: PurePosixPath, member: tarfile.TarInfo) -> str:
        """Unpack one file with harmless rights; its SHA-256."""
        source = self._archive.extractfile(member)
        if source is None:
            raise BadBundle("it holds something else than files and folders of its own")
        self._left_bytes -= member.size
        if self._left_bytes < 0:
            raise BadBundle(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
        path, digest = self._into / place, hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as target:  # one name, one file
            while data := source.read(CHUNK):
                digest.update(data)
                target.write(data)
        path.chmod(0o644 | member.mode & 0o111)
        return digest.hexdigest()


def _place(member: tarfile.TarInfo) -> PurePosixPath:
    """Where a file goes, below the bundle. Raises BadBundle: what is unpacked is not known to be signed yet."""
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts or not member.isfile():
        raise BadBundle("it holds something else than files and folders of its own")
    return place


def checksums(listing: bytes) -> dict[str, str]:
    """Path below the folder -> SHA-256, of a listing by sha256sum(1). Raises BadBundle for a line that is none."""
    found = [LINE.fullmatch(line) for line in listing.decode("utf-8", "replace").splitlines()]
    if not all(found):
        raise BadBundle(f"line {found.index(None) + 1} of {SUMS} is no checksum")
    return {line["path"]: line["sum"] for line in found if line}


def version_of(folder: Path) -> str:
    """The version of the program in a bundle. Raises BadBundle."""
    program = folder / "appliance/__init__.py"
    found = VERSION.search(program.read_text("utf-8")) if program.is_file() else None
    if found is None:
        raise BadBundle("it does not say which version it is")
    return found[1]


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _check_signature(folder: Path, signers: Path) -> None:
    signature = folder / SIGNATURE
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        raise BadBundle("ssh-keygen is missing, so no signature can be checked: apt-get install openssh-client")
    if not signers.is_file():
        raise BadBundle(f"{signers} does not exist: this box trusts nobody's updates; put the maker's line there")
    command: list[str | Path] = [keygen, "-Y", "verify", "-f", signers, "-I", IDENTITY, "-n", NAMESPACE, "-s", signature]
    with open(folder / SUMS, "rb") as sums:
        result = subprocess.run(command, stdin=sums, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BadBundle(f"the signature is not one of {signers}")
