"""View: where a debugger is, as text and as HTML."""

from dataclasses import dataclass
from typing import Any

from mlkit.pictures.words import escaped

COLORS = {"forward": "#1f77b4", "loss": "#9467bd", "gradient": "#ff7f0e", "update": "#2ca02c", "metrics": "#7f7f7f"}


@dataclass(frozen=True)
class View:
    """title: model and place. stopped: why it stopped there. position: how many calls have run. rows: (number, part of the step, name,
    what it gave) of calls around. watched: (name, value). logs: of a step that has ended."""

    title: str
    stopped: str
    position: int
    rows: list[tuple[int, str, str, str]]
    watched: list[tuple[str, str]]
    logs: dict[str, Any] | None

    def text(self) -> str:
        """Some lines; the last call has an arrow."""
        width = max((len(name) for _, _, name, _ in self.rows), default=0)
        lines = [self.title, *filter(None, [self.stopped])]
        for i, phase, name, shown in self.rows:
            mark = "->" if i == self.position - 1 else "  "
            lines.append(f"{mark} {i + 1:5} {phase:8} {name:{width}}  {shown}".rstrip())
        lines += [f"   {name} = {shown}" for name, shown in self.watched]
        return "\n".join(lines + ([f"   logs {self.logs}"] if self.logs is not None else []))

    def html(self) -> str:
        """The same as a table."""
        parts = [f"<b>{escaped(self.title)}</b>"]
        if self.stopped:
            parts.append(f'<div style="color:#d62728">{escaped(self.stopped)}</div>')
        rows = []
        for i, phase, name, shown in self.rows:
            style = "font-weight:bold" if i == self.position - 1 else "opacity:0.6" if i >= self.position else ""
            rows.append(
                f'<tr style="{style}"><td>{"&rarr;" if i == self.position - 1 else ""}</td><td>{i + 1}</td>'
                f'<td style="color:{COLORS[phase]}">{phase}</td>'
                f'<td style="text-align:left">{escaped(name)}</td><td style="text-align:left">{escaped(shown)}</td></tr>'
            )
        parts.append(f"<table>{''.join(rows)}</table>")
        parts += [f"<div>{escaped(name)} = {escaped(shown)}</div>" for name, shown in self.watched]
        if self.logs is not None:
            parts.append(f"<div>logs {escaped(str(self.logs))}</div>")
        return "\n".join(parts)
