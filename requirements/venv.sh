#!/bin/sh
# Make .venv if there is none, install the package with the given extras into it, and touch the
# stamps. Whatever stands in the way is one line with its cure.
#
#   PYTHON=python3 LOCK=requirements/ci.txt sh requirements/venv.sh EXTRAS STAMP...
set -eu

stop() {
    echo "sdeiviz: $1" >&2
    exit 1
}

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
gone='.venv is half made, was moved, or its Python is gone. Cure: make clean, then the same again.'
again="Cure: apt install python3 python3-venv (as root or with sudo), then the same again."

extras=$1
shift

if [ ! -e .venv ] && [ ! -L .venv ]; then
    [ -w . ] || stop "$(pwd) is not yours to write to. Cure: clone it to a directory of your own."
    version=$("$PYTHON" -c 'import platform; print(platform.python_version())' 2>/dev/null) ||
        stop "$PYTHON does not run here. $again"
    if ! "$PYTHON" -c "$new_enough"; then
        cure="install a newer one"
        for newer in python3.14 python3.13 python3.12 python3.11; do
            "$newer" -c "$new_enough" 2>/dev/null && cure="add PYTHON=$newer to the command" && break
        done
        stop "$PYTHON is Python $version, 3.11 or newer is needed. Cure: $cure."
    fi
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || stop "$PYTHON cannot make a .venv. $again"
    "$PYTHON" -m venv .venv || stop "$gone"
fi
grep -qsF "$(pwd -P)/.venv" .venv/bin/activate || stop "$gone"
.venv/bin/python -c "import pip; $new_enough" 2>/dev/null || stop "$gone"

echo "sdeiviz: installing into .venv, some minutes the first time ..." >&2
PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install --quiet --no-input \
    ${LOCK:+--constraint "$LOCK"} --editable ".[$extras]" ||
    stop "pip could not install that, see above. Cure: mend the network, or let pip choose newer versions with LOCK= ."
touch "$@"
