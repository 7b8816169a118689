"""Models drawn as boxes and arrows."""

import itertools
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

import mlkit
from tests.models.saving.drawn_graphs import draw


def branched():
    x = mlkit.Input((4,), name="x")
    inner = mlkit.Sequential([mlkit.Input((4,)), mlkit.layers.Dense(3, activation="relu", name="deep")], name="inner")
    a, b = inner(x), mlkit.layers.Dense(3, name="wide")(x)
    return mlkit.Model(x, mlkit.ops.tanh(mlkit.layers.Add(name="sum")([a, b])), name="net")


def all_boxes(boxes):
    return [found for box in boxes for found in (box, *all_boxes(box.boxes))]


def lines_of(diagram):
    return {box.name: box.lines for box in all_boxes(diagram.boxes)}


def test_boxes_and_arrows():
    diagram = mlkit.utils.model_to_dot(branched())
    pairs = {(a.name, b.name) for a, b in diagram.arrows}
    assert pairs == {("x", "inner"), ("x", "wide"), ("inner", "sum"), ("wide", "sum"), ("sum", "tanh")}
    assert lines_of(diagram)["wide"] == ["wide (Dense)"]
    assert diagram.to_string().count("->") == 5
    assert "label=" in diagram.to_string()


def test_what_is_shown():
    diagram = mlkit.utils.model_to_dot(
        branched(), show_shapes=True, show_dtype=True, show_layer_activations=True, show_trainable=True, expand_nested=True
    )
    lines = lines_of(diagram)
    wanted = [
        "Activation: relu",
        "Input shape: (None, 4)",
        "Output shape: (None, 3)",
        "Output dtype: float32",
        "Trainable: True",
    ]
    assert lines["deep"] == ["deep (Dense)", *wanted]
    assert "Input shape: [(None, 3), (None, 3)]" in lines["sum"]
    assert len(lines) == 7
    without = mlkit.utils.model_to_dot(branched(), show_layer_names=False)
    assert lines_of(without)["wide"] == ["Dense"]


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("seed", range(6))
def test_boxes_do_not_overlap_and_arrows_go_forward(rankdir, seed):
    diagram = mlkit.utils.model_to_dot(draw(mlkit, seed), show_shapes=True, rankdir=rankdir, expand_nested=True)
    groups = [(diagram, diagram.boxes, diagram.arrows), *((b, b.boxes, b.arrows) for b in all_boxes(diagram.boxes) if b.boxes)]
    for outer, boxes, arrows in groups:
        for a, b in itertools.combinations(boxes, 2):
            apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
            assert apart, (a.name, b.name)
        for a, b in arrows:
            assert (a.x + a.width < b.x) if rankdir == "LR" else (a.y + a.height < b.y)
        for points, box in itertools.product(outer.bends, boxes):  # arrows cross no boxes
            for (x0, y0), (x1, y1) in itertools.pairwise(points):
                x, y = (x0 + x1) / 2, (y0 + y1) / 2
                assert not (box.x < x < box.x + box.width and box.y < y < box.y + box.height), box.name
        assert all(box.x >= 0 and box.x + box.width <= outer.width + 1e-6 for box in boxes)
        assert all(box.y >= 0 and box.y + box.height <= outer.height + 1e-6 for box in boxes)


def test_pictures(tmp_path):
    model = branched()
    diagram = mlkit.utils.plot_model(model, tmp_path / "m.svg", show_shapes=True, expand_nested=True, show_layer_names=True)
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    texts = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "deep (Dense)" in texts
    assert diagram._repr_svg_() == (tmp_path / "m.svg").read_text()
    for ending, dpi in ((".png", 96), (".jpg", 200), (".pdf", 96), ("", 96)):
        mlkit.utils.plot_model(model, tmp_path / f"m{ending}", dpi=dpi)
        assert (tmp_path / f"m{ending or '.png'}").stat().st_size > 1000
    with Image.open(tmp_path / "m.png") as image:
        assert len(image.getcolors(10**6)) > 3
    mlkit.utils.plot_model(model, tmp_path / "m.dot")
    assert (tmp_path / "m.dot").read_text().startswith("digraph")


def test_models_without_a_graph():
    class Own(mlkit.Model):
        def __init__(self):
            super().__init__(name="own")
            self.dense = mlkit.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model.build((None, 3))
    assert lines_of(mlkit.utils.model_to_dot(model)) == {"own": ["own (Own)"]}
    late = mlkit.Sequential([mlkit.layers.Dense(2, name="a"), mlkit.layers.Dense(1, name="b")])
    late.build((None, 3))
    assert ("a", "b") in {(a.name, b.name) for a, b in mlkit.utils.model_to_dot(late).arrows}


def test_arguments(tmp_path):
    for arguments, words in (
        ({"layer_range": ["a", "b"]}, "no longer supported"),
        ({"colour": 1}, "Unrecognized"),
        ({"rankdir": "XY"}, "rankdir"),
    ):
        with pytest.raises(ValueError, match=words):
            mlkit.utils.model_to_dot(branched(), **arguments)
    with pytest.raises(ValueError, match="not yet been built"):
        mlkit.utils.plot_model(mlkit.Sequential([mlkit.layers.Dense(1)]))
    with pytest.raises(ValueError, match="pictures of this kind"):
        mlkit.utils.plot_model(branched(), tmp_path / "m.xyz")
