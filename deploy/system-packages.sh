#!/bin/sh
# Installs the Debian or Ubuntu packages that the box needs and this machine lacks; needs the network only then.
# usage: system-packages.sh PYTHON [compiler] [pycuda] [tesseract]
#   compiler    to install AnonBox from its source: a C compiler, and the headers of the C library and of libjpeg-turbo
#   pycuda      to build pycuda: a C++ compiler, and Python's headers; CUDA itself comes with JetPack
set -eu
python=${1:-python3}

"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2])' || {
    echo "$python is older than Python 3.10; name a newer one: make run PYTHON=python3.12" >&2
    exit 1
}

missing=
# libturbojpeg: Debian calls the package libturbojpeg0, Ubuntu libturbojpeg
"$python" -c 'import ctypes; ctypes.CDLL("libturbojpeg.so.0")' 2>/dev/null || missing="$missing turbojpeg"
"$python" -c 'import ctypes
for name in ("libjpeg.so.62", "libjpeg.so.8"):  # the same library with the interface of libjpeg 6b on Debian, 8 on Ubuntu
    try:
        ctypes.CDLL(name)
    except OSError:
        continue
    raise SystemExit
raise SystemExit(1)' || missing="$missing jpeg"
"$python" -c 'import ctypes; ctypes.CDLL("libseccomp.so.2")' 2>/dev/null || missing="$missing seccomp"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing venv"
shift
for need in "$@"; do
    case $need in
    compiler) printf '#include <stdio.h>\n#include <jpeglib.h>\n' | gcc -E - >/dev/null 2>&1 || missing="$missing compiler" ;;
    pycuda)
        command -v g++ >/dev/null && "$python" -c 'import os.path, sysconfig
raise SystemExit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || missing="$missing pycuda"
        ;;
    tesseract) "$python" -c 'import ctypes; ctypes.CDLL("libtesseract.so.5")' 2>/dev/null || missing="$missing tesseract" ;;
    *) echo "system-packages.sh knows compiler, pycuda and tesseract, not $need" >&2 && exit 2 ;;
    esac
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || {
    echo "missing:$missing; install libturbojpeg, libjpeg-turbo with its header, libseccomp, gcc and Python's venv module with this system's package manager" >&2
    exit 1
}
root=
[ "$(id -u)" -eq 0 ] || root=sudo
if [ -n "$root" ] && ! command -v sudo >/dev/null; then
    echo "as root, run: apt-get install libturbojpeg0 libseccomp2 libjpeg-dev gcc libc6-dev python3-venv   (Ubuntu: libturbojpeg); then make again" >&2
    exit 1
fi
$root apt-get update -qq
for need in $missing; do
    case $need in
    turbojpeg) package=$(apt-cache pkgnames libturbojpeg | grep -xE 'libturbojpeg0?' | sort -r | head -n 1) ;;
    jpeg) package=$(apt-cache pkgnames libjpeg | grep -xE 'libjpeg62-turbo|libjpeg-turbo8' | head -n 1) ;;
    seccomp) package=libseccomp2 ;;
    compiler) package="gcc libc6-dev libjpeg-dev" ;;
    pycuda) package=$("$python" -c 'import sys; print("g++ python%d.%d-dev" % sys.version_info[:2])') ;;
    tesseract) package=tesseract-ocr ;;
    venv) package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])') ;;
    esac
    [ -n "$package" ] || {
        echo "missing: $need, and apt-get knows no package for it; without network, install it first (libturbojpeg0, libjpeg62-turbo; Ubuntu: libturbojpeg, libjpeg-turbo8)" >&2
        exit 1
    }
    echo "installing $package" >&2
    # shellcheck disable=SC2086  # one package or several
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $package >/dev/null
done
