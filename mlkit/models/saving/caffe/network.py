"""What a `.prototxt` file says of a network's layers: names, types, connections and settings, of both versions of the format."""

import dataclasses
from typing import Any

from mlkit.models.saving.caffe.text import Message, TextError, Word, one, parse

_TYPES = {"CONVOLUTION": "Convolution", "DECONVOLUTION": "Deconvolution", "INNER_PRODUCT": "InnerProduct"}


@dataclasses.dataclass(frozen=True)
class CaffeLayer:
    """A layer as the `.prototxt` file describes it.

    name. type: of today's format, such as "InnerProduct" (INNER_PRODUCT before). bottoms, tops: names of the arrays that it takes
    and gives. settings: all its fields, name -> list of values, where messages within are such dicts too.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    settings: dict[str, list[Any]] = dataclasses.field(repr=False)

    def setting(self, message: str, field: str, default: Any = None) -> Any:
        """A value, such as `setting("convolution_param", "num_output")`; the default where it is not there."""
        return one(one(self.settings, message, {}), field, default)

    @property
    def blobs(self) -> tuple[int, ...]:
        """How many arrays a file may hold for it; (0,) for layers without weights, () where that is not known here."""
        bias = {"Convolution": "convolution_param", "Deconvolution": "convolution_param", "InnerProduct": "inner_product_param"}
        if self.type in bias:
            return (2 if self.setting(bias[self.type], "bias_term", True) else 1,)
        if self.type == "Embed":
            return (2 if self.setting("embed_param", "bias_term", True) else 1,)
        if self.type == "Scale":
            return ((len(self.bottoms) == 1) + bool(self.setting("scale_param", "bias_term", False)),)
        if self.type == "Bias":
            return (int(len(self.bottoms) == 1),)
        return {"BatchNorm": (3,), "PReLU": (1,)}.get(self.type, ())


def read_network(text: str) -> dict[str, CaffeLayer]:
    """The layers of a network as it is used after training, by name, in their order. Those of the phase TRAIN are left out.

    Raises TextError for text of another format, and for names that are missing or occur twice.
    """
    net = parse(text)
    if "layer" in net and "layers" in net:
        raise TextError("it has both `layer` and `layers`, which belong to different versions of Caffe.")
    found: dict[str, CaffeLayer] = {}
    for i, message in enumerate(net.get("layer", net.get("layers", []))):
        if not isinstance(message, dict):
            raise TextError(f"layer {i} is {message!r:.40}, but a layer is a message in braces.")
        if "layer" in message:
            raise TextError("it is in the format of 2013 (V0): upgrade it with Caffe's upgrade_net_proto_text.")
        if not _is_used(message):
            continue
        name, kind = one(message, "name"), one(message, "type")
        if not isinstance(name, str) or not isinstance(kind, str):
            raise TextError(f"layer {i} ({name!r:.80}) needs a name and a type.")
        if name in found:
            raise TextError(f"two layers are called {name!r:.80}.")
        kind = _TYPES.get(kind, str(kind)) if isinstance(kind, Word) else kind
        bottoms, tops = (tuple(map(str, message.get(key, ()))) for key in ("bottom", "top"))
        found[name] = CaffeLayer(
            name, kind, bottoms, tops, {k: v for k, v in message.items() if k not in ("name", "type", "bottom", "top")}
        )
    if not found:
        raise TextError("it describes no layers.")
    return found


def _is_used(message: Message) -> bool:
    """Whether a layer belongs to the phase TEST, by its rules."""

    def matches(rule):
        return isinstance(rule, dict) and one(rule, "phase", "TEST") == "TEST" and not rule.get("stage")

    included = message.get("include", [])
    return any(map(matches, included)) if included else not any(map(matches, message.get("exclude", [])))
