"""What is to run on a GPU comes to its end over the double; what it finds there is said to be of none."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

from tests.cuda import on_device
from tests.cuda import on_device_checks as checks

SCRIPT = pathlib.Path(__file__).with_name("on_device.py")


def test_all_parts_come_to_their_end(tmp_path):
    out = tmp_path / "found.json"
    command = [sys.executable, str(SCRIPT), "--double", "--quick", "--here", "--out", str(out)]
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    report = json.loads(out.read_text())
    assert report["executed on"] == "a double, no GPU"
    parts = report["parts"]
    assert list(parts) == [
        "versions", "samples", "first steps", "statistics", "captured", "demo", "fine-tuning", "several GPUs", "kernels", "steps",
        "pytorch", "compute-sanitizer",
    ]  # fmt: skip
    assert {name: found["error"] for name, found in parts.items() if "error" in found} == {}
    assert parts["several GPUs"]["SKIPPED"] == "it takes 2 GPUs, and there is 1"
    assert parts["samples"]["wrong"] == {}
    assert parts["samples"]["of"] == parts["samples"]["run"] > 10
    assert parts["captured"]["graph equals kernels to the bit"]
    assert parts["captured"]["largest difference to the CPU"] < 1e-4
    assert max(parts["statistics"]["largest difference, of the largest value"].values()) < 1e-4
    assert max(parts["statistics"]["largest error, of the largest value"].values()) < 2e-2
    assert len(parts["demo"]["losses"]) == len(parts["fine-tuning"]["losses"]) == 1
    wrong = [
        f"{name}: {value}" for part in ("kernels", "steps") for name, value in parts[part].items() if isinstance(value, str)
    ]
    assert wrong == []


def test_a_part_that_fails_is_named_and_the_others_go_on(tmp_path):
    """Without the double, and told to use the CPU, there is no GPU to be had."""
    out = tmp_path / "found.json"
    subprocess.run(
        [sys.executable, str(SCRIPT), "--part", "captured", "--out", str(out), "--quick"],
        check=True,
        timeout=60,
        env={**os.environ, "MLKIT_DEVICE": "cpu"},
    )
    assert "no GPU" in json.loads(out.read_text())["error"]


def test_a_part_has_a_process_of_its_own_which_its_limit_ends():
    options = argparse.Namespace(double=True, quick=True)
    assert on_device.run("versions", options, 60)["libraries"]
    assert on_device.run("versions", options, 0.01) == {"cut off": "its limit was 0 s"}


def test_what_a_part_has_found_is_kept_when_it_is_cut_off(tmp_path):
    found = checks.Found(tmp_path / "0.json")
    for name in ("one", "two"):
        found[name] = {"ms": 1.0}
        assert json.loads((tmp_path / "0.json").read_text()) == found
    assert list(tmp_path.iterdir()) == [tmp_path / "0.json"]


def test_parts_leave_time_to_those_after_them():
    assert sum(part.least for part in on_device.PARTS.values()) <= on_device.SECONDS
    assert all(part.least <= part.seconds for part in on_device.PARTS.values())


def test_wheels_that_cannot_be_installed_are_told_and_end_nothing(tmp_path):
    assert on_device.install_wheels(tmp_path) is None
    assert on_device.install_wheels(tmp_path / "none") is None
    (tmp_path / "broken-1.0-py3-none-any.whl").write_bytes(b"no zip")
    assert "broken-1.0" in on_device.install_wheels(tmp_path)
