#!/bin/sh
# Make the environments of the peers: sh bench/peers/make.sh [FOLDER] [NAME ...]; by default bench/peers/.environments, all.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/.environments}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- pytorch_adapt skada tllib lightly
for name in "$@"; do
    python3 -m venv "$folder/$name"
    # The lists are whole, so nothing has to be solved; a torch for CPUs is enough, and is what was measured.
    "$folder/$name/bin/python" -m pip install --no-deps -r "$here/requirements-$name.txt"
done
