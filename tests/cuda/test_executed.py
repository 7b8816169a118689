"""What the pages say has been executed on GPUs is what on_device.py found there."""

import pytest

from tests.cuda import executed


@pytest.mark.parametrize("page", executed.PAGES)
def test_pages_say_what_was_found(page):
    text = (executed.ROOT / page).read_text()
    assert "<!-- executed:" in text
    assert executed.written(page, executed.reports()) == text


def test_a_card_is_named_with_what_went_wrong():
    parts = {
        "versions": {"device": "NVIDIA H200, compute capability 9.0, 1 MB free of 2 MB"},
        "samples": {"run": 9, "wrong": {"conv 0": "AssertionError"}},
        "demo": {"error": "the process ended with -9 (its limit was 60 s)"},
    }
    found = [{"executed on": "a GPU", "parts": parts}]
    assert executed.said("README.md", found) == "executed on: NVIDIA H200"
    text = executed.said("docs/gpu.md", found)
    assert "- samples: 1 of 9 wrong" in text
    assert "- demo: the process ended with -9" in text
