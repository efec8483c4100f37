"""Swaps quantized layers into a network.

A pass over the network's graph swaps in Brevitas layers, so that the result is one that the
hardware lowering takes: every linear layer between quantizers, activations with one scale and
zero point 0, batch norm kept (it goes into thresholds exactly).
"""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from hwflow.compress.quantize.quantizers import (
    input_quantizer,
    quant_linear,
    relu_activation,
    signed_activation,
)
from hwflow.errors import RequestError
from hwflow.networks import Rescale, TensorNorm
from hwflow.recipe import Quantize

TRANSPARENT = (nn.Flatten, nn.Dropout, nn.Identity)
ELEMENTWISE = (nn.BatchNorm1d, TensorNorm, Rescale)
SUPPORTED = "Linear, BatchNorm1d, ReLU, Dropout, Flatten, Identity"
_RELU = (torch.relu, functional.relu, "relu", "relu_")
_PASS = (
    torch.flatten,
    functional.dropout,
    "flatten",
    "contiguous",
    "view",
    "reshape",
    "size",
    getattr,
    operator.getitem,
)


def trace(model: nn.Module) -> fx.GraphModule:
    """The network as a graph of calls.

    Raises:
        RequestError: its forward depends on data, or it has no linear layer.
    """

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, name: str) -> bool:
            return isinstance(m, Rescale | TensorNorm) or super().is_leaf_module(m, name)

    try:
        graph = Tracer().trace(copy.deepcopy(model))
    except (fx.proxy.TraceError, TypeError) as error:
        raise RequestError(
            f"the network can't be traced: {error}",
            hint="its forward must not branch or loop on the values of tensors",
        ) from error
    traced = fx.GraphModule(copy.deepcopy(model), graph)
    if not any(isinstance(m, nn.Linear) for m in traced.modules()):
        raise RequestError("the network has no linear layer", hint=f"use {SUPPORTED}")
    return traced


def quantize_network(
    model: nn.Module, settings: Quantize, structure: dict[str, Any]
) -> fx.GraphModule:
    """Swap quantized layers into a network.

    Args:
        model: plain torch.nn network; left as it is.
        settings: bits and scales.
        structure: of the input quantizer, see `input_structure`.

    Returns:
        The quantized network, untrained beyond the values of `model`.

    Raises:
        RequestError: a layer that hardware can't take: its name, its kind and what to use.
    """
    traced = trace(model)
    nodes = list(traced.graph.nodes)
    linear = [n for n in nodes if isinstance(_module(traced, n), nn.Linear)]
    quantized: dict[fx.Node, bool] = {}  # whether a node's output is quantized
    for node in nodes:
        module = _module(traced, node)
        before = next((quantized.get(n, False) for n in node.all_input_nodes), False)
        if isinstance(module, nn.Linear):
            if not before:
                name, quantizer = _quantizer_before(node, linear, settings, structure)
                _insert_before(traced, node, name, quantizer)
            _replace(traced, node, quant_linear(module, settings, last=node is linear[-1]))
            quantized[node] = False
        elif isinstance(module, nn.ReLU) or node.target in _RELU:
            if node is not nodes[-2]:
                _activate(traced, node, relu_activation(settings))
                quantized[node] = True
            else:
                raise RequestError(
                    f"{node.name}: a ReLU at the end of the network can't be lowered",
                    hint="end with a Linear layer",
                )
        elif module is None or isinstance(module, TRANSPARENT):
            _check_call(node)
            quantized[node] = before
        elif isinstance(module, ELEMENTWISE):
            quantized[node] = False
        else:
            raise RequestError(
                f"layer {node.target} is a {type(module).__name__}, which hardware does not take",
                hint=f"use {SUPPORTED}",
            )
    traced.graph.lint()
    traced.recompile()
    return traced


def _module(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def _check_call(node: fx.Node) -> None:
    if node.op in {"call_function", "call_method"} and node.target not in _PASS:
        called = getattr(node.target, "__name__", node.target)
        raise RequestError(
            f"{node.name}: a call of {called}, which hardware does not take",
            hint=f"use {SUPPORTED}, in a chain",
        )


def _quantizer_before(
    node: fx.Node, linear: list[fx.Node], settings: Quantize, structure: dict[str, Any]
) -> tuple[str, nn.Module]:
    if node is linear[0]:
        return "input_quantizer", input_quantizer(**structure)
    return f"{node.name}_quantizer", signed_activation(settings)


def _insert_before(traced: fx.GraphModule, node: fx.Node, name: str, module: nn.Module) -> None:
    traced.add_submodule(name, module)
    with traced.graph.inserting_before(node):
        node.replace_input_with(
            node.all_input_nodes[0], traced.graph.call_module(name, (node.all_input_nodes[0],))
        )


def _replace(traced: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
    parent, _, name = str(node.target).rpartition(".")
    setattr(traced.get_submodule(parent), name, module)


def _activate(traced: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
    """Put a quantized activation in place of a ReLU; each call gets one of its own."""
    name = f"{node.name}_quantizer"
    traced.add_submodule(name, module)
    node.op, node.target = "call_module", name
    node.args, node.kwargs = (node.all_input_nodes[0],), {}
