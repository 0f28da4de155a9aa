#!/usr/bin/env bash
# deploy/browser.sh FOLDER: what the page's tests in a browser need: Debian's or Ubuntu's chromium, and axe-core, as locked in tests/page, in
# FOLDER/node_modules. Ubuntu's chromium package is a snap; there CHROMIUM=/path/to/one names the browser.
set -euo pipefail
folder=$1
missing=
command -v "${CHROMIUM:-chromium}" >/dev/null || missing="$missing chromium"
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    echo "installing$missing"
    $as_root apt-get update -q >/dev/null
    # shellcheck disable=SC2086  # a list
    $as_root apt-get install -y -q --no-install-recommends $missing >/dev/null
fi
mkdir -p "$folder"
cp tests/page/package.json tests/page/package-lock.json tests/page/.npmrc "$folder"
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund)
