"""`anonbox update BUNDLE`: checks who signed a bundle and that it is whole, unpacks it, and lets its own installer do the rest.

The installer (deploy/install.sh) makes the version's folder, tests it as the service user, switches one link, and goes back to the
version before when the new one does not start. So nothing here touches what runs.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from appliance.errors import AnonBoxError

SIGNERS = Path("/etc/anonbox/update-signers")
"""Whose bundles this box takes: ssh-keygen's allowed signers, lines "anonbox ssh-ed25519 AAAA..."."""

NAMESPACE, IDENTITY = "anonbox-bundle", "anonbox"


class BadBundle(AnonBoxError):
    """A bundle that this box does not take."""


def update(bundle: Path, signers: Path = SIGNERS) -> int:
    """Install the bundle; the installer's exit code. Raises BadBundle, and then nothing was changed."""
    with tempfile.TemporaryDirectory(prefix="anonbox-update-") as scratch:
        folder = unpack(bundle, Path(scratch))
        check(folder, signers)
        return subprocess.run([folder / "deploy/install.sh"], check=False).returncode


def unpack(bundle: Path, into: Path) -> Path:
    """The bundle's one folder, below `into`. Raises BadBundle."""
    try:
        with tarfile.open(bundle) as archive:
            archive.extraction_filter = lambda member, _: _plain(member)  # Python before 3.11.4 has no filters and does not ask
            for member in archive:
                archive.extract(_plain(member), into)
    except (OSError, tarfile.TarError) as error:
        raise BadBundle(f"{bundle} cannot be unpacked: {error}") from error
    folders = list(into.iterdir())
    if len(folders) != 1 or not (folders[0] / "SHA256SUMS").is_file():
        raise BadBundle(f"{bundle} is no bundle: it must hold one folder with SHA256SUMS")
    return folders[0]


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A folder or a file below the bundle, with harmless rights. Raises BadBundle: what is unpacked is not known to be signed yet."""
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts or not (member.isdir() or member.isfile()):
        raise BadBundle("it holds something else than files and folders of its own")
    member.mode = 0o755 if member.isdir() else member.mode & 0o755
    return member


def check(folder: Path, signers: Path) -> None:
    """Raises BadBundle unless one of `signers` signed the checksums, and every file is there with its own, and no other file."""
    _check_signature(folder, signers)
    listed = dict(line.split("  ", 1)[::-1] for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines())
    found = {f"./{path.relative_to(folder)}": path for path in folder.rglob("*") if not path.is_dir()}
    for name in ("./SHA256SUMS", "./SHA256SUMS.sig"):
        found.pop(name, None)
    if odd := sorted(set(listed) ^ set(found)):
        raise BadBundle(f"the bundle lacks files, or has some that nobody signed: {odd[0]} ({len(odd)} in all)")
    for name, path in found.items():
        if path.is_symlink() or hashlib.sha256(path.read_bytes()).hexdigest() != listed[name]:
            raise BadBundle(f"{name} is not what was signed")


def _check_signature(folder: Path, signers: Path) -> None:
    signature = folder / "SHA256SUMS.sig"
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        raise BadBundle("ssh-keygen is missing, so no signature can be checked: apt-get install openssh-client")
    if not signers.is_file():
        raise BadBundle(f"{signers} does not exist: this box trusts nobody's updates; put the maker's line there")
    if not signature.is_file():
        raise BadBundle("the bundle is not signed")
    command: list[str | Path] = [keygen, "-Y", "verify", "-f", signers, "-I", IDENTITY, "-n", NAMESPACE, "-s", signature]
    with open(folder / "SHA256SUMS", "rb") as sums:
        result = subprocess.run(command, stdin=sums, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BadBundle(f"the signature is not one of {signers}")
