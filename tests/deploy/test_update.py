"""An update is taken only whole, and only from whom the box trusts."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from appliance.install.update import BadBundle, unpack, update

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
        self.signer = key(home, "maker")
        self.signers = home / "signers"
        self.signers.write_text("anonbox " + self.signer.with_suffix(".pub").read_text())

    def sign(self, signer: Path | None = None) -> None:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("SHA256SUMS"))
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(self.folder)}\n" for path in files]
        (self.folder / "SHA256SUMS").write_text("".join(lines))
        (self.folder / "SHA256SUMS.sig").unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-f", signer or self.signer, "-n", "anonbox-bundle", self.folder / "SHA256SUMS"]
        subprocess.run(command, check=True, capture_output=True)

    def pack(self) -> Path:
        path = self.folder.with_suffix(".tar")
        with tarfile.open(path, "w") as archive:
            archive.add(self.folder, self.folder.name)
        return path


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


def test_a_name_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.add(tmp_path / "x", "../outside")
    with pytest.raises(BadBundle):
        unpack(tmp_path / "evil.tar", tmp_path / "into")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_nothing_but_files_and_folders_is_unpacked(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("anonbox-1/odd")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "odd.tar", "w") as archive:
        archive.addfile(member)
    (tmp_path / "into").mkdir()
    with pytest.raises(BadBundle):
        unpack(tmp_path / "odd.tar", tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_a_bundle_is_unpacked_where_python_has_no_filters(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12 has Python 3.11.2, whose extractall takes no filter; what is unpacked has no right to be another user."""
    monkeypatch.setattr(tarfile.TarFile, "extractall", None)
    (bundle.folder / "README.md").chmod(0o6755)
    (tmp_path / "into").mkdir()
    folder = unpack(bundle.pack(), tmp_path / "into")
    assert (folder / "README.md").stat().st_mode & 0o7777 == 0o755
