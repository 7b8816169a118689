"""docs/same_script.md prints the same under `import keras` and `import mlkit as keras`."""

import contextlib
import io
import pathlib
import re

import mlkit

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "same_script.md"


def printed(k):
    source = re.search(r"```script\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(source, PAGE.name, "exec"), {"keras": k})
    return out.getvalue()


def test_both_print_the_same():
    import keras

    ours = printed(mlkit)
    assert ours.count("\n") == 4
    assert ours == printed(keras)
