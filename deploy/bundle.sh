#!/usr/bin/env bash
# bundle.sh [--sign KEY] [--no-video] [OUT]: packs this version for boxes without internet, for machines like this one: processor, Python,
# distribution.
#
#   --sign KEY   an SSH private key; boxes take the bundle as an update when its public half is in their /etc/anonbox/update-signers
#   --no-video   without the part that reads films, whose wheel holds GPL encoders
#   OUT          where the bundle goes; default: dist
#
# In the bundle: the program, every wheel it needs as locked and its own, so that a box needs no compiler (made on a Jetson: pycuda too,
# built for its CUDA); SHA256SUMS of all files with its signature; and sbom.cdx.json, what it is made of (CycloneDX).
# On the box: tar -xf BUNDLE && sudo BUNDLE-FOLDER/deploy/install.sh, or anonbox update BUNDLE.
# shellcheck disable=SC2094  # what is summed up leaves out the file with the sums
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/install.sh
. "$here/deploy/install.sh"

main() {
    local key='' out=dist name locks=(-r "$here/requirements/box.lock" -r "$here/requirements/video.lock")
    if [ "${1:-}" = --sign ]; then
        key=${2:?--sign needs a key}
        shift 2
    fi
    if [ "${1:-}" = --no-video ]; then
        locks=(-r "$here/requirements/box.lock")
        shift
    fi
    out=$(mkdir -p "${1:-$out}" && cd "${1:-$out}" && pwd)
    if is_jetson; then
        check_jetpack
        "$here/deploy/system-packages.sh" "$python" pycuda
    fi
    name=anonbox-$(version_of "$here")-$(uname -m)-py$("$python" -c 'import sys; print("%d%d" % sys.version_info[:2])')
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT # a global: the trap runs after this function
    mkdir "$scratch/$name"
    # shellcheck disable=SC2086  # a list
    (cd "$here" && find $parts "${unbuilt[@]}" -print0 | xargs -0 cp --parents -t "$scratch/$name")
    say "wheels"
    "$python" -m venv "$scratch/tools"
    "$scratch/tools/bin/python" -m pip --disable-pip-version-check download --quiet --only-binary :all: --require-hashes \
        "${locks[@]}" -d "$scratch/$name/wheels"
    if is_jetson; then
        say "pycuda, built for $cuda; takes minutes"
        PATH=$cuda/bin:$PATH CUDA_ROOT=$cuda "$scratch/tools/bin/python" -m pip --disable-pip-version-check wheel --quiet --require-hashes \
            -r "$here/requirements/jetson.lock" -w "$scratch/$name/wheels"
    fi
    say "a trial installation from them alone, for the list of what it is made of"
    "$python" -m venv "$scratch/trial"
    "$scratch/trial/bin/python" -m pip --disable-pip-version-check install --quiet --no-index --find-links "$scratch/$name/wheels" \
        --require-hashes "${locks[@]}"
    ! is_jetson || "$scratch/trial/bin/python" -m pip --disable-pip-version-check install --quiet --no-index \
        --find-links "$scratch/$name/wheels" "$scratch/$name"/wheels/pycuda-*.whl
    say "the program's own wheel"
    own_wheel "$scratch/$name" "$scratch/trial/bin/python"
    "$scratch/tools/bin/python" -m pip --disable-pip-version-check install --quiet --require-hashes -r "$here/requirements/bundle.lock"
    "$scratch/tools/bin/cyclonedx-py" environment --pyproject "$here/pyproject.toml" --output-reproducible \
        -o "$scratch/$name/sbom.cdx.json" "$scratch/trial/bin/python"
    say "checksums"
    seal "$scratch/$name" "$out/$name.tar" "$key"
    say "$out/$name.tar, $(du -h "$out/$name.tar" | cut -f1)$([ "$key" ] || echo ', not signed')"
}

# own_wheel FOLDER PYTHON: the bundle's program as a wheel beside the others, by a Python that has what it is built with
own_wheel() {
    local source
    source=$(mktemp -d)
    cp -r "$1/." "$source"
    "$2" -m pip --disable-pip-version-check wheel --quiet --no-index --no-deps --no-build-isolation -w "$1/wheels" "$source"
    rm -rf "$source"
}

# seal FOLDER TAR KEY: checksums of all files of the bundle, signed where there is a key, and all of it in one file
seal() {
    rm -f "$1/SHA256SUMS.sig"
    (cd "$1" && find . -type f ! -name SHA256SUMS -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)
    [ -z "$3" ] || ssh-keygen -q -Y sign -f "$3" -n anonbox-bundle "$1/SHA256SUMS"
    # the checksums and their signature first: a box unpacks nothing that it has not found signed
    (cd "${1%/*}" && LC_ALL=C find "${1##*/}" -type f -printf '%f\t%p\n' | LC_ALL=C sort -t "$(printf '\t')" -k 2 |
        awk -F '\t' '$1 ~ /^SHA256SUMS/ { print $2; next } { rest = rest $2 "\n" } END { printf "%s", rest }') >"$1.list"
    tar -C "${1%/*}" --owner=0 --group=0 --numeric-owner --mtime=@946684800 --verbatim-files-from -T "$1.list" -cf "$2"
    rm "$1.list"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    main "$@"
fi
