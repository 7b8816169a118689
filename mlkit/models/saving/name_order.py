"""Whether layers that are matched by position are those the file means: by their names, where it holds them."""

import collections
import re
import warnings

from mlkit.core.names import to_snake_case


def matched(saved, own, place):
    """For each of the model's layers the place of its counterpart among the saved ones, or None where that is not to be told.

    saved: names in the file. own: as many layers. Automatic names count without their numbers, which are those of a session.
    Layers of the same names in another order are matched by name. A layer whose name stands elsewhere in the file, among names
    that are otherwise not the model's, has no counterpart: by position it would get the weights of another. Names that do not
    occur in the file at all are new ones for the same layers, as in Keras; a warning says so.

    >>> from mlkit.layers import Dense
    >>> matched(["dense_7", "head"], [Dense(2, name="head"), Dense(2)], "model.h5")
    [1, 0]
    """
    automatic = {to_snake_case(type(layer).__name__) for layer in own}
    theirs, ours = ([_plain(n, automatic) for n in names] for names in (saved, [layer.name for layer in own]))
    if theirs == ours:
        return list(range(len(own)))
    if sorted(theirs) == sorted(ours):
        places = collections.defaultdict(list)
        for i, name in enumerate(theirs):
            places[name].append(i)
        return [places[name].pop(0) for name in ours]
    found = [i if a == b or b in automatic or b not in theirs else None for i, (a, b) in enumerate(zip(theirs, ours))]
    renamed = [f"{saved[i]!r} as {own[i].name!r}" for i in found if i is not None and theirs[i] != ours[i]]
    if renamed and None not in found:
        warnings.warn(
            f"{place}: layers have other names in the file and are matched by position: {', '.join(renamed[:5])}"
            f"{' ...' if len(renamed) > 5 else ''}.",
            stacklevel=6,
        )
    return found


def conflict(saved, layer):
    """Why a layer has no counterpart, in words."""
    return (
        f"at the place of layer {layer.name!r} it holds {saved!r}, and {layer.name!r} at another: the layers are not in the "
        "model's order."
    )


def _plain(name, automatic):
    """A name without its number if it is one that a layer gets by itself."""
    base = re.sub(r"_\d+$", "", name)
    return base if base in automatic else name


def places_by_name(listed, tensors):
    """(places, conflicts) of the parts in the lists of a model, in a `.weights.h5` file.

    places: path -> path in the file, of those that have another one there. conflicts: path -> why its place is not to be told.
    listed: path of a list -> its parts by their paths, outer lists first.
    """
    places, conflicts = {}, {}
    for members in listed.values():
        by_class = collections.defaultdict(list)
        for path, part in members:
            by_class[type(part).__name__].append((path, part))
        for same in by_class.values():
            there = [translated(path, places) for path, _ in same]
            saved = [_name_in(tensors, path) for path in there]
            if None in saved:
                continue
            layers = [part for _, part in same]
            for i, (k, (path, layer)) in enumerate(zip(matched(saved, layers, tensors.path), same)):
                if k is None:
                    conflicts[path] = conflict(saved[i], layer)
                elif there[k] != there[i]:
                    places[path] = there[k]
    return places, conflicts


def translated(path: str, places):
    """A path in the file: that of the innermost part around it which has another place there."""
    keys = path.split("/")
    for i in range(len(keys), 0, -1):
        if (head := "/".join(keys[:i])) in places:
            return "/".join([places[head], *keys[i:]])
    return path


def _name_in(tensors, path: str):
    group = f"{path}/vars"
    return tensors.attribute(group, "name") if group in tensors.groups else None
