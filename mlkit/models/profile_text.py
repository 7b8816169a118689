"""A profile as text, as HTML for notebooks, and as Markdown."""

from typing import Any

from mlkit.core.deferred import Deferred

_html = Deferred("html")  # its table of entities takes longer to import than this module

HEADS = ("time", "gradient", "share", "calls", "MB", "MFLOP", "GFLOP/s", "GB/s", "of limit")


def cells(row: Any, report: Any) -> tuple[Any, ...]:
    """The figures of a Row as texts, in the order of HEADS."""
    seconds = row.seconds or 1e-12
    return (
        f"{row.seconds * 1e3:.3f} ms",
        f"{row.backward / seconds:.0%}" if row.backward else "",
        f"{row.seconds / report.seconds:.1%}",
        f"{row.calls}",
        f"{row.bytes / 1e6:.2f}",
        f"{row.flops / 1e6:.2f}",
        f"{row.flops / seconds / 1e9:.1f}",
        f"{row.bytes / seconds / 1e9:.1f}",
        f"{row.limit(report.peaks) / seconds:.0%}",
    )


def tables(report: Any, most: int) -> Any:
    """(what a row is, its Rows) for the tables by layer and by kernel."""
    return ("layer", report.by_layer[:most]), ("kernel", report.by_kernel[:most])


def headline(report: Any) -> str:
    rest = report.seconds - report.kernel_seconds
    return (
        f"{report.what}: {report.seconds * 1e3:.3f} ms, of which {rest * 1e3:.3f} ms between kernels ({len(report.rows)} of "
        f"them); peaks of this machine: {report.peaks.flops / 1e9:.0f} GFLOP/s, {report.peaks.bandwidth / 1e9:.0f} GB/s"
    )


def text(report: Any, most: int = 25) -> str:
    """The report as text, with the `most` slowest layers and kernels."""
    lines = [headline(report)]
    for what, rows in tables(report, most):
        width = max([len(row.name) for row in rows] + [len(what)])
        lines += ["", f"{what:{width}}" + "".join(f"{h:>11}" for h in HEADS)]
        lines += [f"{row.name:{width}}" + "".join(f"{c:>11}" for c in cells(row, report)) for row in rows]
    return "\n".join(lines)


def markdown(report: Any, most: int = 25) -> str:
    """The report as tables in Markdown."""
    parts = [headline(report)]
    for what, rows in tables(report, most):
        lines = [(what, *HEADS), ("---", *("---:" for _ in HEADS)), *((row.name, *cells(row, report)) for row in rows)]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts)


def html(report: Any, most: int = 25) -> str:
    """The report as HTML tables."""
    parts = [f"<p>{_html.escape(headline(report))}</p>"]
    for what, rows in tables(report, most):
        lines = [_line("th", (what, *HEADS)), *(_line("td", (_html.escape(row.name), *cells(row, report))) for row in rows)]
        parts.append(f"<table>{''.join(lines)}</table>")
    return "".join(parts)


def _line(tag, values):
    return f"<tr>{''.join(f'<{tag}>{v}</{tag}>' for v in values)}</tr>"
