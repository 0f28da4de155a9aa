"""An update is taken only whole, and only from whom the box trusts."""

from __future__ import annotations

import hashlib
import io
import lzma
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import appliance
from appliance.install.update import MOST_SUMS_BYTES, BadBundle, unpack, update

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (apt-get install openssh-client)")


def key(folder: Path, name: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return folder / name


class Bundle:
    """A bundle whose installer only says that it ran."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "anonbox-1"
        self.ran = home / "ran"
        installer = self.folder / "deploy/install.sh"
        installer.parent.mkdir(parents=True)
        installer.write_text(f"#!/bin/sh\ntouch {self.ran}\n")
        installer.chmod(0o755)
        (self.folder / "README.md").write_text("read me")
        (self.folder / "appliance").mkdir()
        self.is_version(appliance.__version__)
        self.signer = key(home, "maker")
        self.signers = home / "signers"
        self.signers.write_text("anonbox " + self.signer.with_suffix(".pub").read_text())

    def sign(self, signer: Path | None = None) -> None:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("SHA256SUMS"))
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(self.folder)}\n" for path in files]
        (self.folder / "SHA256SUMS").write_text("".join(lines))
        self.sign_sums(signer)

    def sign_sums(self, signer: Path | None = None) -> None:
        (self.folder / "SHA256SUMS.sig").unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-f", signer or self.signer, "-n", "anonbox-bundle", self.folder / "SHA256SUMS"]
        subprocess.run(command, check=True, capture_output=True)

    def is_version(self, version: str) -> None:
        (self.folder / "appliance/__init__.py").write_text(f'__version__ = "{version}"\n')

    def pack(self, extra: Sequence[tarfile.TarInfo] = ()) -> Path:
        """As deploy/bundle.sh does: the checksums first. extra : further members, all zeros"""
        path = self.folder.with_suffix(".tar.xz")
        with tarfile.open(path, "w:xz", preset=1) as archive:
            for file in sorted(self.folder.rglob("*"), key=lambda file: (not file.name.startswith("SHA256SUMS"), file)):
                if not file.is_dir():
                    archive.add(file, file.relative_to(self.folder.parent))
            for member in extra:
                archive.addfile(member, Zeros(member.size))
        return path


class Zeros(io.RawIOBase):
    def __init__(self, left: int) -> None:
        self.left = left

    def read(self, count: int = -1) -> bytes:
        count = min(count, self.left)
        self.left -= count
        return bytes(count)


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return made


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    made = Bundle(tmp_path)
    made.sign()
    return made


def test_a_signed_bundle_is_installed(bundle: Bundle) -> None:
    assert update(bundle.pack(), bundle.signers) == 0
    assert bundle.ran.exists()


@pytest.mark.parametrize("harm", ["changed", "added", "removed", "link", "unsigned", "stranger", "no signers", "sums changed"])
def test_any_other_is_refused_before_anything_runs(bundle: Bundle, tmp_path: Path, harm: str) -> None:
    readme = bundle.folder / "README.md"
    if harm == "changed":
        readme.write_text("read this")
    elif harm == "added":
        (bundle.folder / "more").write_text("more")
    elif harm == "removed":
        readme.unlink()
    elif harm == "link":
        readme.rename(bundle.folder.parent / "elsewhere")
        readme.symlink_to("deploy/install.sh")
    elif harm == "unsigned":
        (bundle.folder / "SHA256SUMS.sig").unlink()
    elif harm == "stranger":
        bundle.sign(key(tmp_path, "stranger"))
    elif harm == "no signers":
        bundle.signers.unlink()
    else:
        with open(bundle.folder / "SHA256SUMS", "a") as sums:
            sums.write("\n")
    with pytest.raises(BadBundle):
        update(bundle.pack(), bundle.signers)
    assert not bundle.ran.exists()


@pytest.mark.parametrize(
    "odd",
    [
        member("../outside", 1),
        member("/tmp/outside", 1),
        member("anonbox-1/README.md", 1),
        member("anonbox-1/more", 1),
        member("other/README.md", 1),
        *(member("anonbox-1/odd", 0, kind) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)),
    ],
    ids=lambda odd: f"{odd.name}-{odd.type.decode()}",
)
def test_nothing_that_was_not_signed_is_unpacked(bundle: Bundle, tmp_path: Path, odd: tarfile.TarInfo) -> None:
    (tmp_path / "into").mkdir()
    with pytest.raises(BadBundle):
        unpack(bundle.pack([odd]), tmp_path / "into", bundle.signers)
    assert not (tmp_path / "outside").exists()
    with pytest.raises(BadBundle):
        update(bundle.pack([odd]), bundle.signers)
    assert not bundle.ran.exists()


def test_a_bomb_is_not_unpacked(bundle: Bundle, tmp_path: Path) -> None:
    """Gigabytes of zeros in some kilobytes: first in a bundle, or under a name that was signed."""
    (tmp_path / "first").mkdir()
    with tarfile.open(tmp_path / "first.tar.xz", "w:xz", preset=0) as archive:
        archive.addfile(member("anonbox-1/SHA256SUMS", MOST_SUMS_BYTES + 1), Zeros(MOST_SUMS_BYTES + 1))
    with pytest.raises(BadBundle, match="begin with"):
        unpack(tmp_path / "first.tar.xz", tmp_path / "first", bundle.signers)
    (tmp_path / "named").mkdir()
    with open(bundle.folder / "SHA256SUMS", "a") as sums:
        sums.write(f"{0:064x}  ./huge\n")
    bundle.sign_sums()
    with pytest.raises(BadBundle, match="more than 2048 MiB"):
        unpack(cut_short(bundle.pack(), member("anonbox-1/huge", 3 << 30)), tmp_path / "named", bundle.signers)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 1 << 20


def cut_short(bundle: Path, huge: tarfile.TarInfo) -> Path:
    """The bundle with one more member's head, and nothing behind it."""
    plain = lzma.decompress(bundle.read_bytes()).rstrip(b"\0")
    bundle.write_bytes(lzma.compress(plain + bytes(-len(plain) % 512) + huge.tobuf()))
    return bundle


@pytest.mark.parametrize("line", ["garbage", "", f"{0:064x} ./README.md", f"{0:063x}  ./README.md"])
def test_a_listing_with_a_line_that_is_none_is_refused(bundle: Bundle, line: str) -> None:
    with open(bundle.folder / "SHA256SUMS", "a") as sums:
        sums.write(line + "\n")
    bundle.sign_sums()
    with pytest.raises(BadBundle, match="line 4 of SHA256SUMS"):
        update(bundle.pack(), bundle.signers)


def test_an_older_version_is_taken_only_when_asked_for(bundle: Bundle) -> None:
    bundle.is_version("0.0.9")
    bundle.sign()
    with pytest.raises(BadBundle, match=r"version 0\.0\.9.*--older"):
        update(bundle.pack(), bundle.signers)
    assert not bundle.ran.exists()
    assert update(bundle.pack(), bundle.signers, older=True) == 0


def test_what_is_unpacked_has_harmless_rights(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.folder / "README.md").chmod(0o6755)
    (tmp_path / "into").mkdir()
    folder = unpack(bundle.pack(), tmp_path / "into", bundle.signers)
    assert (folder / "README.md").stat().st_mode & 0o7777 == 0o755
