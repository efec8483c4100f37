"""Networks as graphs of calls, and what kinds of calls there are."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from typing import Any

import torch
from brevitas.nn import QuantLSTM, QuantMultiheadAttention, QuantRNN
from brevitas.nn.mixin.base import QuantLayerMixin, QuantRecurrentLayerMixin
from torch import fx, nn
from torch.nn import functional

from hwflow.compress.reparametrized import plain_weights
from hwflow.errors import RequestError
from hwflow.networks import Rescale, TensorNorm

# Layers with weights whose products are summed.
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
COMPUTE = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)
# Layers that Brevitas quantizes whole.
SEQUENCE = (nn.MultiheadAttention, nn.RNN, nn.LSTM)
QUANT_SEQUENCE = (QuantMultiheadAttention, QuantRNN, QuantLSTM)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d)
AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d)
ADAPTIVE_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
TRANSPARENT = (nn.Flatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity)
RELUS = (nn.ReLU, nn.ReLU6)
# Calls that change no value; that of a shape goes with them.
PASSING = (
    torch.flatten,
    "flatten",
    "contiguous",
    "view",
    "reshape",
    "size",
    getattr,
    operator.getitem,
)
# Under this key, a node's metadata say what was there before it called a quantizer.
PLACE = "place"
_RELU_CALLS = (torch.relu, functional.relu, functional.relu6, "relu", "relu_")
_ADD_CALLS = (operator.add, operator.iadd, torch.add, "add", "add_")
_RESIZE_CALLS = (functional.interpolate, functional.upsample)
_RESIZE_ARGUMENTS = ("size", "scale_factor", "mode")
_CONCAT_CALLS = (torch.cat, torch.concat, torch.concatenate)


class _Tracer(fx.Tracer):
    """Takes hwflow's own and Brevitas's layers for one call each."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = isinstance(m, Rescale | TensorNorm | QuantMultiheadAttention)
        theirs = type(m).__module__.startswith("brevitas.")
        return ours or theirs or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module) -> fx.GraphModule:
    """A copy of a network as a graph of calls, in training mode.

    Raises:
        RequestError: its forward depends on data.
    """
    own = copy.deepcopy(plain_weights(model)).train()
    try:
        graph = _Tracer().trace(own)
    except Exception as error:  # Whatever the network's own code raises of a stand-in.
        raise RequestError(
            f"the network can't be traced: {error}",
            hint="its forward must not branch or loop on the values of tensors",
        ) from error
    traced = fx.GraphModule(own, graph)
    for node in graph.nodes:
        module = module_of(traced, node)
        if module is not None and not isinstance(module, SEQUENCE) and _hides_layers(module):
            raise RequestError(
                f"the network can't be traced: layer {node.target} ({type(module).__name__}) keeps"
                " its own layers to itself",
                hint="write out what it computes, or set target: export",
            )
    return traced


def _hides_layers(module: nn.Module) -> bool:
    """Whether a layer that is one call has float layers with weights inside."""
    inner = [m for m in module.modules() if m is not module]
    return type(module).__module__.startswith("torch.") and any(
        isinstance(m, COMPUTE) for m in inner
    )


def module_of(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module that a node calls."""
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def path_of(node: fx.Node) -> str:
    """What a call is named by: the path of its module, or of that which it replaced, else the
    node's name."""
    if PLACE in node.meta:
        return str(node.meta[PLACE])
    return str(node.target) if node.op == "call_module" else node.name


def source(node: fx.Node) -> fx.Node:
    """The first value that goes into a call."""
    return node.all_input_nodes[0]


def called(node: fx.Node) -> bool:
    """Whether a node is a call of a function or a method."""
    return node.op in {"call_function", "call_method"}


def is_relu(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node is a ReLU, of any form."""
    return isinstance(module_of(traced, node), RELUS) or (
        called(node) and node.target in _RELU_CALLS
    )


def is_add(node: fx.Node) -> bool:
    """Whether a node adds two values of the network."""
    adds = called(node) and node.target in _ADD_CALLS
    return adds and all(isinstance(arg, fx.Node) and arg.op != "get_attr" for arg in node.args[:2])


def is_concatenation(node: fx.Node) -> bool:
    """Whether a node concatenates."""
    return called(node) and node.target in _CONCAT_CALLS


def is_join(node: fx.Node) -> bool:
    """Whether values meet in a node that must be in one scale."""
    return is_add(node) or is_concatenation(node)


def is_transparent(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node leaves the values that go through it as they are (dropout aside), or repeats
    them."""
    if node.target is operator.getitem:
        return is_size(source(node))  # Else it takes a part of the values.
    if _repeats(traced, node):
        return True
    return isinstance(module_of(traced, node), TRANSPARENT) or (
        called(node) and node.target in PASSING and bool(node.all_input_nodes)
    )


def is_size(node: fx.Node) -> bool:
    """Whether a call gives the sizes of a tensor."""
    return node.target == "size" or (node.target is getattr and node.args[1] == "shape")


def _repeats(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node makes an image larger by repeating its pixels."""
    module = module_of(traced, node)
    if isinstance(module, nn.Upsample):
        return module.mode == "nearest"
    if not called(node) or node.target not in _RESIZE_CALLS:
        return False
    named = dict(zip(_RESIZE_ARGUMENTS, node.args[1:], strict=False)) | dict(node.kwargs)
    return named.get("mode", "nearest") == "nearest"


def is_max_pool(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node takes maxima of neighbours."""
    return isinstance(module_of(traced, node), MAX_POOLS)


def is_global_average(module: nn.Module | None) -> bool:
    """Whether a layer averages whole images."""
    if not isinstance(module, ADAPTIVE_POOLS):
        return False
    size: Any = module.output_size
    return all(side == 1 for side in (size if isinstance(size, tuple) else (size,)))


def why_not_averaged(module: nn.Module | None) -> str | None:
    """Why lowering can't take an average pool, of which all windows must hold as many numbers; None
    if it can."""
    if is_global_average(module):
        return None
    if not isinstance(module, AVERAGE_POOLS):
        return "of parts of an image whose sizes it chooses itself"
    pool: Any = module
    pads = pool.padding if isinstance(pool.padding, tuple) else (pool.padding,)
    if pool.ceil_mode:
        return "with ceil_mode"
    if getattr(pool, "divisor_override", None) is not None:
        return "with divisor_override"
    if any(pads) and not pool.count_include_pad:
        return "with padding that does not count"
    return None


def is_average(module: nn.Module | None) -> bool:
    """Whether a layer is an average pool that lowering takes."""
    kinds = (*AVERAGE_POOLS, *ADAPTIVE_POOLS)
    # Brevitas's own pools quantize what they make.
    own = isinstance(module, kinds) and not isinstance(module, QuantLayerMixin)
    return own and why_not_averaged(module) is None


def upwards(traced: fx.GraphModule, node: fx.Node) -> Iterator[fx.Node]:
    """A node and those before it, up to and with the first that changes values."""
    yield node
    while is_transparent(traced, node) or is_max_pool(traced, node):
        node = source(node)
        yield node


def quantized_whole(model: nn.Module) -> str | None:
    """The first layer, with its name and kind, that Brevitas quantizes whole: attention or a
    recurrent layer; None if there is none."""
    for name, module in model.named_modules():
        if isinstance(module, (*SEQUENCE, *QUANT_SEQUENCE)):
            return f"layer {name} ({type(module).__name__})"
    return None


def made_of_brevitas(model: nn.Module) -> bool:
    """Whether a network has quantized layers already."""
    return any(isinstance(m, QuantLayerMixin | QuantRecurrentLayerMixin) for m in model.modules())
