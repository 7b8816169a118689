"""docs/distributed.md runs block by block in one process, which begins with nothing imported."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_page_runs(tmp_path):
    text = (ROOT / "docs" / "distributed.md").read_text()
    lines = []
    for match in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        lines += [""] * (text[: match.start()].count("\n") + 1 - len(lines)) + match.group(1).splitlines()
    script = tmp_path / "distributed.md.py"
    script.write_text("\n".join(lines).replace("/tmp/", f"{tmp_path}/"))
    env = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "MLKIT_BACKEND")}
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=tmp_path,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert ".*/hidden/kernel  (None, 'model')       4            1280" in done.stdout
