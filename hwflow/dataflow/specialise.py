"""Passes that choose an RTL implementation for each hardware layer, and name the layers."""

from __future__ import annotations

from collections import Counter

import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation

from hwflow.dataflow.layer_names import layer_name, set_layer
from hwflow.errors import HwflowError

RTL = "finn.custom_op.fpgadataflow.rtl"
# FINN+ has these in RTL for every part, hwflow's own kernels are the others.
IMPLEMENTATIONS = {
    "Thresholding": "Thresholding_rtl",
    "MVAU": "MVAU_rtl",
    "VVAU": "VVAU_rtl",
    "FMPadding": "FMPadding_rtl",
    "ConvolutionInputGenerator": "ConvolutionInputGenerator_rtl",
    "Pool": "Pool_rtl",
    "GlobalAccPool": "GlobalAccPool_rtl",
    "UpsampleNearestNeighbour": "UpsampleNearestNeighbour_rtl",
    "DuplicateStreams": "DuplicateStreams_rtl",
    "StreamingConcat": "StreamingConcat_rtl",
    "ElementwiseAdd": "ElementwiseAdd_rtl",
    "ElementwiseMul": "ChannelwiseMul_rtl",
    "LabelSelect": "LabelSelect_rtl",
    "StreamingFIFO": "StreamingFIFO_rtl",
    "StreamingDataWidthConverter": "WidthConverter_rtl",
}


# Layers by their names in reports, and what belongs to them.
KINDS = {
    "VVAU": "conv",
    "Pool": "pool",
    "GlobalAccPool": "pool",
    "ElementwiseAdd": "add",
    "StreamingConcat": "concat",
    "UpsampleNearestNeighbour": "upsample",
    "LabelSelect": "label",
}
SUFFIXES = {
    "Thresholding": "thresholds",
    "FMPadding": "padding",
    "ConvolutionInputGenerator": "windows",
    "DuplicateStreams": "copies",
    "ElementwiseMul": "signs",
    "ElementwiseAdd": "shift",
}
PREPARING = frozenset({"FMPadding", "ConvolutionInputGenerator"})
WINDOWED = frozenset({"conv", "pool", "linear"})


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
            node.op_type = self._implementation(model, node)
            node.domain = RTL
            getCustomOp(node).set_nodeattr("exec_mode", "cppsim")
        return model, False

    @staticmethod
    def _implementation(model: ModelWrapper, node: onnx.NodeProto) -> str:
        binary = DataType["BIPOLAR"]
        if node.op_type == "MVAU" and all(
            model.get_tensor_datatype(name) == binary for name in node.input[:2]
        ):
            return "XnorMVAU_rtl"
        if node.op_type == "ElementwiseAdd" and has_constant(node):
            return "ChannelwiseAdd_rtl"
        if node.op_type not in IMPLEMENTATIONS:
            raise HwflowError(
                f"{node.name}: the operation {node.op_type} has no RTL implementation",
                hint=f"hardware takes {', '.join(IMPLEMENTATIONS)}",
            )
        return IMPLEMENTATIONS[node.op_type]


def has_constant(node: onnx.NodeProto) -> bool:
    """Whether an elementwise layer works with numbers of its own, not with a second stream."""
    return bool(getCustomOp(node).get_nodeattr("rhs_style") == "const")


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
            owner = layers.get(node.output[0]) or owners[node.input[0]]
            suffix = "" if node.output[0] in layers and _kind(node) else _suffix(node)
            name = f"{owner}_{suffix}" if suffix else owner
            names[name] += 1
            node.name = name if names[name] == 1 else f"{name}{names[name]}"
            set_layer(node, users.get(owner, owner), node.name.removeprefix(owner))
            owners.update(dict.fromkeys(node.output, owner))
        return model, False


def layer_of(name: str) -> str:
    """The layer that a node belongs to, by its name."""
    return name.split("_")[0]


def base_op(node: onnx.NodeProto) -> str:
    """FINN's name of a hardware layer's operation, whatever implements it."""
    op = node.op_type.removesuffix("_rtl").removesuffix("_hls")
    return {
        "XnorMVAU": "MVAU",
        "LutMVAU": "MVAU",
        "ChannelwiseAdd": "ElementwiseAdd",
        "ChannelwiseMul": "ElementwiseMul",
        "WidthConverter": "StreamingDataWidthConverter",
    }.get(op, op)


def _layers(model: ModelWrapper) -> dict[str, str]:
    """The layer of each tensor that belongs to one whatever led to it: what a layer makes, and the
    padding and windows that it reads."""
    counts: Counter[str] = Counter()
    layers: dict[str, str] = {}
    for node in model.graph.node:
        kind = _kind(node)
        if kind is None:
            continue
        layer = "label" if kind == "label" else f"{kind}{counts[kind]}"
        counts[kind] += 1
        layers[node.output[0]] = layer
        before = model.find_producer(node.input[0])
        while before is not None and base_op(before) in PREPARING and kind in WINDOWED:
            layers[before.output[0]] = layer
            before = model.find_producer(before.input[0])
    return layers


def _user_layers(model: ModelWrapper, layers: dict[str, str]) -> dict[str, str]:
    """The name in the user's network of each layer; names that are taken get a number."""
    users: dict[str, str] = {}
    taken: Counter[str] = Counter({"input": 1, "label": 1})
    for node in model.graph.node:
        layer, name = layers.get(node.output[0]), layer_name(node)
        if _kind(node) in (None, "label") or layer is None or name is None:
            continue
        taken[name] += 1
        users[layer] = name if taken[name] == 1 else f"{name}_{taken[name]}"
    return users


def _kind(node: onnx.NodeProto) -> str | None:
    """What kind of layer a node is the heart of."""
    op = base_op(node)
    if op == "MVAU":
        vectors = getCustomOp(node).get_nodeattr("numInputVectors")
        return "conv" if len(vectors) > 1 else "linear"
    if op == "ElementwiseAdd" and has_constant(node):
        return None
    return KINDS.get(op)


def _suffix(node: onnx.NodeProto) -> str:
    return SUFFIXES.get(base_op(node), base_op(node).lower())
