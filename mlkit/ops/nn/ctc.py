"""Connectionist temporal classification: the loss, and decoding by the best path or by beam search.

Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal classification", ICML 2006.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from mlkit.core import dtypes
from mlkit.core.spec import is_known, require, show
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Structure, TensorLike
from mlkit.ops.control.scans import scan
from mlkit.ops.image.layout import check_choice
from mlkit.ops.math import logsumexp, top_k
from mlkit.ops.numpy import logaddexp
from mlkit.ops.numpy.indexing import require_within
from mlkit.primitives import elementwise as el
from mlkit.primitives import fused
from mlkit.primitives.convert import cast, to_real
from mlkit.primitives.movement import concat, full, iota, slice_along, take_along_axis
from mlkit.primitives.reduction import argmax, max_
from mlkit.primitives.shape import broadcast_to, reshape, sum_, transpose
from mlkit.primitives.sorting import argsort

__all__ = ["ctc_decode", "ctc_loss"]

_NEVER = -1e5  # logarithm of an impossible path's probability; finite, so that its gradient is


def _column(x: Tensor) -> Tensor:
    return reshape(x, shape=(*x.shape, 1))


def _scan(step: Callable[..., Any], state: Structure, *sequences: Tensor) -> Structure:
    """The state after `step(state, *slices)` for each slice of the sequences' first axis."""

    return scan(lambda carry, xs: (step(carry, *xs), None), state, sequences)[0]


def _time_first(x: Tensor) -> Tensor:
    return transpose(x, perm=(1, 0, *range(2, x.ndim)))


# ---- loss ------------------------------------------------------------------------------------------------------------


def ctc_loss(
    target: TensorLike, output: TensorLike, target_length: TensorLike, output_length: TensorLike, mask_index: int = 0
) -> Tensor:
    """-log of the probability that a path through the outputs spells the target, repeats and blanks removed.

    Graves et al., "Connectionist Temporal Classification", ICML 2006.

    Args:
        target: class numbers (batch, labels).
        output: logits (batch, time, classes).
        target_length, output_length: (batch,), how much of each row counts; the labels behind may be anything.
        mask_index: the class that means blank.

    Returns (batch,).
    """
    target, output = cast(target, "int32"), to_real("ctc_loss", output)
    target_length, output_length = cast(target_length, "int32"), cast(output_length, "int32")
    if target.ndim != 2 or output.ndim != 3 or target_length.ndim != 1 or output_length.ndim != 1:
        raise ValueError(
            "ctc_loss: expected `target` of shape (batch, labels), `output` of shape (batch, time, classes) and lengths of shape "
            f"(batch,), but got {', '.join(str(show(x.shape)) for x in (target, output, target_length, output_length))}."
        )
    output = cast(output, dtypes.result_type(output.dtype, "float32"))
    batch, time, classes = output.shape
    most = target.shape[1]
    _check_blank("ctc_loss", mask_index, output)
    target, target_length, output_length = _for_rows(
        "ctc_loss", output, target=target, target_length=target_length, output_length=output_length
    )
    require_within("ctc_loss: `target_length`", target_length, 0, most + 1)
    require_within("ctc_loss: `output_length`", output_length, 0, time + 1)
    target = el.where(iota(size=most, dtype="int32") < _column(target_length), target, mask_index)  # others do not count
    require_within("ctc_loss: the labels in `target`", target, 0, classes)
    target = el.where(target < 0, classes, target)  # in compiled code nothing is counted from the end either
    labels = _with_blanks(target, mask_index)
    states = labels.shape[1]
    wanted = broadcast_to(reshape(labels, shape=(batch, 1, states)), shape=(batch, time, states))
    emitted = take_along_axis(fused.log_softmax(output, axis=2), wanted, axis=2)
    running = iota(size=time, dtype="int32") < _column(output_length)
    skips = _may_skip(labels, mask_index)

    def step(alpha: Tensor, log_p: Tensor, running: Tensor) -> Tensor:
        one, two = _shifted(alpha, 1), el.where(skips, _shifted(alpha, 2), _NEVER)
        moved = _log_sum(alpha, one, two) + log_p
        return el.where(_column(running), moved, alpha)

    position = iota(size=states, dtype="int32")
    start = broadcast_to(
        el.where(el.equal(position, 0), 0.0, full(shape=(states,), value=_NEVER, dtype=output.dtype)), shape=(batch, states)
    )
    alpha = _scan(step, start, *map(_time_first, (emitted, running)))
    last = _column(2 * target_length)
    final = el.or_(el.equal(position, last), el.equal(position, last - 1))
    return -logsumexp(el.where(final, alpha, _NEVER), axis=1)


def _check_blank(name: str, blank: int, x: Tensor) -> None:
    if is_known(x.shape[2]) and not 0 <= blank < x.shape[2]:
        raise ValueError(
            f"{name}: `mask_index` {blank} is none of the {x.shape[2]} classes of outputs of shape {show(x.shape)}."
        )


def _for_rows(name: str, x: Tensor, **others: Tensor) -> Iterator[Tensor]:
    """What belongs to the rows of x: tensors with its batch size as their first; one length stands for all."""
    batch = x.shape[0]
    for what, other in others.items():
        if other.shape == (1,):
            other = broadcast_to(other, shape=(batch,))
        require(name, f"for outputs of shape {show(x.shape)}, `{what}`", other, (batch, *other.shape[1:]))
        yield other


def _with_blanks(target: Tensor, blank: int) -> Tensor:
    """a b -> _ a _ b _"""
    n, length = target.shape
    pairs = concat(_column(target), full(shape=(n, length, 1), value=blank, dtype="int32"), axis=2)
    return concat(full(shape=(n, 1), value=blank, dtype="int32"), reshape(pairs, shape=(n, 2 * length)), axis=1)


def _may_skip(labels: Tensor, blank: int) -> Tensor:
    """Where a path may come from two states before: onto a label that differs from the one before it."""
    return el.not_equal(labels, _shifted(labels, 2, fill=blank))  # two blanks are equal too


def _shifted(x: Tensor, n: int, fill: float = _NEVER) -> Tensor:
    """Moved n places to the right along axis 1."""
    head = full(shape=(x.shape[0], n), value=fill, dtype=x.dtype)
    return concat(head, slice_along(x, 1, 0, x.shape[1] - n), axis=1)


def _log_sum(*xs) -> Tensor:
    peak = xs[0]
    for x in xs[1:]:
        peak = el.maximum(peak, x)
    peak = el.stop_gradient(peak)
    total = el.exp(xs[0] - peak)
    for x in xs[1:]:
        total = total + el.exp(x - peak)
    return el.log(total) + peak


# ---- decoding --------------------------------------------------------------------------------------------------------


def ctc_decode(
    inputs: TensorLike,
    sequence_lengths: TensorLike,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Tensor, Tensor]:
    """The most probable label sequences of CTC outputs.

    Graves et al., "Connectionist Temporal Classification", ICML 2006.

    Args:
        inputs: logits (batch, time, classes).
        sequence_lengths: (batch,).
        strategy: "greedy" (the best path) or "beam_search" (with beam_width candidates, of which top_paths are returned).
        merge_repeated: whether equal labels that follow one another count once (greedy only).
        mask_index: the class that means blank; None is the last one.
        beam_width: how many candidates are kept from one time to the next (beam search).
        top_paths: how many sequences of a sample are returned (beam search).

    Returns labels (paths, batch, time), filled up with -1, and scores (batch, paths): for "greedy" minus the sum of the largest
    logits, for "beam_search" the log of the probability.
    """
    check_choice("ctc_decode", "strategy", strategy, ("greedy", "beam_search"))
    x, lengths = to_real("ctc_decode", inputs), cast(sequence_lengths, "int32")
    if x.ndim != 3 or lengths.ndim != 1:
        raise ValueError(
            "ctc_decode: expected `inputs` of shape (batch, time, classes) and `sequence_lengths` of shape (batch,), but got "
            f"{show(x.shape)} and {show(lengths.shape)}."
        )
    x = cast(x, dtypes.result_type(x.dtype, "float32"))
    (lengths,) = _for_rows("ctc_decode", x, sequence_lengths=lengths)
    require_within("ctc_decode: `sequence_lengths`", lengths, 0, x.shape[1] + 1)
    blank = x.shape[2] - 1 if mask_index is None else mask_index
    _check_blank("ctc_decode", blank, x)
    if strategy == "greedy":
        return _greedy(x, lengths, merge_repeated, blank)
    return _beam_search(x, lengths, beam_width, top_paths, blank)


def _greedy(x: Tensor, lengths: Tensor, merge_repeated: bool, blank: int) -> tuple[Tensor, Tensor]:
    batch, time, _ = x.shape
    ended = iota(size=time, dtype="int32") >= _column(lengths)
    labels = el.where(ended, blank, argmax(x, axis=2))
    scores = el.where(ended, 0.0, max_(x, axes=(2,), keepdims=False))
    if merge_repeated:
        before = concat(full(shape=(batch, 1), value=-1, dtype="int32"), slice_along(labels, 1, 0, time - 1), axis=1)
        labels = el.where(el.equal(labels, before), blank, labels)
    empty = el.equal(labels, blank)
    order = argsort(cast(empty, "int32"), axis=1)  # stable: labels first, in their order
    labels = take_along_axis(el.where(empty, -1, labels), order, axis=1)
    return reshape(labels, shape=(1, batch, time)), -sum_(scores, axes=(1,), keepdims=True)


def _beam_search(x: Tensor, lengths: Tensor, width: int, paths: int, blank: int) -> tuple[Tensor, Tensor]:
    """Prefix beam search: Hannun et al., arXiv:1408.2873, algorithm 1, without a language model.

    A beam is a prefix with two scores: of the paths that end in a blank, and of those that end in its last label. Extending
    beam i by a label can only give a new prefix or another beam j; there the scores are added.
    """
    batch, time, _classes = x.shape
    log_p = fused.log_softmax(x, axis=2)
    position = iota(size=width, dtype="int32")
    never = full(shape=(batch, width), value=-math.inf, dtype=x.dtype)
    state = (
        full(shape=(batch, width, time), value=-1, dtype="int32"),
        full(shape=(batch, width), value=0, dtype="int32"),
        el.where(el.equal(position, 0), 0.0, never),
        never,
    )

    def step(state: tuple[Tensor, ...], p: Tensor, running: Tensor) -> tuple[Tensor, ...]:
        new = _extend(state, p, width, blank)
        return tuple(el.where(reshape(running, shape=(batch, *(1,) * (n.ndim - 1))), n, s) for n, s in zip(new, state))

    running = iota(size=time, dtype="int32") < _column(lengths)
    labels, _, in_blank, in_label = _scan(step, state, _time_first(log_p), _time_first(running))
    scores, best = top_k(logaddexp(in_blank, in_label), paths)
    best = broadcast_to(_column(best), shape=(batch, paths, time))
    return _time_first(take_along_axis(labels, best, axis=1)), scores


def _extend(state: tuple[Tensor, ...], p: Tensor, width: int, blank: int) -> tuple[Tensor, ...]:
    """All beams one time step on, the best `width` kept. p: log-probabilities (batch, classes)."""
    labels, sizes, in_blank, in_label = state
    batch, classes = p.shape
    total = logaddexp(in_blank, in_label)
    last = _last_label(labels, sizes)
    p_last = take_along_axis(p, el.maximum(last, 0), axis=1)
    stay_blank = total + slice_along(p, 1, blank, blank + 1)
    stay_label = el.where(sizes > 0, in_label + p_last, -math.inf)

    grown = _column(total) + reshape(p, shape=(batch, 1, classes))  # (batch, beam, label)
    label = iota(size=classes, dtype="int32")
    repeat = el.equal(label, _column(last))
    grown = el.where(repeat, _column(in_blank) + reshape(p, shape=(batch, 1, classes)), grown)
    grown = el.where(el.equal(label, blank), -math.inf, grown)

    child = _is_child(labels, sizes, last, total)  # (batch, parent, child)
    to_child = take_along_axis(
        grown, broadcast_to(reshape(el.maximum(last, 0), shape=(batch, 1, width)), shape=(batch, width, width)), axis=2
    )
    stay_label = logaddexp(stay_label, logsumexp(el.where(child, to_child, -math.inf), axis=1))
    is_last = el.equal(reshape(label, shape=(1, 1, 1, classes)), reshape(last, shape=(batch, 1, width, 1)))
    taken = max_(cast(el.and_(is_last, _column(child)), "int32"), axes=(2,), keepdims=False)
    grown = el.where(taken > 0, -math.inf, grown)

    scores = concat(logaddexp(stay_blank, stay_label), reshape(grown, shape=(batch, width * classes)), axis=1)
    _, chosen = top_k(scores, width)
    return _gather_beams(chosen, state, stay_blank, stay_label, grown, classes)


def _last_label(labels: Tensor, sizes: Tensor) -> Tensor:
    """-1 for the empty prefix."""
    index = _column(el.maximum(sizes - 1, 0))
    last = reshape(take_along_axis(labels, index, axis=2), shape=sizes.shape)
    return el.where(sizes > 0, last, -1)


def _is_child(labels: Tensor, sizes: Tensor, last: Tensor, total: Tensor) -> Tensor:
    """Whether beam j is beam i with its own last label added: (batch, i, j)."""
    batch, width, time = labels.shape
    alive = total > -math.inf
    position = iota(size=time, dtype="int32")
    parent = el.where(el.equal(position, _column(sizes - 1)), -1, labels)  # without the last label
    same = el.equal(reshape(labels, shape=(batch, width, 1, time)), reshape(parent, shape=(batch, 1, width, time)))
    same = el.equal(sum_(cast(same, "int32"), axes=(3,), keepdims=False), time)
    longer = el.equal(_column(sizes) + 1, reshape(sizes, shape=(batch, 1, width)))
    return el.and_(el.and_(same, longer), el.and_(_column(alive), reshape(alive, shape=(batch, 1, width))))


def _gather_beams(
    chosen: Tensor, state: tuple[Tensor, ...], stay_blank: Tensor, stay_label: Tensor, grown: Tensor, classes: int
) -> tuple[Tensor, ...]:
    """The chosen candidates as beams: numbers below the width stay as they are, the others are beam * classes + label."""
    labels, sizes, _, _ = state
    batch, width, time = labels.shape
    stays = chosen < width
    extension = el.maximum(chosen - width, 0)
    source = el.where(stays, chosen, el.floor_div(extension, classes))
    label = el.mod(extension, classes)
    labels = take_along_axis(labels, broadcast_to(_column(source), shape=labels.shape), axis=1)
    sizes = take_along_axis(sizes, source, axis=1)
    here = el.equal(iota(size=time, dtype="int32"), _column(sizes))
    labels = el.where(el.and_(here, _column(el.not_(stays))), _column(label), labels)
    in_blank = el.where(stays, take_along_axis(stay_blank, source, axis=1), -math.inf)
    new = take_along_axis(reshape(grown, shape=(batch, width * classes)), extension, axis=1)
    in_label = el.where(stays, take_along_axis(stay_label, source, axis=1), new)
    return labels, sizes + cast(el.not_(stays), "int32"), in_blank, in_label
