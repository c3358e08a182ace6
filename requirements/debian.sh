#!/bin/sh
# Install the Debian packages of requirements/debian.txt that are missing, as root or with sudo;
# anywhere else say in one line what is missing. The tests that need it are then skipped.
#
#   PYTHON=python3 sh requirements/debian.sh
set -u

missing=
while read -r package probes; do
    case $package in '' | '#'*) continue ;; esac
    # Ubuntu's chromium is a snap, which Playwright cannot drive.
    [ "$package" = chromium ] && grep -qs '^ID=ubuntu' /etc/os-release && continue
    for probe in $probes; do
        [ -e "$probe" ] || command -v "$probe" >/dev/null && continue 2
    done
    missing="$missing $package"
done <requirements/debian.txt
# Debian's python3 alone cannot make a .venv.
[ -e .venv ] || "$PYTHON" -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

report() {
    echo "sdeiviz: tests that need these Debian packages will be skipped:$missing ($1)" >&2
    exit 0
}

command -v apt-get >/dev/null || report "no apt-get here, install what they hold in this system's own way"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    sudo=sudo
else
    report "as root: apt install$missing"
fi
echo "sdeiviz: installing Debian packages:$missing" >&2
# shellcheck disable=SC2086  # both are lists of words
$sudo apt-get update -qq &&
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $missing \
        >/dev/null || report "apt-get failed, see above"
