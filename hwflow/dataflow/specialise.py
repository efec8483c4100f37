"""Passes that choose an RTL implementation for each hardware layer, and name the layers."""

from __future__ import annotations

from collections import Counter

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from hwflow.kernels import RTL
from hwflow.kernels.catalogue import hardware_layer, implementation
from hwflow.kernels.layer_names import layer_name, set_layer
from hwflow.kernels.windows.reading import ImagePreparation


class SpecialiseToRtl(Transformation):
    """Give every hardware layer its RTL implementation.

    FINN's own pass falls back to HLS, which needs a vendor tool, by rules that are fixed in it;
    here RTL is the only choice and its lack an error.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Specialise every node that is not specialised yet."""
        for node in model.graph.node:
            if node.domain == RTL:
                continue
            node.op_type = implementation(model, node).__name__
            node.domain = RTL
            hardware_layer(node).set_nodeattr("exec_mode", "cppsim")
        return model, False


class NameLayers(Transformation):
    """Name layers by what they are and their place: these names are in folding files, RTL modules
    and reports.

    `conv0` is the first convolution, `linear0` the first linear layer, and so with `pool`, `add`,
    `concat`, `upsample`; what belongs to a layer has its name and a suffix: `conv0_padding` and
    `conv0_windows` before it, `conv0_thresholds` and `conv0_copies` behind. A further one of a
    kind has a number, as `conv0_thresholds2`. `layer_of` finds the layer of a name.

    In the user's network a layer is called as the operation that its heart computes, and the rest
    as that with the same suffix.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Name every node, from input to output."""
        layers = _layers(model)
        users = _user_layers(model, layers)
        owners = {model.graph.input[0].name: "input"}  # The layer that a tensor comes out of.
        names: Counter[str] = Counter()
        for node in model.graph.node:
            layer = hardware_layer(node)
            owner = layers.get(node.output[0]) or owners[node.input[0]]
            heart = node.output[0] in layers and layer.layer_kind()
            suffix = "" if heart else layer.SUFFIX or layer.BASE.__name__.lower()
            name = f"{owner}_{suffix}" if suffix else owner
            names[name] += 1
            node.name = name if names[name] == 1 else f"{name}{names[name]}"
            set_layer(node, users.get(owner, owner), node.name.removeprefix(owner))
            owners.update(dict.fromkeys(node.output, owner))
        return model, False


def layer_of(name: str) -> str:
    """The layer that a node belongs to, by its name."""
    return name.split("_")[0]


def _layers(model: ModelWrapper) -> dict[str, str]:
    """The layer of each tensor that belongs to one whatever led to it: what a layer makes, and the
    padding and windows that it reads."""
    counts: Counter[str] = Counter()
    layers: dict[str, str] = {}
    for node in model.graph.node:
        layer = hardware_layer(node)
        kind = layer.layer_kind()
        if kind is None:
            continue
        name = "label" if kind == "label" else f"{kind}{counts[kind]}"
        counts[kind] += 1
        layers[node.output[0]] = name
        before = model.find_producer(node.input[0]) if layer.TAKES_IMAGE else None
        while before is not None and isinstance(hardware_layer(before), ImagePreparation):
            layers[before.output[0]] = name
            before = model.find_producer(before.input[0])
    return layers


def _user_layers(model: ModelWrapper, layers: dict[str, str]) -> dict[str, str]:
    """The name in the user's network of each layer; names that are taken get a number."""
    users: dict[str, str] = {}
    taken: Counter[str] = Counter({"input": 1, "label": 1})
    for node in model.graph.node:
        layer, name = layers.get(node.output[0]), layer_name(node)
        kind = hardware_layer(node).layer_kind()
        if kind in (None, "label") or layer is None or name is None:
            continue
        taken[name] += 1
        users[layer] = name if taken[name] == 1 else f"{name}_{taken[name]}"
    return users
