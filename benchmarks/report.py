"""Tables of a comparison: ratios to the best peer beside their targets, as Markdown, and their place in docs/performance.md."""

import json
import pathlib

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- comparison: written by benchmarks/compare.py -->", "<!-- end of comparison -->"
COLUMNS = {
    "fit_ms": "fit step", "predict_ms": "predict batch", "call1_ms": "one-sample predict",
    "first_s": "first step", "rss_mb": "peak memory",
}  # fmt: skip
TARGETS = {  # mlkit's figure / the best peer's, in the order of COLUMNS
    "mlp": (0.75, 0.8, 0.9, 0.8, 0.5),
    "convnet": (0.5, 0.9, 0.6, 0.8, 0.6),
    "cifar_resnet": (0.8, 0.8, 0.6, 0.8, 0.6),
    "mobilenetv2": (0.7, 0.7, 0.6, 0.8, 0.7),
    "finetune": (0.75, 0.7, 0.6, 0.8, 0.7),
    "resnet50": (0.9, 0.92, 0.7, 0.8, 0.75),
    "lstm": (0.8, 0.8, 0.6, 0.8, 0.7),
    "transformer": (0.75, 0.75, 0.7, 0.8, 0.7),
}


IN_HALF = "mlkit-bfloat16"  # mlkit with the policy mixed_bfloat16, which is no peer
COMPILED = "torch-compile"
MIXED = " (*)"  # behind a ratio of figures that were not measured in the same run


def best_peer(libraries, field):
    """(name, figure) of the peer that trains too and has the smallest figure, or None."""
    found = [(d[field], name) for name, d in libraries.items() if not name.startswith("mlkit") and field in d and "fit_ms" in d]
    return min(found)[::-1] if found else None


def ratios(libraries):
    """Field -> mlkit / best peer, of those fields that both have."""
    own = libraries.get("mlkit", {})
    best = {f: best_peer(libraries, f) for f in COLUMNS}
    return {f: own[f] / b[1] for f, b in best.items() if b and f in own}


def missed(workload, libraries):
    """ "workload column: ratio > target" for each target that is missed."""
    found = ratios(libraries)
    rows = zip(COLUMNS.items(), TARGETS[workload])
    return [f"{workload} {name}: {found[f]:.2f} > {t}" for (f, name), t in rows if f in found and found[f] > t]


def ratio_table(results):
    """Rows: workloads; cells: ratio and, in brackets, its target; bold where it is met."""
    lines = [row("workload", *COLUMNS.values()), row(*["---"] * (len(COLUMNS) + 1))]
    for workload, result in _in_order(results):
        libraries, failed = result["libraries"], result["failed"].get("mlkit")
        if failed:
            lines.append(row(workload, f"does not run: {failed}", *[""] * (len(COLUMNS) - 1)))
            continue
        found, cells = ratios(libraries), []
        for field, target in zip(COLUMNS, TARGETS[workload]):
            if field not in found:
                cells.append(f"? (≤ {target})")
                continue
            text, peer = f"{found[field]:.2f}", libraries[best_peer(libraries, field)[0]]
            text = f"**{text}**" if found[field] <= target else text
            cells.append(f"{text} (≤ {target}){mark(libraries['mlkit'], peer)}")
        lines.append(row(workload, *cells))
    return "\n".join(lines)


def time_table(results):
    """Rows: workloads; mlkit's figures beside the best peer's, the floor of the step, and ONNX Runtime's inference."""
    heads = ["workload", "date", *(f"{c}: mlkit / best peer" for c in COLUMNS.values()), "floor of the fit step", "step / floor",
             "mixed_bfloat16: step / that in float32",
             "torch.compile: fit step / batch / one sample / first step",
             "ONNX Runtime: batch / one sample"]  # fmt: skip
    lines = [row(*heads), row(*["---"] * len(heads))]
    for workload, result in _in_order(results):
        libraries = result["libraries"]
        own = libraries.get("mlkit", {})
        cells = []
        for field in COLUMNS:
            best, text = best_peer(libraries, field), f"{own[field]:.4g}" if field in own else "-"
            if best:
                text += f" / {best[1]:.4g} {unit(field)} {best[0]}{mark(own, libraries[best[0]])}"
            cells.append(text)
        onnx = libraries.get("onnxruntime")
        lines.append(row(workload, result["date"], *cells, *floor_cells(own, result["gflops"]),
                         half_cell(own, libraries.get(IN_HALF)), compiled_cell(libraries.get(COMPILED), result["failed"]),
                         f"{onnx['predict_ms']:.4g} / {onnx['call1_ms']:.4g} ms" if onnx else "-"))  # fmt: skip
    return "\n".join(lines)


def mark(own, other):
    """What to put behind the ratio of two libraries' figures."""
    return MIXED if own and own.get("run") != other.get("run") else ""


def unit(field):
    """The last part of a figure's name."""
    return field.rpartition("_")[2].replace("mb", "MB")


def compiled_cell(figures, failed):
    """The figures of torch.compile but for its memory, "> 240 s" for what was not compiled in that time, or why there are none."""
    if figures is None:
        return failed.get(COMPILED, "-")
    fields = [f for f in COLUMNS if f != "rss_mb"]
    return " / ".join(f"{figures[f]:.4g} {unit(f)}" if f in figures else f"> {figures['limit_s']} s" for f in fields)


def half_cell(own, half):
    """The step with mixed_bfloat16, and what part of the step in float32 that is."""
    return f"{half['fit_ms']:.4g} ms / {half['fit_ms'] / own['fit_ms']:.2f}{mark(own, half)}" if half and own else "-"


def floor_cells(own, gflops):
    """The time that the products and convolutions of a step need at the machine's peak, and how many times that it takes."""
    if not own.get("matmul_conv_flops") or not gflops:
        return "-", "-"
    floor = own["matmul_conv_flops"] / gflops / 1e6
    return f"{floor:.3g} ms", f"{own['fit_ms'] / floor:.2f}"


def write_page(results):
    """Put the tables of all kinds of processor between the two marker comments of the page."""
    parts = []
    for kept in (k for k in results.values() if k["workloads"]):
        tables = f"{ratio_table(kept['workloads'])}\n\n{time_table(kept['workloads'])}"
        parts.append(f"{kept['about']}\n\n{tables}")
    text = "\n\n".join(parts)
    note = f"\n\n{MIXED.strip()} the two figures were measured in different runs." if MIXED in text else ""
    replace_between(BEGIN, END, text + note)


def replace_between(begin, end, text):
    """Put text between two marker comments of the page."""
    before, rest = PAGE.read_text().split(begin)
    after = rest.split(end)[1]
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def carry_out(given, results, run, table, missed, what, between):
    """The command of a benchmark that keeps its figures; whether a target is missed.

    given: its options, of which `rounds` may be 0, so that nothing is measured, and `write` asks for the page. results: path of the
    figures, which ``run(given)`` gives; table, missed: functions of them; what: words for the page, between these two markers.
    """
    kept = json.loads(results.read_text()) if results.exists() else {}
    if given.rounds:
        kept = run(given)
        results.write_text(json.dumps(kept, indent=1) + "\n")
    print(table(kept))
    if given.write:
        replace_between(*between, f"{what}\n\n{kept['about']}\n\n{table(kept)}")
    found = missed(kept)
    print("missed: " + ("; ".join(found) or "nothing"))
    return bool(found)


def runs(parts):
    """One line for each run, of parts that say with `about` when, where and how they were measured."""
    names = {}
    for name, part in parts.items():
        names.setdefault(part["about"], []).append(name)
    return "\n\n".join(f"{about} ({', '.join(those)})" if len(names) > 1 else about for about, those in names.items())


def _in_order(results):
    return [(w, results[w]) for w in TARGETS if w in results]


def row(*cells):
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"
