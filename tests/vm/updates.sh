#!/usr/bin/env bash
# updates.sh FOLDER PYTHON: makes of the bundle in FOLDER/bundle the updates that test_versions.py tries, FOLDER/updates.img, a stick with
#   next.tar      version 0.2.1
#   stranger.tar  the same, signed by somebody whom the box does not know
#   blind.tar     version 0.2.2, whose network sees no text: its self-test must fail
#   broken.tar    version 0.2.3, whose daemon does not start
# sealed by bundle.sh as every bundle is. Their network is the stand-in of network.py, or its self-test could not pass in QEMU.
set -euo pipefail
folder=$(realpath "$1")
interpreter=$(realpath -s "$2")
# shellcheck source=deploy/bundle.sh
. "$(dirname "$0")/../../deploy/bundle.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tar -xf "$folder"/bundle/*.tar -C "$scratch"
base=$(echo "$scratch"/anonbox-*)
rm "$base"/wheels/anonbox-*

# version NUMBER NAME [--blind]: the bundle's files as another version, unsealed
version() {
    cp -r "$base" "$scratch/$2"
    sed -i "s/^__version__ = .*/__version__ = \"$1\"/" "$scratch/$2/appliance/__init__.py"
    "$interpreter" "$here/tests/vm/network.py" "$scratch/$2/engines/weights" ${3:+"$3"} >/dev/null
}

mkdir "$scratch/stick"
version 0.2.1 next
version 0.2.2 blind --blind
version 0.2.3 broken
sed -i 's|^ExecStart=|ExecStartPre=/bin/false\n&|' "$scratch/broken/systemd/anonbox.service"
for name in next blind broken; do
    own_wheel "$scratch/$name" "$interpreter"
    seal "$scratch/$name" "$scratch/stick/$name.tar" "$folder/key"
done
ssh-keygen -q -t ed25519 -N '' -f "$scratch/stranger"
seal "$scratch/next" "$scratch/stick/stranger.tar" "$scratch/stranger"
rm -f "$folder/updates.img"
truncate -s 768M "$folder/updates.img"
mkfs.vfat -F 32 "$folder/updates.img" >/dev/null
mcopy -i "$folder/updates.img" "$scratch"/stick/*.tar ::/
