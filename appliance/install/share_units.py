"""The systemd units that mount the hospital's shares, made from [shares] of the configuration; systemd.mount(5), mount.cifs(8), nfs(5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from appliance.config import Shares
from appliance.errors import BadConfig

SMB = re.compile(r"//[\w.-]+(/[\w.$ -]+)+", re.ASCII)
NFS = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:]+\]):(/[\w.-]+)+", re.ASCII)
"""What a share may be called: nothing that ends a line, an option or a unit's setting."""

MADE = ("run-anonbox-shares-*.mount", "run-anonbox-shares-*.automount", "anonbox-share-*.service")
"""All names that units made here can have."""

COMMON = "nosuid,nodev,noexec,_netdev"
SMB_OPTIONS = f"{COMMON},vers=3,soft,echo_interval=5,uid=anonbox,gid=anonbox,file_mode=0600,dir_mode=0700"
NFS_OPTIONS = f"{COMMON},soft,timeo=50,retrans=2"
"""soft: a call to a server that is away fails within some fifteen seconds instead of hanging for ever. Nothing is lost by that here:
every result is synced before it leaves the box, and what fails is done again."""

CREDSTORES = (("LoadCredentialEncrypted", Path("/etc/credstore.encrypted")), ("LoadCredential", Path("/etc/credstore")))


class Kind(NamedTuple):
    """A network file system. type : as mount(8) calls it"""

    type: str
    options: str


def units(shares: Shares, credstores: tuple[tuple[str, Path], ...] = CREDSTORES) -> dict[str, str]:
    """Unit name → its text; none for a share that is not configured. Raises BadConfig naming the key."""
    if str(shares.mounts) != "/run/anonbox/shares" and (shares.inbox or shares.out):
        raise BadConfig("shares.mounts", f"is {shares.mounts}: only /run/anonbox/shares can be mounted on by the box; mount it yourself")
    made: dict[str, str] = {}
    for key, name, source in (("shares.inbox", "in", shares.inbox), ("shares.out", "out", shares.out)):
        if not source:
            continue
        kind = _kind(key, source)
        point = shares.mounts / name
        unit = f"run-anonbox-shares-{name}"
        keeper = f"anonbox-share-{name}.service" if kind.type == "cifs" else ""
        options = f"{kind.options},credentials=/run/credentials/{keeper}/share" if keeper else kind.options
        if keeper:
            made[keeper] = _keeper(name, credstores)
        made[f"{unit}.mount"] = _mount(name, source, point, kind.type, options, keeper)
        made[f"{unit}.automount"] = AUTOMOUNT.format(name=name, point=point)
    return made


def replace_units(folder: Path, wanted: Mapping[str, str]) -> None:
    """Make `folder` hold exactly these of the units that are made here."""
    for pattern in MADE:
        for path in folder.glob(pattern):
            if path.name not in wanted:
                path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, "utf-8")


def _kind(key: str, source: str) -> Kind:
    steps = re.split("[/:]", source)
    if ".." not in steps and SMB.fullmatch(source):
        return Kind("cifs", SMB_OPTIONS)
    if ".." not in steps and NFS.fullmatch(source):
        return Kind("nfs", NFS_OPTIONS)
    raise BadConfig(key, f"is {source!r}, must be //server/share/folder (SMB) or server:/folder (NFS), of letters, digits and . _ - $")


def _mount(name: str, source: str, point: Path, kind: str, options: str, keeper: str) -> str:
    after = f"Requires={keeper}\nAfter={keeper}\n" if keeper else ""
    return MOUNT.format(name=name, source=source, point=point, kind=kind, options=options, after=after)


def _keeper(name: str, credstores: tuple[tuple[str, Path], ...]) -> str:
    """The first place that holds the credential; where none does yet, the encrypted one, and the share is away until it is there."""
    credential = f"anonbox-share-{name}"
    places = [(setting, folder / credential) for setting, folder in credstores]
    setting, path = next(((setting, path) for setting, path in places if path.exists()), places[0])
    return KEEPER.format(name=name, setting=setting, path=path)


MOUNT = """\
[Unit]
Description=AnonBox: the hospital's share "{name}"
Wants=network-online.target
After=network-online.target
{after}# each try to open the folder is a start; a limit would make the automount give up for good
StartLimitIntervalSec=0

[Mount]
What={source}
Where={point}
Type={kind}
Options={options}
TimeoutSec=20
LazyUnmount=yes
"""

AUTOMOUNT = """\
[Unit]
Description=AnonBox: mounts the hospital's share "{name}" when it is opened
After=systemd-tmpfiles-setup.service

[Automount]
Where={point}
DirectoryMode=0555

[Install]
WantedBy=multi-user.target
"""

KEEPER = """\
[Unit]
Description=AnonBox: holds name and password for the hospital's share "{name}", for mount.cifs alone

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
{setting}=share:{path}
CapabilityBoundingSet=
NoNewPrivileges=yes
PrivateNetwork=yes
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
"""
