"""Write what has been executed on GPUs into the pages that tell of them, from the JSON files that on_device.py wrote there.

python tests/cuda/executed.py
"""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ("docs/gpu.md", "docs/performance.md", "README.md")
NONE = {
    "docs/gpu.md": (
        "**Executed on: none yet.** No GPU has run any of this so far. What is said below was checked by the means that the table\n"
        "names, and no time is stated."
    ),
    "docs/performance.md": "executed on: none yet",
    "README.md": "executed on: none yet",
}
_BLOCK = re.compile(r"(<!-- executed: [^>]*-->\n?)(.*?)(\n?<!-- end -->)", re.DOTALL)


def reports():
    """What on_device.py found on GPUs: not over the double, and with no part that failed at once."""
    found = [json.loads(p.read_text()) for p in sorted(pathlib.Path(__file__).parent.glob("on_device*.json"))]
    return [r for r in found if r["executed on"] == "a GPU" and "device" in r["parts"].get("versions", {})]


def said(page, found):
    """The text for a page.

    >>> said("README.md", [])
    'executed on: none yet'
    """
    if not found:
        return NONE[page]
    cards = ", ".join(dict.fromkeys(r["parts"]["versions"]["device"].split(",")[0] for r in found))
    if page != "docs/gpu.md":
        return f"executed on: {cards}"
    lines = [f"**Executed on: {cards}.**", ""]
    for report in found:
        for name, part in report["parts"].items():
            wrong = len(part.get("wrong", ()))
            how = (
                part.get("error")
                or part.get("left out")
                or (f"{wrong} of {part['run']} wrong" if "run" in part else "came to its end")
            )
            lines.append(f"- {name}: {how}")
    return "\n".join(lines)


def written(page, found):
    """The page with its text in place."""
    return _BLOCK.sub(lambda m: m.group(1) + said(page, found) + m.group(3), (ROOT / page).read_text())


if __name__ == "__main__":
    for page in PAGES:
        (ROOT / page).write_text(written(page, reports()))
