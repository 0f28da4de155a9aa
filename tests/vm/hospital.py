"""A hospital's file server inside the machine: a second samba, or NFS, with a network, and a cable, of its own."""

from __future__ import annotations

from collections.abc import Mapping

from .machine import Machine

SERVER = r"""set -eu
mkdir -p /srv/hospital/samba /srv/hospital/share/in /srv/hospital/share/out
useradd -M -s /usr/sbin/nologin hospital
chown -R hospital: /srv/hospital/share
cat >/srv/hospital/smb.conf <<'EOF'
[global]
   server role = standalone server
   server min protocol = SMB3
   server signing = mandatory
   disable netbios = yes
   smb ports = 445
   private dir = /srv/hospital/samba
   lock directory = /srv/hospital/samba
   state directory = /srv/hospital/samba
   cache directory = /srv/hospital/samba
   pid directory = /srv/hospital/samba
   ncalrpc dir = /srv/hospital/samba/ncalrpc
[endoscopy]
   path = /srv/hospital/share
   valid users = hospital
   read only = no
EOF
printf 'other\nother\n' | smbpasswd -c /srv/hospital/smb.conf -s -a hospital >/dev/null
ip netns add hospital
ip link add hospital0 type veth peer name server0
ip link set server0 netns hospital
ip addr add 10.77.0.1/24 dev hospital0
ip link set hospital0 up
ip netns exec hospital ip addr add 10.77.0.2/24 dev server0
ip netns exec hospital ip link set server0 up
ip netns exec hospital ip link set lo up
echo 10.77.0.2 files.example >>/etc/hosts
"""

SETTINGS = """
[shares]
inbox = "//files.example/endoscopy/in"
out = "//files.example/endoscopy/out"
"""


NFS_SERVER = """
mount -t nfsd nfsd /proc/fs/nfsd
exportfs -o rw,sync,no_subtree_check,all_squash,anonuid=$(id -u hospital),anongid=$(id -g hospital) '*:/srv/hospital/share'
rpc.nfsd --no-nfs-version 3 --no-udp --grace-time 10 --lease-time 10 4
exec rpc.mountd --foreground --no-nfs-version 3
"""

NFS_SETTINGS = """
[shares]
inbox = "files.example:/srv/hospital/share/in"
out = "files.example:/srv/hospital/share/out"
"""


class Hospital:
    """Its shares are `in` and `out`, below SHARE on the machine's own disk."""

    SHARE = "/srv/hospital/share"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        machine.run("bash -s", stdin=SERVER)
        self.serve()

    def serve(self) -> None:
        smbd = "smbd --foreground --no-process-group -s /srv/hospital/smb.conf"
        self._machine.run(f"systemd-run -q --collect --unit hospital -p NetworkNamespacePath=/run/netns/hospital {smbd}")

    def serve_by_nfs(self) -> None:
        """NFS 4 alone, in place of samba; it takes whoever comes for its own user."""
        self._machine.run("systemctl stop hospital; cat >/srv/hospital/nfs", stdin=NFS_SERVER)
        properties = "-p NetworkNamespacePath=/run/netns/hospital -p PrivateMounts=yes"
        self._machine.run(f"systemd-run -q --collect --unit hospital-nfs {properties} sh -e /srv/hospital/nfs")

    def crash(self, left: int) -> None:
        """Every process of the server at once, in the middle of whatever it does. left : as soon as no more pictures wait on the share"""
        self._machine.run(f"{self._until(left)} systemctl kill -s KILL hospital")

    def cut(self, left: int) -> None:
        """The cable: nothing is refused, nothing answers."""
        self._machine.run(f"{self._until(left)} ip link set hospital0 down")

    def _until(self, left: int) -> str:
        return f"while [ $(find {self.SHARE}/in -type f | wc -l) -gt {left} ]; do sleep 0.1; done;"

    def mend(self) -> None:
        self._machine.run("ip link set hospital0 up")

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """A new folder of pictures in the share `in`, there at once."""
        there = f"{self.SHARE}/.{folder}"
        self._machine.write(there, files)
        self._machine.run(f"chown -R hospital: {there} && mv {there} {self.SHARE}/in/{folder}")

    def waiting(self) -> int:
        """Pictures that are still on the share `in`."""
        return len(self._machine.fetch(f"{self.SHARE}/in"))
