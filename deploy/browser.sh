#!/usr/bin/env bash
# deploy/browser.sh FOLDER: what the page's tests in a browser need: Debian's or Ubuntu's chromium, and axe-core, as locked in tests/page, in
# FOLDER/node_modules. Ubuntu's chromium package is a snap; there CHROMIUM=/path/to/one names the browser.
set -euo pipefail
folder=$1
browser=
command -v "${CHROMIUM:-chromium}" >/dev/null || browser=chromium
# shellcheck disable=SC2086  # one package or none
exec deploy/node-packages.sh tests/page "$folder" $browser
