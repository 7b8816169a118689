"""The page docs/r.md, run by R through reticulate with the Python of MLKIT_TEST_R_PYTHON, or this one."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_the_script_trains_and_predicts(tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("there is no R: apt-get install r-base-core r-cran-reticulate")
    if subprocess.run(["Rscript", "-e", "library(reticulate)"], capture_output=True).returncode:
        pytest.skip("R has no reticulate: apt-get install r-cran-reticulate")
    script = tmp_path / "page.R"
    script.write_text(re.search(r"```r\n(.*?)```", (ROOT / "docs" / "r.md").read_text(), re.DOTALL)[1])
    python = os.environ.get("MLKIT_TEST_R_PYTHON", sys.executable)
    environment = {**os.environ, "RETICULATE_PYTHON": python, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["Rscript", str(script)], capture_output=True, text=True, env=environment, timeout=300)
    if "incompatible NumPy binary version" in done.stderr:
        pytest.skip("this reticulate reads NumPy 1 only: MLKIT_TEST_R_PYTHON=a Python with numpy<2")
    assert done.returncode == 0, done.stderr
    assert float(re.search(r"right: (\S+)", done.stdout)[1]) > 0.9
