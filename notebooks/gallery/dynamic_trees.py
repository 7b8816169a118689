"""Networks in the shape of their data: syntax trees, batched by height although no two are alike.

Paper: Looks et al., Deep Learning with Dynamic Computation Graphs, 2017 (https://arxiv.org/abs/1702.02181); Tai, Socher and
    Manning, Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks, 2015 (https://arxiv.org/abs/1503.00075)
Data: functions of six packages of Python's own library (the figure is of 3.11), as trees of 20 to 300 nodes, equal ones once; what
    is seen of a node is its kind, and its name where that is a builtin's.
Needs: eager gradients through gathers and segment sums, of other sizes in every batch.
Goal: accuracy of the package of new functions; logistic regression on how often each kind of node occurs is the baseline.
"""

# %% The data: (kind, children) for every node of a function
import ast
import builtins
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from result import Result, main
from sklearn.linear_model import LogisticRegression

import mlkit as keras
from mlkit import layers, ops

PACKAGES = ("asyncio", "email", "importlib", "multiprocessing", "unittest", "xml")
KNOWN = {*dir(builtins), "self", "cls"}


def tree(node, above="", before=""):
    """((kind of the node, of its parent, of the sibling before it), its children's trees)."""
    name = type(node.value).__name__ if isinstance(node, ast.Constant) else getattr(node, "id", getattr(node, "arg", ""))
    kind, children = f"{type(node).__name__} {name if name in KNOWN else ''}", []
    for child in ast.iter_child_nodes(node):
        children.append(tree(child, kind, children[-1][0][0] if children else ""))
    return (kind, above, before), children


def kinds_of(node):
    return [node[0][0]] + [k for child in node[1] for k in kinds_of(child)]


def functions(files=None):
    """(trees, the number of the package of each) of so many files of each package."""
    found, library = {}, Path(ast.__file__).parent
    for label, package in enumerate(PACKAGES):
        own = [f for f in sorted((library / package).rglob("*.py")) if "test" not in f.relative_to(library).parts]
        for nodes in (ast.walk(ast.parse(file.read_text("utf-8"))) for file in own[:files]):
            defined = [tree(n) for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
            found.update({str(t): (t, label) for t in defined if 20 <= len(kinds_of(t)) <= 300})
    return [t for t, _ in found.values()], np.array([label for _, label in found.values()], "int32")


# %% The plan: nodes of all trees of a batch by height; those of one height are computed at once
class Plan:
    def __init__(self, trees, numbers):
        self.numbers, self.nodes = numbers, defaultdict(list)
        roots, levels = [self.add(t, k) for k, t in enumerate(trees)], self.nodes.values()  # lower ones come first
        self.sizes = [len(level) for level in levels]
        starts = np.cumsum([0, *self.sizes])
        edges = [[(starts[h] + n, p) for p, node in enumerate(level) for h, n in node[1]] for level in levels]
        self.levels = [np.array(e, "int32").reshape(-1, 2).T for e in edges]  # of children: places, parents' within a level
        self.kinds, self.owners = (np.array([n[k] for level in levels for n in level], "int32") for k in (0, 2))
        self.roots = np.array([starts[h] + n for h, n in roots], "int32")

    def add(self, node, owner):
        """(height, number within it) of a tree's root, its nodes added."""
        children = [self.add(child, owner) for child in node[1]]
        height = 1 + max((h for h, _ in children), default=-1)
        self.nodes[height].append(([self.numbers.get(k, 0) for k in node[0]], children, owner))
        return height, len(self.nodes[height]) - 1


# %% The network: a node's state from the sum of its children's, each child with a gate of its own
class TreeLSTM(keras.Model):
    def __init__(self, kinds, units):
        super().__init__()
        self.units, self.embed = units, [layers.Embedding(kinds, 4 * units) for _ in range(3)]
        self.of_children, self.of_child = layers.Dense(3 * units), layers.Dense(units)
        self.hide, self.drop, self.out = layers.Dropout(0.15), layers.Dropout(0.5), layers.Dense(len(PACKAGES))

    def seen(self, kinds, training=False):
        """What kinds (nodes, 3) add to the four gates of each node."""
        return self.hide(sum(embed(kinds[:, k]) for k, embed in enumerate(self.embed)), training=training)

    def cell(self, x, parent, below):
        """States and memories (nodes, 2 * units) of nodes from those of their children, which lie below parent (children,)."""
        h, c = ops.split(below, 2, axis=-1)
        gates, forget = ops.split(x, [3 * self.units], axis=-1)
        i, o, u = ops.split(gates + self.of_children(ops.segment_sum(h, parent, len(x))), 3, axis=-1)
        kept = ops.sigmoid(ops.take(forget, parent, axis=0) + self.of_child(h)) * c
        c = ops.sigmoid(i) * ops.tanh(u) + ops.segment_sum(kept, parent, len(x))
        return ops.concatenate([ops.sigmoid(o) * ops.tanh(c), c], axis=-1)

    def states(self, plan, training=False):
        found = ops.zeros((0, 2 * self.units))
        parts = ops.split(self.seen(plan.kinds, training), np.cumsum(plan.sizes)[:-1].tolist())
        for x, (child, parent) in zip(parts, plan.levels, strict=True):
            found = ops.concatenate([found, self.cell(x, parent, ops.take(found, child, axis=0))])
        return found[:, : self.units]

    def call(self, plan, training=False):
        h, owners, count = self.states(plan, training), plan.owners, len(plan.roots)
        strongest, total = (reduced(h, owners, count) for reduced in (ops.segment_max, ops.segment_sum))
        found = ops.concatenate([ops.take(h, plan.roots, axis=0), strongest, ops.arcsinh(total)], axis=-1)
        return self.out(self.drop(found, training=training))

    def recursive(self, node, numbers):
        """State and memory of a tree's root, a node at a time: what the plan saves us from."""
        below = [ops.zeros((0, 2 * self.units)), *(self.recursive(child, numbers) for child in node[1])]
        x = self.seen(np.array([[numbers.get(k, 0) for k in node[0]]], "int32"))
        return self.cell(x, np.zeros(len(below) - 1, "int32"), ops.concatenate(below))


# %% Train, and compare both ways of computing the same
def run(quick=False, seed=0):
    trees, labels = functions(4 if quick else None)
    order = np.random.default_rng(0).permutation(len(trees))[: 40 if quick else None]
    trees, labels = [trees[k] for k in order], labels[order]
    split, batch, epochs = (24, 12, 1) if quick else (int(0.7 * len(trees)), 32, 12)
    often = Counter(k for t in trees[:split] for k in kinds_of(t))
    numbers = {k: n for n, k in enumerate(["", *(k for k in often if often[k] > 1)], 1)}
    rng, loss_of = np.random.default_rng(seed), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses, answers = [], []
    parts = np.array_split(rng.permutation(split), split // batch)
    plans, plan = [Plan([trees[k] for k in part], numbers) for part in parts], Plan(trees[split:], numbers)
    for _ in range(1 if quick else 3):  # networks that begin elsewhere answer together
        model = TreeLSTM(len(numbers) + 1, 8 if quick else 64)
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, epochs * len(parts)), clipnorm=1.0)
        for k in (k for _ in range(epochs) for k in rng.permutation(len(parts))):
            with keras.GradientTape() as tape:
                loss = loss_of(labels[parts[k]], model(plans[k], training=True))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            losses.append(float(loss))
        answers.append(ops.convert_to_numpy(ops.softmax(model(plan))))
    bags = np.array([[bag[k] for k in often] for bag in (Counter(kinds_of(t)) for t in trees)]) ** 0.5
    baseline = LogisticRegression(max_iter=500).fit(bags[:split], labels[:split]).score(bags[split:], labels[split:])
    some, began = trees[: 4 if quick else 32], time.process_time()
    batched, between = ops.take(model.states(planned := Plan(some, numbers)), planned.roots, axis=0), time.process_time()
    single = ops.concatenate([model.recursive(t, numbers)[:, : model.units] for t in some])
    ratio = (time.process_time() - between) / (between - began)
    np.testing.assert_allclose(batched, single, atol=1e-4)  # the plan gives the same states
    text = f"{len(some)} trees, {len(planned.owners)} nodes: {ratio:.0f} times as fast as node by node"
    text += "".join(f"\nheight {h:2d}: {size:4d} nodes at once" for h, size in enumerate(planned.sizes))
    return Result("accuracy", np.mean(sum(answers).argmax(-1) == labels[split:]), baseline, 0.62, losses, text=text)


# %%
if __name__ == "__main__":
    main(run, __file__)
