"""Networks in the shape of their data: syntax trees, batched by height although no two are alike.

Paper: Looks et al., Deep Learning with Dynamic Computation Graphs, 2017 (https://arxiv.org/abs/1702.02181); Tai, Socher and
    Manning, Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks, 2015 (https://arxiv.org/abs/1503.00075)
Data: functions of six packages of Python's own library (the figure is of 3.11), as trees of 20 to 200 nodes; what is seen of a
    node is its kind, and its name where that is a builtin's.
Needs: eager gradients through gathers and segment sums, of other sizes in every batch.
Goal: accuracy of the package of new functions; logistic regression on how often each kind of node occurs is the baseline.
"""

# %% The data: (kind, children) for every node of a function
import ast
import builtins
import sysconfig
import time
from collections import Counter
from pathlib import Path

import numpy as np
from result import Result, main
from sklearn.linear_model import LogisticRegression

import mlkit as keras
from mlkit import layers, ops

PACKAGES = ("asyncio", "email", "importlib", "multiprocessing", "unittest", "xml")
KNOWN = {*dir(builtins), "self", "cls"}


def tree(node):
    name = type(node.value).__name__ if isinstance(node, ast.Constant) else getattr(node, "id", getattr(node, "arg", ""))
    kind = f"{type(node).__name__} {name if name in KNOWN else ''}"
    return kind, [tree(child) for child in ast.iter_child_nodes(node)]


def kinds_of(node):
    return [node[0]] + [k for child in node[1] for k in kinds_of(child)]


def functions(files=None):
    """(trees, the number of the package of each) of so many files of each package."""
    found, library = [], Path(sysconfig.get_paths()["stdlib"])
    for label, package in enumerate(PACKAGES):
        for file in sorted((library / package).rglob("*.py"))[:files]:
            nodes = ast.walk(ast.parse(file.read_text("utf-8"))) if "test" not in file.relative_to(library).parts else ()
            defined = [tree(n) for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
            found += [(t, label) for t in defined if 20 <= len(kinds_of(t)) <= 200]
    return [t for t, _ in found], np.array([label for _, label in found], "int32")


# %% The plan: nodes of all trees of a batch by height; those of one height are computed at once
class Plan:
    """levels: for each height the nodes' kinds, and of their children the places among all nodes and the parents' in the level."""

    def __init__(self, trees, numbers):
        self.numbers, self.nodes = numbers, []
        roots = [self.add(t, k) for k, t in enumerate(trees)]
        starts = np.cumsum([0, *(len(level) for level in self.nodes)])
        self.levels = []
        for level in self.nodes:
            edges = [(starts[h] + n, parent) for parent, (_, children, _) in enumerate(level) for h, n in children]
            child, parent = np.array(edges, "int32").reshape(-1, 2).T
            self.levels.append((np.array([kind for kind, _, _ in level], "int32"), child, parent))
        self.owners = np.array([owner for level in self.nodes for _, _, owner in level], "int32")
        self.roots = np.array([starts[h] + n for h, n in roots], "int32")

    def add(self, node, owner):
        """(height, number within it) of a tree's root, its nodes added."""
        children = [self.add(child, owner) for child in node[1]]
        height = 1 + max((h for h, _ in children), default=-1)
        self.nodes += [[] for _ in range(height + 1 - len(self.nodes))]
        self.nodes[height].append((self.numbers.get(node[0], 0), children, owner))
        return height, len(self.nodes[height]) - 1


# %% The network: a node's state from the sum of its children's, each child with a gate of its own
class TreeLSTM(keras.Model):
    def __init__(self, kinds, units):
        super().__init__()
        self.embed, self.gates = layers.Embedding(kinds, units), layers.Dense(3 * units)
        self.of_node, self.of_child = layers.Dense(units), layers.Dense(units, use_bias=False)
        self.hide, self.drop, self.out = layers.Dropout(0.15), layers.Dropout(0.5), layers.Dense(len(PACKAGES))

    def cell(self, kinds, parent, h, c, training=False):
        """States (nodes, units) of nodes from those of their children: h, c (children, units), parent (children,)."""
        x, count = self.hide(self.embed(kinds), training=training), len(kinds)
        i, o, u = ops.split(self.gates(ops.concatenate([x, ops.segment_sum(h, parent, count)], axis=-1)), 3, axis=-1)
        forget = ops.sigmoid(ops.take(self.of_node(x), parent, axis=0) + self.of_child(h))
        c = ops.sigmoid(i) * ops.tanh(u) + ops.segment_sum(forget * c, parent, count)
        return ops.sigmoid(o) * ops.tanh(c), c

    def states(self, plan, training=False):
        h = c = ops.zeros((0, self.embed.output_dim))
        for kinds, child, parent in plan.levels:
            new = self.cell(kinds, parent, ops.take(h, child, axis=0), ops.take(c, child, axis=0), training)
            h, c = (ops.concatenate(pair) for pair in zip((h, c), new, strict=True))
        return h

    def call(self, plan, training=False):
        h = self.states(plan, training)
        strongest, total = (reduced(h, plan.owners, len(plan.roots)) for reduced in (ops.segment_max, ops.segment_sum))
        found = ops.concatenate([ops.take(h, plan.roots, axis=0), strongest, ops.arcsinh(total)], axis=-1)
        return self.out(self.drop(found, training=training))

    def recursive(self, node, numbers):
        """(h, c) of a tree's root, a node at a time: what the plan saves us from."""
        below = [self.recursive(child, numbers) for child in node[1]]
        none = ops.zeros((0, self.embed.output_dim))
        h, c = (ops.concatenate([none, *part]) for part in zip(*below, strict=True)) if below else (none, none)
        return self.cell(np.array([numbers.get(node[0], 0)]), np.zeros(len(below), "int32"), h, c)


# %% Train, and compare both ways of computing the same
def run(quick=False, seed=0):
    trees, labels = functions(4 if quick else None)
    order = np.random.default_rng(0).permutation(len(trees))[: 40 if quick else None]
    trees, labels = [trees[k] for k in order], labels[order]
    split, batch, epochs = (24, 12, 1) if quick else (int(0.7 * len(trees)), 32, 16)
    numbers = {k: n for n, k in enumerate(sorted({k for t in trees[:split] for k in kinds_of(t)}), 1)}
    model = TreeLSTM(len(numbers) + 1, 8 if quick else 64)
    rate = keras.optimizers.schedules.CosineDecay(4e-3, epochs * split // batch)
    optimizer, loss_of = keras.optimizers.Adam(rate, clipnorm=1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rng, losses = np.random.default_rng(seed), []
    for _ in range(epochs):
        for part in np.array_split(rng.permutation(split), split // batch):
            plan = Plan([trees[k] for k in part], numbers)
            with keras.GradientTape() as tape:
                loss = loss_of(labels[part], model(plan, training=True))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            losses.append(float(loss))
    plan = Plan(trees[split:], numbers)
    accuracy = float(np.mean(ops.convert_to_numpy(model(plan)).argmax(-1) == labels[split:]))
    bags = np.array([[bag[k] for k in numbers] for bag in (Counter(kinds_of(t)) for t in trees)]) ** 0.5
    baseline = LogisticRegression(max_iter=500).fit(bags[:split], labels[:split]).score(bags[split:], labels[split:])
    some = trees[: 4 if quick else 32]
    began = time.process_time()
    batched = ops.take(model.states(planned := Plan(some, numbers)), planned.roots, axis=0)
    between = time.process_time()
    single = ops.concatenate([model.recursive(t, numbers)[0] for t in some])
    ratio = (time.process_time() - between) / (between - began)
    if (gap := float(ops.max(ops.abs(batched - single)))) > 1e-4:
        raise ArithmeticError(f"The plan gives states that are {gap} off.")
    lines = [f"{len(some)} trees, {len(planned.owners)} nodes: {ratio:.0f} times as fast as node by node"]
    lines += [f"height {h:2d}: {len(kinds):4d} nodes at once" for h, (kinds, _, _) in enumerate(planned.levels)]
    return Result("accuracy", accuracy, baseline, 0.62, losses, text="\n".join(lines))


# %%
if __name__ == "__main__":
    main(run, __file__)
