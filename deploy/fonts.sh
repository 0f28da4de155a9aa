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
# shellcheck disable=SC2086  # a list
exec deploy/node-packages.sh engines/fonts "$folder" $debian
