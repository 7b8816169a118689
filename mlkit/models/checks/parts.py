"""Training and validation data: whether the second can judge what the first teaches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlkit.models.checks.case import ROWS, Case, check, count, named

LEAST = 10  # samples of validation from which its classes say something
COLUMNS = 64  # of each row, by which equal rows are found


@check()
def classes(case: Case) -> Iterator[str]:
    for o, v in zip(case.outputs, case.validation_outputs):
        if o.labels is None or v.labels is None or len(v.labels) < LEAST:
            continue
        trained, judged = np.unique(o.labels), np.unique(v.labels)
        if len(trained) > 50:
            continue
        unseen = np.setdiff1d(judged, trained)
        share = float(np.isin(v.labels, unseen).mean())
        lone = len(judged) == 1 and len(trained) > 1
        if share <= 0.05 and not lone:
            continue
        found = (
            f"only class {judged[0]:g}"
            if lone
            else f"classes that training does not have ({', '.join(f'{c:g}' for c in unseen)})"
        )
        cut = (
            " `validation_split` takes the end of the arrays, which seem sorted: shuffle x and y together before."
            if case.is_split
            else " Draw it from all classes."
        )
        yield f"the validation data{o.where} holds {found}.{cut}"


@check()
def overlap(case: Case) -> Iterator[str]:
    if case.validation is None:
        return
    for (name, a), (_, b) in zip(named("x", case.x), named("x", case.validation[0])):
        if a is b or (a.shape == b.shape and a.dtype == b.dtype and np.shares_memory(a, b)):
            yield "the validation data is the training data: it cannot show whether the model has only learned it by heart."
            return
        if a.ndim < 2 or a[0].size < 8 or a.shape[1:] != b.shape[1:] or a.dtype.kind not in "iuf" or a.dtype != b.dtype:
            return
        equal = _common(a, b[:: -(-len(b) // ROWS)])
        if equal > 0.01:
            yield (
                f"{equal:.0%} of the rows of validation are in the training data too ({name}), so it judges too well. Split before "
                "samples are repeated or augmented, and drop duplicates (np.unique(x, axis=0))."
            )
        return  # the first input tells samples apart


def _common(a, b):
    """The share of the rows of b that are rows of a as well."""
    if a.nbytes > 1 << 28:
        a = a[:: -(-a.nbytes // (1 << 28))]
    flat_a, flat_b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    columns = np.unique(np.linspace(0, flat_a.shape[1] - 1, COLUMNS).astype(int))
    keys = np.random.default_rng(0).uniform(1, 2, len(columns))
    sums, wanted = (flat[:, columns].astype("float64") @ keys for flat in (flat_a, flat_b))
    order = np.argsort(sums)
    place = np.minimum(np.searchsorted(sums, wanted, sorter=order), len(order) - 1)
    candidates = order[place]
    same = sums[candidates] == wanted
    same[same] = (flat_a[candidates[same]] == flat_b[same]).all(axis=1)
    varied = flat_b.std(axis=1) > 0 if flat_b.dtype.kind != "c" else True  # blank rows are equal for no reason
    return float(np.mean(same & varied))


@check()
def scales(case: Case) -> Iterator[str]:
    if case.validation is None:
        return
    for (name, a), (_, b) in zip(named("x", case.x), named("x", case.validation[0])):
        if a.dtype.kind not in "iuf" or b.dtype.kind not in "iuf" or min(count([a]), count([b])) < LEAST:
            continue
        large, small = (float(np.abs(part[:ROWS].astype("float32")).mean()) for part in (a, b))
        low, high = sorted((large, small))
        if high > 30 * low and high > 0 and low > 0:
            yield (
                f"{name} has a mean magnitude of {large:.3g} in training and {small:.3g} in validation. Scale both alike, by "
                "what was measured on the training data."
            )
