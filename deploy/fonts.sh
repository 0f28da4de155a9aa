#!/usr/bin/env bash
# deploy/fonts.sh FOLDER: the faces the training draws with. Debian's go to /usr/share/fonts, Fontsource's, as locked in engines/fonts, to
# FOLDER/node_modules. Terminus, Unifont, VT323, Press Start 2P and the OCR faces stand in for the bitmap fonts of video processors.
set -euo pipefail
folder=$1
debian="fonts-roboto-unhinted fonts-open-sans fonts-lato fonts-noto-core fonts-noto-mono fonts-inter fonts-inter-variable fonts-cantarell
fonts-dejavu-core fonts-dejavu-extra fonts-liberation fonts-freefont-ttf fonts-urw-base35 fonts-quicksand fonts-comfortaa fonts-hack
fonts-firacode fonts-jetbrains-mono fonts-b612 fonts-terminus-otb fonts-unifont fonts-vlgothic fonts-croscore fonts-crosextra-carlito
fonts-cabin fonts-oxygen fonts-sil-andika fonts-inconsolata fonts-anonymous-pro fonts-play fonts-junction fonts-league-spartan fonts-karla
fonts-clear-sans fonts-monofur fonts-mononoki fonts-go fonts-ocr-a fonts-ocr-b fonts-texgyre fonts-tlwg-garuda-ttf"
as_root=$([ "$(id -u)" = 0 ] || echo sudo)
missing=
for package in $debian; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    echo "installing$missing"
    $as_root apt-get update -q >/dev/null
    # shellcheck disable=SC2086  # a list
    $as_root apt-get install -y -q --no-install-recommends $missing >/dev/null
fi
mkdir -p "$folder"
cp engines/fonts/package.json engines/fonts/package-lock.json engines/fonts/.npmrc "$folder"
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund)
