"""Nested structures, with Keras's tree module as judge."""

import collections

import pytest

from mlkit.core import tree

Point = collections.namedtuple("Point", "x y")
STRUCTURES = [
    1,
    None,
    [],
    {},
    [1, (2, 3), {"b": 4, "a": [5, None]}],
    {"z": (1,), "a": {"k": 2}},
    Point([1, 2], {"a": 3}),
    collections.OrderedDict([("b", 1), ("a", [2, 3])]),
]


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_as_keras(structure):
    keras_tree = pytest.importorskip("keras").tree
    assert tree.flatten(structure) == keras_tree.flatten(structure)
    double = lambda x: None if x is None else 2 * x
    assert tree.map_structure(double, structure) == keras_tree.map_structure(double, structure)
    flat = list(range(len(tree.flatten(structure))))
    assert tree.pack_sequence_as(structure, flat) == keras_tree.pack_sequence_as(structure, flat)
    assert tree.lists_to_tuples(structure) == keras_tree.lists_to_tuples(structure)


def test_map_over_several():
    assert tree.map_structure(lambda a, b: a + b, [1, {"k": 2}], [10, {"k": 20}]) == [11, {"k": 22}]
    assert tree.map_structure_up_to([0, 0], sum, [[1, 2], [3, 4]]) == [3, 7]


def test_dicts_of_several_orders_go_together_by_their_keys():
    keras_tree = pytest.importorskip("keras").tree
    ordered, plain = collections.OrderedDict(b=1, a=[2]), {"a": [20], "b": 10}
    pair = lambda x, y: (x, y)
    for a, b in ((ordered, plain), (plain, ordered)):
        assert tree.map_structure(pair, a, b) == keras_tree.map_structure(pair, a, b)
        assert tree.map_structure_up_to(a, pair, a, b) == keras_tree.map_structure_up_to(a, pair, a, b)
        tree.assert_same_structure(a, b)
        assert tree.map_structure(pair, a, b)["b"] == (a["b"], b["b"])


def test_map_up_to_takes_one_kind_of_container():
    keras_tree = pytest.importorskip("keras").tree
    for shallow, other in (((0, 0), [1, 2]), ([0, 0], {"a": 1, "b": 2}), ({"a": 0}, [1]), ((0, 0), (1,))):
        for library in (tree, keras_tree):
            with pytest.raises(ValueError, match=r".+"):
                library.map_structure_up_to(shallow, max, shallow, other)


def test_container_kinds_are_kept():
    made = tree.map_structure(lambda x: x, Point(1, [2]))
    assert type(made) is Point
    assert made == Point(1, [2])
    d = tree.map_structure(lambda x: x, collections.defaultdict(list, b=1, a=2))
    assert d.default_factory is list
    assert list(d) == ["b", "a"]


def test_traverse():
    assert tree.traverse(lambda x: "tuple" if isinstance(x, tuple) else None, [1, (2,)]) == [1, "tuple"]
    assert tree.traverse(lambda x: tree.MAP_TO_NONE if x == 1 else None, [1, 2], top_down=False) == [None, 2]


@pytest.mark.parametrize("a,b", [([1], [1, 2]), ([1], (1,)), ({"a": 1}, {"b": 1}), ([1], 1), (Point(1, 2), (1, 2))], ids=str)
def test_different_structures(a, b):
    with pytest.raises(ValueError, match="differ"):
        tree.assert_same_structure(a, b)
    with pytest.raises(ValueError, match="differ"):
        tree.map_structure(lambda *_: 0, a, b)


def test_errors():
    with pytest.raises(TypeError, match="callable"):
        tree.map_structure(1, [1])
    with pytest.raises(ValueError, match="2 leaves, but 1"):
        tree.pack_sequence_as([1, 2], [1])


def test_shapes_as_leaves():
    assert tree.map_shape_structure(lambda s: len(s), {"a": (None, 3), "b": [(2,), (2, 3, 4)]}) == {"a": 2, "b": [1, 3]}
    assert tree.flatten_with_path({"b": [7], "a": 8}) == [(("a",), 8), (("b", 0), 7)]
