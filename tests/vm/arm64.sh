#!/usr/bin/env bash
# arm64.sh FOLDER: makes an arm64 Debian with the box's bundle on it, made there too, and its tests. FOLDER/disk.raw, vmlinuz,
# initrd.img and key, as image.sh does; the bare Debian is kept in FOLDER/base-*.tar. Programs of arm64 run by qemu-user meanwhile: that
# needs binfmt_misc, which is mounted and told if need be. Root only.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1" && cd "$1"
packages=linux-image-arm64,systemd,systemd-sysv,udev,dbus,kmod,iproute2,openssh-server,python3,python3-venv,libturbojpeg0,libjpeg62-turbo
packages=$packages,libjpeg62-turbo-dev,gcc,libc6-dev,libseccomp2,procps,ca-certificates
mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
[ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register
base=base-$(md5sum <<<"$packages" | cut -c 1-8).tar
if [ ! -e "$base" ]; then
    rm -f base*.tar
    mmdebstrap --architectures=arm64 --variant=minbase --include="$packages" --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        bookworm .part.tar </dev/null
    mv .part.tar "$base"
fi
[ -e key ] || ssh-keygen -q -t ed25519 -N '' -f key
rm -rf --one-file-system root # a run that was killed may have left the mounts below
mkdir root
tar -xf "$base" -C root

mkdir -p root/root/.ssh root/etc/systemd/network root/root/anonbox root/root/wheels
cp key.pub root/root/.ssh/authorized_keys
printf '[Match]\nName=en*\n[Network]\nDHCP=yes\n' >root/etc/systemd/network/vm.network
echo anonbox >root/etc/hostname
echo '127.0.0.1 localhost anonbox' >root/etc/hosts
echo '/dev/vda / ext4 defaults 0 1' >root/etc/fstab
mkdir -p root/etc/systemd/system.conf.d
printf '[Manager]\nDefaultTimeoutStartSec=20min\nDefaultDeviceTimeoutSec=20min\n' >root/etc/systemd/system.conf.d/vm.conf
echo event_timeout=1200 >>root/etc/udev/udev.conf
echo MODULES=list >root/etc/initramfs-tools/conf.d/vm
printf 'virtio_pci\nvirtio_blk\next4\n' >>root/etc/initramfs-tools/modules

(cd "$here" && git ls-files -z | xargs -0 cp --parents -t "$OLDPWD/root/root/anonbox")
cp /etc/resolv.conf root/etc/resolv.conf
cp -L /etc/ssl/certs/ca-certificates.crt root/etc/ssl/certs/ca-certificates.crt # whoever this machine trusts, a proxy's too
for settings in /etc/pip.conf; do [ ! -e $settings ] || cp $settings root/etc/; done

for folder in proc sys dev; do mount --rbind --make-rslave "/$folder" "root/$folder"; done
trap 'umount -R -l root/proc root/sys root/dev' EXIT
chroot root /bin/sh -euc '
    update-initramfs -u
    systemctl -q enable systemd-networkd ssh
    systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap fstrim.timer \
        getty.target systemd-networkd-wait-online systemd-pstore
    cd /root/anonbox
    deploy/bundle.sh /root/bundle
    tar -xf /root/bundle/anonbox-*.tar -C /root/bundle
    pip="/root/venv/bin/python -m pip --disable-pip-version-check install --quiet"
    python3 -m venv /root/venv
    $pip --no-index --find-links /root/bundle/anonbox-*/wheels --require-hashes -r requirements/box.lock
    $pip --no-index --no-deps /root/bundle/anonbox-*/wheels/anonbox-*.whl
    cp /root/venv/lib/python3*/site-packages/appliance/formats/*.so appliance/formats/ # the tests want the sources, this is built
    $pip --require-hashes -r requirements/dev.lock'
umount -R -l root/proc root/sys root/dev
trap - EXIT
cp root/boot/vmlinuz-* vmlinuz
cp root/boot/initrd.img-* initrd.img
rm -f disk.raw
truncate -s 6G disk.raw
mkfs.ext4 -q -F -d root disk.raw
