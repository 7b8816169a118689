#!/usr/bin/env bash
# The tests with the Python of the next Debian (3.13), in a system of its own below a folder; nothing is installed on this machine.
#
#     .ci/newer_python.sh FOLDER [TESTS...]     FOLDER keeps that system for the next time (0.5 GB, with the packages)
#
# It needs root, a Debian with debootstrap, and the network for what is not in FOLDER. Without TESTS: those of
# ten seconds, of the core, layers, models, data and training.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
system=$(mkdir -p "$1" && cd "$1" && pwd)/system
shift
(($#)) || set -- tests/test_tiny.py tests/{core,layers,models,optimizers,losses,metrics,callbacks,data,finetuning}
release=trixie
say() { printf '\n== %s (after %d s)\n' "$1" "$SECONDS"; }

if [ ! -e "$system/usr/bin/python3.13" ]; then
    say "the system"
    mirror=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' | grep '/debian/*$' | head -1)
    debootstrap --variant=minbase --include=python3.13,python3.13-venv,ca-certificates,curl,libgomp1 "$release" "$system" "${mirror:-http://deb.debian.org/debian}" > "$system.log"
fi
# what reaches the package index here
for file in /etc/pip.conf /etc/hosts /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt "$HOME/.config/pip/pip.conf"; do
    [ ! -e "$file" ] || { mkdir -p "$system$(dirname "$file")" && cp -L "$file" "$system$file"; }
done
rm -rf "$system/tree" && mkdir "$system/tree"
tar -C "$root" --exclude=./.git --exclude=./.venv --exclude=./build --exclude=__pycache__ -cf - . | tar -C "$system/tree" -xf -

cat > "$system/within.sh" << 'END'
set -euo pipefail
cd /tree
[ -e /venv ] || python3.13 -m venv /venv
/venv/bin/pip install --quiet -e ".[test]"
/venv/bin/python --version
/venv/bin/python -m pytest -W default -n 2 -q --color=no -p no:cacheprovider "$@"
END
say "the tests"
unshare --mount bash -euo pipefail -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" bash /within.sh "$@"' "$system" "$@"
