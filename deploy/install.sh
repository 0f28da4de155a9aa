#!/usr/bin/env bash
# install.sh [--data FOLDER] [--no-start]: makes this machine an AnonBox, or brings one to this version. Root only; may be run again.
#
#   --data FOLDER   where the pictures go, a folder on a partition of its own; default: /data/anonbox where /data is a mount point
#   --no-start      install only
#
# Beside a folder wheels/ (a bundle has one) nothing is fetched from anywhere. Every version has a folder of its own; one link says which
# runs. A version that does not pass its self-test, or does not start, is left and the one before goes on.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=${DESTDIR:-}
opt=/opt/anonbox
etc=/etc/anonbox
box=/var/lib/anonbox
python=${PYTHON:-python3}
cuda=${CUDA:-/usr/local/cuda}
unbuilt=(-type f ! -path '*/__pycache__/*' ! -path '*.egg-info/*' ! -name '*.so')
parts="appliance engines deploy systemd requirements pyproject.toml README.md LICENSE"
services="anonbox.service anonbox-page.socket anonbox-results.path anonbox-signal.service anonbox-message.path"

main() {
    local data='' start=yes
    while [ $# -gt 0 ]; do
        case $1 in
        --data) data=${2:?--data needs a folder} && shift ;;
        --no-start) start= ;;
        *) usage ;;
        esac
        shift
    done
    [ "$(id -u)" -eq 0 ] || fail "needs root: sudo make install"
    [ -d /run/systemd/system ] || start=
    ! is_jetson || check_jetpack
    say "packages"
    install_packages
    say "users"
    link_settings
    systemd-sysusers "$etc/sysusers.conf"
    say "folders"
    place_box "$data"
    systemd-tmpfiles --create "$etc/tmpfiles.conf"
    local folder
    folder=$opt/versions/$(version_of "$here")
    say "program, $(basename "$folder")"
    [ -e "$folder/.complete" ] || build "$folder"
    configure
    say "self-test, as the box's own user"
    self_test "$folder" || fail "the self-test failed, see above; nothing was changed that runs"
    say "switch"
    local before
    before=$(readlink "$root$opt/current" || true)
    switch_to "$folder"
    link_units "$folder"
    share
    mount_shares "$folder"
    if [ "$start" ]; then
        start_or_go_back "$before"
    fi
    forget_others "$folder" "$before"
    farewell
}

usage() {
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

say() { echo "anonbox: $*"; }

fail() {
    echo "anonbox: $*" >&2
    exit 1
}

# Debian packages; those a machine without network lacks are named by the step that needs them
install_packages() {
    # shellcheck disable=SC2046  # words or none: a bundle has the program built
    "$here/deploy/system-packages.sh" "$python" $([ -d "$here/wheels" ] || echo compiler) $(! builds_pycuda || echo pycuda)
    command -v smbd >/dev/null && return
    if [ -d "$here/wheels" ]; then
        say "samba is not installed: the box serves no share. apt-get install samba, then install again"
    else
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends samba >/dev/null
    fi
}

# what names a version: its number, and a hash of all that is installed of it
version_of() {
    local number hash
    number=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$1/appliance/__init__.py")
    # shellcheck disable=SC2086  # a list
    hash=$(cd "$1" && find $parts "${unbuilt[@]}" -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
    echo "$number-${hash:0:10}"
}

is_jetson() { [ -e /etc/nv_tegra_release ] || grep -qs tegra /proc/device-tree/compatible; }

# there are no wheels of it: it is built for the CUDA that is here, unless the bundle was made on a Jetson and brings it built
builds_pycuda() { is_jetson && ! ls "$here"/wheels/pycuda-*.whl >/dev/null 2>&1; }

# what JetPack must bring, before anything is changed
check_jetpack() {
    "$python" -c 'import tensorrt' 2>/dev/null || fail "$python has no TensorRT: apt-get install nvidia-jetpack, then install again"
    builds_pycuda || return 0
    [ -x "$cuda/bin/nvcc" ] || fail "no $cuda/bin/nvcc to build pycuda with: apt-get install nvidia-jetpack, or name CUDA="
    [ ! -d "$here/wheels" ] || fail "this bundle was not made on a Jetson: it lacks pycuda; make one there, or install from the sources"
}

# what TensorRT's engine needs on top, into the virtual environment. In a bundle the wheels were checked against the lock when it was made;
# pycuda's, built there, can have no hash in it.
install_pycuda() {
    local pip=("$1/bin/python" -m pip --disable-pip-version-check install --quiet)
    if builds_pycuda; then
        say "pycuda, built for $cuda; takes minutes"
        PATH=$cuda/bin:$PATH CUDA_ROOT=$cuda "${pip[@]}" --require-hashes -r "$here/requirements/jetson.lock"
    else
        "${pip[@]}" --no-index --find-links "$here/wheels" "$here"/wheels/pycuda-*.whl
    fi
}

# films are a part of their own: a bundle may have been made without it
has_video() { [ ! -d "$here/wheels" ] || ls "$here"/wheels/av-*.whl >/dev/null 2>&1; }

# the folder of one version: a virtual environment with the program in it, and beside it what systemd and udev read. Root's, read-only.
build() {
    local folder=$1 scratch program from=()
    [ ! -d "$here/wheels" ] || from=(--no-index --find-links "$here/wheels")
    rm -rf "$folder"
    mkdir -p "$(dirname "$folder")"
    # a Jetson brings TensorRT as a package of the system's Python
    # shellcheck disable=SC2046  # a word or none
    "$python" -m venv $(! is_jetson || echo --system-site-packages) "$folder"
    scratch=$(mktemp -d)
    # shellcheck disable=SC2086  # a list
    (cd "$here" && cp -r $parts "$scratch")
    program=$scratch # to be built, which needs a compiler, unless a bundle brings it
    [ ! -d "$here/wheels" ] || program=$(echo "$here"/wheels/anonbox-*.whl)
    (
        umask 022
        "$folder/bin/python" -m pip --disable-pip-version-check install --quiet "${from[@]}" --require-hashes -r "$here/requirements/box.lock"
        ! has_video || "$folder/bin/python" -m pip --disable-pip-version-check install --quiet "${from[@]}" --require-hashes \
            -r "$here/requirements/video.lock"
        "$folder/bin/python" -m pip --disable-pip-version-check install --quiet "${from[@]}" --no-deps --no-build-isolation "$program"
        ! is_jetson || install_pycuda "$folder"
    )
    cp -r "$here/deploy" "$here/systemd" "$here/README.md" "$here/LICENSE" "$folder"
    [ ! -e "$here/sbom.cdx.json" ] || cp "$here/sbom.cdx.json" "$folder"
    rm -rf "$scratch"
    chown -R root:root "$folder"
    touch "$folder/.complete"
}

# settings that must be there before the first version is: copies, all other files are links into the version that runs
link_settings() {
    mkdir -p "$root$etc"
    cp "$here/systemd/sysusers.conf" "$here/systemd/tmpfiles.conf" "$root$etc"
    mkdir -p "$root/etc/sysusers.d" "$root/etc/tmpfiles.d"
    ln -sfn "$etc/sysusers.conf" "$root/etc/sysusers.d/anonbox.conf"
    ln -sfn "$etc/tmpfiles.conf" "$root/etc/tmpfiles.d/anonbox.conf"
}

# the box's folders; on a data partition a bind mount brings them to their place, and without it nothing starts
place_box() {
    local data=$1 unit=/etc/systemd/system/var-lib-anonbox.mount
    mkdir -p "$root$box"
    [ "$data" ] || ! mountpoint -q /data || data=/data/anonbox
    if [ "$data" ] && [ ! -e "$root$unit" ]; then
        [ -z "$(ls -A "$root$box")" ] || fail "$box holds pictures already: move them to $data first, or install without --data"
        mkdir -p "$root$data"
        printf '[Unit]\nDescription=AnonBox: its folders on the data partition\nRequiresMountsFor=%s\n\n' "$data" >"$root$unit"
        printf '[Mount]\nWhat=%s\nWhere=%s\nType=none\nOptions=bind,nosuid,nodev,noexec\n\n' "$data" "$box" >>"$root$unit"
        printf '[Install]\nRequiredBy=anonbox.service\n' >>"$root$unit"
        systemctl enable var-lib-anonbox.mount
        [ ! -d /run/systemd/system ] || { systemctl daemon-reload && systemctl start var-lib-anonbox.mount; }
    fi
    [ -z "$data" ] || chown anonbox:anonbox "$root$data"
    chown anonbox:anonbox "$root$box"
    chmod 0755 "$root$box"
}

configure() {
    [ ! -e "$root$etc/anonbox.toml" ] || return 0
    cat >"$root$etc/anonbox.toml" <<EOF
# $opt/current/bin/anonbox doctor --config-example prints every key with its default and its meaning.
# After a change: systemctl restart anonbox anonbox-page anonbox-signal; after one of [page] or [shares]: $opt/current/deploy/install.sh
[folders]
box = "$box"
EOF
    ! is_jetson || cat >>"$root$etc/anonbox.toml" <<EOF
[engine]
name = "tensorrt"
fallback = "none"      # "openvino": where the GPU fails the box goes on with the CPU, more slowly, and says so
EOF
}

# before the version runs; in folders of its own, so that it does not meet the box that is running. A Jetson's engines are built here,
# and kept: the daemon would take as long again.
self_test() {
    local folder=$1 scratch result=0 groups=()
    ! is_jetson || groups=(-g anonbox -G video -G render)
    scratch=$(mktemp -d)
    chown anonbox:anonbox "$scratch"
    (cd / && runuser -u anonbox "${groups[@]}" -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$scratch" \
        "$folder/bin/anonbox" selftest --config "$etc/anonbox.toml" --box "$scratch/box") || result=$?
    if [ "$result" -eq 0 ] && is_jetson; then
        # shellcheck disable=SC2016  # its own arguments; as the box's user, whose folder it is
        runuser -u anonbox -- sh -c 'umask 077 && mkdir -p "$2" && cp -r "$1/." "$2"' sh "$scratch/box/state/engines" "$box/state/engines"
    fi
    rm -rf "$scratch"
    return "$result"
}

# in one step: a link is replaced by renaming another over it
switch_to() {
    ln -sfn "$1" "$root$opt/.next"
    mv -T "$root$opt/.next" "$root$opt/current"
}

link_units() {
    local folder=$1 unit system=/etc/systemd/system current=$opt/current
    mkdir -p "$root$system" "$root/etc/udev/rules.d" "$root/etc/systemd/journald.conf.d"
    for unit in "$root$folder"/systemd/anonbox*.*; do
        [ -d "$unit" ] || ln -sfn "$current/systemd/${unit##*/}" "$root$system/${unit##*/}"
    done
    ln -sfn "$current/deploy/70-anonbox.rules" "$root/etc/udev/rules.d/70-anonbox.rules"
    ln -sfn "$current/deploy/journald.conf" "$root/etc/systemd/journald.conf.d/anonbox.conf"
    if [ -e /dev/nvidiactl ] || [ -e /dev/nvmap ]; then
        ln -sfn "$current/systemd/anonbox.service.d" "$root$system/anonbox.service.d"
    else
        rm -f "$root$system/anonbox.service.d"
    fi
    listen "$folder"
    mkdir -p "$root/usr/local/bin"
    ln -sfn "$current/bin/anonbox" "$root/usr/local/bin/anonbox"
    for unit in $services; do
        systemctl enable --quiet "$current/systemd/$unit"
    done
}

# the address of [page], where systemd listens for it
listen() {
    local address drop_in="$root/etc/systemd/system/anonbox-page.socket.d"
    address=$("$1/bin/python" -I - "$root$etc/anonbox.toml" <<'EOF'
import sys
from pathlib import Path
from appliance.config import load

page = load(Path(sys.argv[1])).page
print(f"[{page.host}]:{page.port}" if ":" in page.host else f"{page.host}:{page.port}")
EOF
    )
    mkdir -p "$drop_in"
    printf '# from [page] of %s/anonbox.toml\n[Socket]\nListenStream=\nListenStream=%s\n' "$etc" "$address" >"$drop_in/address.conf"
}

share() {
    local conf="$root/etc/samba/smb.conf" line="include = /etc/samba/anonbox.conf"
    [ -e "$conf" ] || return 0
    ln -sfn "$opt/current/deploy/samba/anonbox.conf" "$root/etc/samba/anonbox.conf"
    grep -qxF "$line" "$conf" || printf '%s\n' "$line" >>"$conf"
}

# the hospital's shares that [shares] names, mounted when the daemon opens them; those it no longer names go
mount_shares() {
    local units unit kind system=/etc/systemd/system
    for unit in "$root$system"/run-anonbox-shares-*.automount; do
        [ ! -e "$unit" ] || systemctl disable --quiet ${start:+--now} "${unit##*/}"
    done
    units=$("$1/bin/anonbox" shares --config "$root$etc/anonbox.toml" --into "$root$system")
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
    for unit in $units; do
        systemctl enable --quiet ${start:+--now} "$unit"
    done
    for kind in cifs:cifs-utils nfs:nfs-common; do
        if grep -qsx "Type=${kind%:*}" "$root$system"/run-anonbox-shares-*.mount && ! command -v "mount.${kind%:*}" >/dev/null; then
            say "a share needs: apt-get install ${kind#*:}; until then the page says that it waits for it"
        fi
    done
}

start_or_go_back() {
    local before=$1
    systemctl restart systemd-journald
    ! systemctl is-enabled --quiet smbd 2>/dev/null || systemctl restart smbd
    if start_all; then
        udevadm trigger --action=add --subsystem-match=block # sticks that are plugged in already
        return
    fi
    [ "$before" ] || fail "the daemon does not start: journalctl -u anonbox"
    say "this version does not start; back to $(basename "$before")"
    switch_to "$before"
    link_units "$before"
    start_all || fail "the version before does not start any more either: journalctl -u anonbox"
    fail "the version before runs again; why this one did not: journalctl -u anonbox"
}

# everything of the version that the link names, and nothing of another; whether it runs
start_all() {
    systemctl daemon-reload && udevadm control --reload &&
        systemctl stop anonbox-page.socket anonbox-page.service &&
        systemctl restart anonbox-page.socket anonbox-results.path anonbox-signal.service anonbox-message.path || return
    systemctl reset-failed anonbox.service 2>/dev/null || true
    systemctl restart anonbox.service
}

# the version before stays, to go back to by hand; older ones go
forget_others() {
    local folder
    for folder in "$root$opt"/versions/*/; do
        folder=${folder%/}
        case ${folder#"$root"} in
        "$1" | "$2") ;;
        *) rm -rf "$folder" ;;
        esac
    done
}

farewell() {
    cat <<EOF
anonbox: installed, $(basename "$(readlink "$root$opt/current")")
  status page        http://$(sed -n 's/^ListenStream=\(..*\)/\1/p' "$root/etc/systemd/system/anonbox-page.socket.d/address.conf")/
  USB sticks         plug one in; pull it when the page says so
  drop folder        $box/in, as share: \\\\$(uname -n)\\in; results: $box/out, \\\\$(uname -n)\\out
  somebody for them  useradd -M -s /usr/sbin/nologin -G anonbox-staff NAME && smbpasswd -a NAME
  settings           $etc/anonbox.toml
  how it is doing    systemctl status anonbox; anonbox status --config $etc/anonbox.toml
EOF
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    main "$@"
fi
