#!/usr/bin/env bash
# image.sh FOLDER PYTHON: makes a Debian machine with the box on it, put there by the box's own installer from a bundle, with no network.
# It is installed twice, and the second time must change nothing. FOLDER/disk.raw, vmlinuz, initrd.img and key, an SSH key for root. The
# bare Debian is kept in FOLDER/base-*.tar, by what is in it. Root only.
# PYTHON is one with this program and the package onnx, for network.py.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
python=$(realpath -s "$2")
mkdir -p "$1" && cd "$1"
packages=linux-image-amd64,systemd,systemd-sysv,udev,dbus,kmod,iproute2,openssh-server,python3,python3-venv,libturbojpeg0,libjpeg62-turbo,samba,smbclient
packages=$packages,cifs-utils,nfs-common,nfs-kernel-server,alsa-utils,util-linux,e2fsprogs,dosfstools,procps,bsdutils,ca-certificates
base=base-$(md5sum <<<"$packages" | cut -c 1-8).tar
if [ ! -e "$base" ]; then
    rm -f base*.tar
    mmdebstrap --variant=minbase --include="$packages" --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        bookworm .part.tar </dev/null
    mv .part.tar "$base"
fi
[ -e key ] || ssh-keygen -q -t ed25519 -N '' -f key
rm -rf --one-file-system root bundle # a run that was killed may have left the mounts below
mkdir root bundle
tar -xf "$base" -C root
"$here/deploy/bundle.sh" --sign key bundle
tar -xf bundle/*.tar -C root/root

# what the test wants of the machine: a way in, an address, and the page for everyone
mkdir -p root/root/.ssh root/etc/anonbox root/etc/systemd/network
cp key.pub root/root/.ssh/authorized_keys
printf '[Match]\nName=en*\n[Network]\nDHCP=yes\n' >root/etc/systemd/network/vm.network
printf '[folders]\nbox = "/var/lib/anonbox"\n[intake]\nmin_free_mib = 64\n[page]\nhost = "0.0.0.0"\n' >root/etc/anonbox/anonbox.toml
printf 'anonbox %s\n' "$(cut -d' ' -f1-2 key.pub)" >root/etc/anonbox/update-signers
echo anonbox >root/etc/hostname
echo '127.0.0.1 localhost anonbox' >root/etc/hosts
echo '/dev/vda / ext4 defaults 0 1' >root/etc/fstab
# what is on the machine and does not come and go by itself: an uninstall with --purge leaves all as it was before
cat >root/root/files <<'EOF'
find /etc /opt /usr /var -xdev \( -name __pycache__ -o -path '/var/log' -o -path '/var/cache' -o -path '/var/tmp' -o -path '/var/lib/systemd' \
    -o -path '/var/lib/samba' -o -path '/var/lib/nfs' -o -path '/etc/*passwd*' -o -path '/etc/*group*' -o -path '/etc/*shadow*' -o -path '/etc/sub?id*' \) -prune -o \
    \( -type d -printf '%p %y %m %u %g\n' -o -printf '%p %y %m %u %g %s %l\n' \) | sort
EOF

# emulated, everything takes minutes: an initrd that loads what the disk needs and no more, no patience that ends, nothing that is not asked for
mkdir -p root/etc/systemd/system.conf.d
printf '[Manager]\nDefaultTimeoutStartSec=20min\nDefaultDeviceTimeoutSec=20min\n' >root/etc/systemd/system.conf.d/vm.conf
echo event_timeout=1200 >>root/etc/udev/udev.conf
echo MODULES=list >root/etc/initramfs-tools/conf.d/vm
printf 'virtio_pci\nvirtio_blk\next4\n' >>root/etc/initramfs-tools/modules

for folder in proc sys dev; do mount --rbind --make-rslave "/$folder" "root/$folder"; done
trap 'umount -R -l root/proc root/sys root/dev' EXIT
unshare --net chroot root /bin/sh -euc '
    update-initramfs -u
    systemctl -q enable systemd-networkd ssh
    systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap fstrim.timer \
        getty.target nmbd samba-ad-dc nfs-server nfs-blkmap rpcbind.service rpcbind.socket systemd-networkd-wait-online systemd-pstore
    sh /root/files >/root/files.before
    /root/anonbox-*/deploy/install.sh
    installed() { find /etc /opt/anonbox /usr/local /var/lib/anonbox -path "*/__pycache__" -prune -o -printf "%p %y %m %u %g %l %s\n" | sort; }
    installed >/tmp/once
    /root/anonbox-*/deploy/install.sh
    installed | diff /tmp/once - # installing again changes nothing
    useradd -M -s /usr/sbin/nologin -G anonbox-staff nurse
    printf "secret\nsecret\n" | smbpasswd -s -a nurse >/dev/null'
umount -R -l root/proc root/sys root/dev
trap - EXIT
"$python" "$here/tests/vm/network.py" "$(echo root/opt/anonbox/versions/*/lib/python3*/site-packages/engines/weights)"
cp root/boot/vmlinuz-* vmlinuz
cp root/boot/initrd.img-* initrd.img
rm -f disk.raw
truncate -s 4G disk.raw
mkfs.ext4 -q -F -d root disk.raw
