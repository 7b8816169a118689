#!/usr/bin/env bash
# The package on a 64-bit ARM processor, which qemu-user emulates: the wheel is installed, tests/test_tiny.py passes, and an exported net runs.
#
#     .ci/aarch64.sh [FOLDER]     FOLDER keeps Python and the wheels for ARM (60 MB) for the next time
#
# It needs a Debian with qemu-user-static, the network for what is not in FOLDER, and half an hour: an emulated step takes some hundred
# times as long. Nothing is installed on this machine.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mkdir -p "${1:-$(mktemp -d)}" && cd "${1:-$_}" && pwd)
python=$(realpath -s "$(command -v "${PYTHON:-python3}")") # one that has mlkit
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || { echo "there is no qemu-aarch64: apt-get install qemu-user-static"; exit 2; }
say() { printf '\n== %s (after %d s)\n' "$1" "$SECONDS"; }

if [ ! -e "$work/system/usr/bin/python3.11" ]; then
    say "Python for ARM, from Debian"
    mkdir -p "$work"/{state/lists/partial,cache/archives/partial,packages,system}
    touch "$work/state/status"
    apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$work/state"
        -o "Dir::State::status=$work/state/status" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
    "${apt[@]}" update
    (cd "$work/packages" && "${apt[@]}" download libc6 libgcc-s1 libstdc++6 libexpat1 zlib1g libssl3 libffi8 libbz2-1.0 liblzma5 \
        libsqlite3-0 libuuid1 libcrypt1 libpython3.11-minimal libpython3.11-stdlib python3.11-minimal)
    for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/system"; done
fi

say "the wheel, and what it needs on ARM"
rm -rf "$work/wheel" "$work/site"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheel" "$root"
packages=()
for platform in manylinux2014_aarch64 manylinux_2_17_aarch64 manylinux_2_24_aarch64 manylinux_2_27_aarch64 manylinux_2_28_aarch64; do
    packages+=(--platform "$platform")
done
mkdir -p "$work/pip"
fetch() { "$python" -m pip install --quiet --cache-dir "$work/pip" --target "$work/site" --only-binary=:all: "$@"; }
# named one by one: pip would read the wheel's list of requirements as if for this machine. Of the runtimes
# qemu-user 7.2 crashes in onnxruntime 1.32 and in LiteRT's interpreter
fetch --implementation cp --python-version 3.11 "${packages[@]}" numpy h5py ml_dtypes tqdm pillow pytest "onnxruntime<1.23"
fetch --no-deps "$work"/wheel/mlkit_engine-*.whl

on_arm() {
    (cd "$work/run" && PYTHONPATH="$work/site" MLKIT_HOME="$work/home" OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
        "$emulator" -L "$work/system" "$work/system/usr/bin/python3.11" "$@")
}
rm -rf "$work/run"
mkdir -p "$work/run/tests"
cp "$root/tests/test_tiny.py" "$work/run/tests"

say "an exported net, held against the answers of the model"
"$python" -c "
import mlkit
from mlkit import layers
parts = layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.DepthwiseConv2D(3)
net = mlkit.Sequential([mlkit.Input((16, 16, 3)), *parts, layers.GlobalAveragePooling2D(), layers.Dense(5, activation='softmax')])
net.export('$work/run/net.onnx', verbose=False)
"
on_arm -c 'import platform; print(platform.machine(), platform.python_version())'
on_arm -m mlkit verify-file net.onnx

say "tests/test_tiny.py"
on_arm -m pytest -q --color=no -p no:cacheprovider tests/test_tiny.py
