#!/usr/bin/env bash
# deploy/node-packages.sh LOCKED FOLDER [DEBIAN-PACKAGE...]: installs the Debian packages that are missing, and npm where there is none; then
# what LOCKED/package-lock.json names, into FOLDER/node_modules.
set -euo pipefail
locked=$1 folder=$2
shift 2
missing=
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    echo "installing$missing"
    $as_root apt-get update -q >/dev/null
    # shellcheck disable=SC2086  # a list
    $as_root apt-get install -y -q --no-install-recommends $missing >/dev/null
fi
mkdir -p "$folder"
cp "$locked/package.json" "$locked/package-lock.json" "$locked/.npmrc" "$folder"
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund)
