"""The pass over a network's graph that swaps in Brevitas layers.

The result is one that hardware lowering takes wherever its layers allow it: every linear and
convolutional layer between quantizers, activations with one scale and zero point 0, batch norm
kept (it goes into thresholds exactly), values that meet in one scale, max pools behind quantizers.
"""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
from torch import fx, nn

from hwflow.compress.quantize.layers import quant_layer, quant_sequence_layer
from hwflow.compress.quantize.policies import Policies
from hwflow.compress.quantize.quantizers import (
    RELU6,
    activation_quantizer,
    input_quantizer,
    is_integer,
    relu_activation,
    signed_activation,
)
from hwflow.compress.quantize.sharing import Group, Sharing
from hwflow.compress.quantize.standardize import standardize
from hwflow.compress.quantize.tracing import (
    COMPUTE,
    PLACE,
    SEQUENCE,
    called,
    is_average,
    is_concatenation,
    is_join,
    is_max_pool,
    is_relu,
    is_transparent,
    module_of,
    path_of,
    source,
    trace,
    upwards,
)
from hwflow.compress.quantize.values import plain
from hwflow.costs.layers import example_input
from hwflow.errors import RequestError
from hwflow.recipe import Quantize

SUPPORTED = (
    "Linear, Conv1d, Conv2d (plain or depthwise), BatchNorm, ReLU, MaxPool, AdaptiveAvgPool(1),"
    " +, torch.cat, Dropout, Flatten, Identity"
)


def standard_graph(model: nn.Module, shape: tuple[int, ...] | None) -> fx.GraphModule:
    """A copy of a float network as a graph that the pass takes.

    Args:
        model: plain torch.nn network.
        shape: of one sample, where it is known.

    Raises:
        RequestError: its forward depends on data, or there is nothing to quantize.
    """
    traced = trace(model)
    if hasattr(model, "input_dtype"):
        traced.meta["input_dtype"] = model.input_dtype
    if not any(isinstance(m, (*COMPUTE, *SEQUENCE)) for m in traced.modules()):
        raise RequestError("the network has no linear layer", hint=f"use {SUPPORTED}")
    standardize(traced, None if shape is None else example_input(model, shape))
    return traced


def quantize_network(
    model: nn.Module, settings: Quantize, structure: dict[str, Any]
) -> fx.GraphModule:
    """Swap quantized layers into a network.

    Args:
        model: plain torch.nn network; left as it is.
        settings: bits and scales.
        structure: of the input quantizer, see `input_structure`; and the `shape` of one sample,
            where it is known.

    Returns:
        The quantized network, untrained beyond the values of `model`.

    Raises:
        RequestError: it can't be traced, has nothing to quantize, or a policy holds for nothing.
    """
    shape = structure.get("shape")
    traced = standard_graph(model, None if shape is None else tuple(shape))
    policies = Policies(settings)
    _Pass(traced, policies, structure).run()
    policies.check()
    graph: Any = traced.graph
    graph.lint()
    traced.recompile()
    return traced


class _Pass:
    """Goes over the graph in order of execution.

    Args:
        traced: network, standardized; changed in place.
        policies: options of each layer.
        structure: of the input quantizer.
    """

    def __init__(
        self, traced: fx.GraphModule, policies: Policies, structure: dict[str, Any]
    ) -> None:
        self.traced, self.policies, self.structure = traced, policies, structure
        self.sharing = Sharing(traced)
        self.nodes = list(traced.graph.nodes)
        linear = [n for n in self.nodes if isinstance(module_of(traced, n), COMPUTE)]
        self.last = linear[-1] if linear else None
        self.done: set[str] = set()  # layers that are quantized, which may be called again
        self.quantized: dict[fx.Node, bool] = {}  # whether a node's output is quantized
        self.derived: dict[fx.Node, bool] = {}  # whether it comes out of a layer with weights
        self.before: dict[fx.Node, fx.Node] = {}  # quantizers of values, for all their readers

    def run(self) -> None:
        """Quantize all layers and what goes into them."""
        for node in self.nodes:
            module = module_of(self.traced, node)
            own = isinstance(module, (*COMPUTE, *SEQUENCE))
            self.derived[node] = own or any(self.derived[n] for n in node.all_input_nodes)
            self.quantized[node] = self._visit(node, module)
            group = self.sharing.group(node)
            if group is not None and node in group.values:
                self._insert_after(node, group.name, self._shared(group))
            elif is_average(module):
                settings = self.policies.of_activation(path_of(node))
                quantizer = signed_activation(settings, settings.pool_bits)
                name = f"{node.name}_quantizer"
                if hasattr(self.traced, name):  # What goes into the pool has it.
                    name = f"{node.name}_output_quantizer"
                self._insert_after(node, name, quantizer)

    def _visit(self, node: fx.Node, module: nn.Module | None) -> bool:
        """Quantize one call; tells whether what comes out of it is quantized."""
        if isinstance(module, COMPUTE):
            self._layer(node, module)
            return False
        if isinstance(module, SEQUENCE):
            self._sequence(node, module)
            return False
        if is_relu(self.traced, node):
            self._relu(node, module)
            return True
        if is_join(node):
            return self._join(node)
        if is_average(module):
            self._quantize_input(node)
            return False
        if getattr(module, "divisor_override", None) is not None:
            raise RequestError(
                f"layer {path_of(node)}: an average pool with divisor_override is not exportable",
                hint="leave it out, and scale what comes after",
            )
        if isinstance(module, nn.Sigmoid | nn.Tanh):
            self._squash(node, module)
            return True
        if is_transparent(self.traced, node) or is_max_pool(self.traced, node):
            return self.quantized.get(source(node), False)
        if called(node) or node.op == "output":
            self._real_operands(node)
        return False

    def _real_operands(self, node: fx.Node) -> None:
        """Let a call that knows no quantized tensors have real ones."""
        for value in node.all_input_nodes:
            with self.traced.graph.inserting_before(node):
                real = self.traced.graph.call_function(plain, (value,))
            node.replace_input_with(value, real)
            self.quantized[real], self.derived[real] = False, self.derived[value]

    # ---------------------------------------------------------------------------- layers

    def _layer(self, node: fx.Node, module: nn.Module) -> None:
        self._quantize_input(node)
        name = str(node.target)
        if name not in self.done:
            settings = self.policies.of_weights(name)
            self._replace(name, quant_layer(module, settings, last=node is self.last))

    def _sequence(self, node: fx.Node, module: nn.Module) -> None:
        name = str(node.target)
        if name not in self.done:
            settings = self.policies.of_weights(name)
            self.policies.of_activation(name)
            self._replace(name, quant_sequence_layer(name, module, settings))

    def _replace(self, target: str, module: nn.Module) -> None:
        parent, _, name = target.rpartition(".")
        setattr(self.traced.get_submodule(parent), name, module)
        self.done.add(target)

    def _relu(self, node: fx.Node, module: nn.Module | None) -> None:
        """Put a quantized activation in place of a ReLU; each call gets one of its own, unless it
        shares its scale."""
        clips = isinstance(module, nn.ReLU6) or node.target is nn.functional.relu6
        clip = RELU6 if clips else None
        group = self.sharing.group(node)
        settings = self.policies.of_activation(path_of(node))
        if group is not None and not group.signed:
            self._call(node, group.name, relu_activation(settings, clip=clip))
        else:
            self._call(node, f"{node.name}_quantizer", relu_activation(settings, clip=clip))

    def _squash(self, node: fx.Node, module: nn.Module) -> None:
        settings = self.policies.of_activation(path_of(node))
        sigmoid = isinstance(module, nn.Sigmoid)
        bits = settings.activation_bits if sigmoid else settings.negative_bits
        quantizer = activation_quantizer(settings, bits, signed=not sigmoid)
        kind = qnn.QuantSigmoid if sigmoid else qnn.QuantTanh
        activation = kind(act_quant=quantizer, return_quant_tensor=is_integer(settings))
        self._call(node, f"{node.name}_quantizer", activation)

    def _call(self, node: fx.Node, name: str, module: nn.Module) -> None:
        """Let a node call a quantizer, which others may call too."""
        self._add(name, module)
        node.meta[PLACE] = path_of(node)
        node.op, node.target = "call_module", name
        node.args, node.kwargs = (source(node),), {}

    # ----------------------------------------------------------------------------- joins

    def _join(self, node: fx.Node) -> bool:
        """Bring what meets in a node into one scale."""
        group, relus = self.sharing.met_in(node)
        if group.signed:
            for value in relus:
                self._insert_between(value, node, group)
        return is_concatenation(node)

    def _insert_between(self, value: fx.Node, node: fx.Node, group: Group) -> None:
        """Quantize a ReLU's codes again, in the scale that they meet others in."""
        self._add(group.name, self._shared(group))
        with self.traced.graph.inserting_before(node):
            shared = self.traced.graph.call_module(group.name, (value,))
        node.replace_input_with(value, shared)
        self.quantized[shared] = self.derived[shared] = True

    def _shared(self, group: Group) -> nn.Module:
        return signed_activation(self.policies.of_activation(path_of(group.values[0])))

    # ---------------------------------------------------------------- quantizers in between

    def _quantize_input(self, node: fx.Node) -> None:
        """See to it that what goes into a node is quantized, before any max pool on the way."""
        value = source(node)
        if self.quantized[value]:
            return
        way = list(upwards(self.traced, value))
        pools = [step for step in way if is_max_pool(self.traced, step)]
        reader = pools[-1] if pools else node
        value = source(reader)
        if value not in self.before:
            name, quantizer = self._quantizer_before(node, value)
            self._add(name, quantizer)
            with self.traced.graph.inserting_before(reader):
                self.before[value] = self.traced.graph.call_module(name, (value,))
            self.quantized[self.before[value]] = True
            self.derived[self.before[value]] = self.derived[value]
        reader.replace_input_with(value, self.before[value])
        if pools:
            self.quantized.update(dict.fromkeys(way[: way.index(reader) + 1], True))

    def _quantizer_before(self, node: fx.Node, value: fx.Node) -> tuple[str, nn.Module]:
        is_first = not self.derived[value] and not hasattr(self.traced, "input_quantizer")
        if is_first and "limit" in self.structure:
            options = {key: self.structure[key] for key in ("bits", "signed", "limit")}
            return "input_quantizer", input_quantizer(self.policies.settings, **options)
        settings = self.policies.of_activation(path_of(node))
        return f"{node.name}_quantizer", signed_activation(settings)

    def _insert_after(self, node: fx.Node, name: str, quantizer: nn.Module) -> None:
        """Let all who read a value read it quantized."""
        self._add(name, quantizer)
        with self.traced.graph.inserting_after(node):
            inserted = self.traced.graph.call_module(name, (node,))
        node.replace_all_uses_with(inserted)
        inserted.args = (node,)
        self.quantized[inserted] = True
        self.derived[inserted] = self.derived[node]

    def _add(self, name: str, module: nn.Module) -> None:
        """Add a quantizer, unless one of that name is shared."""
        if not hasattr(self.traced, name):
            self.traced.add_submodule(name, module)


def first_layer_input(traced: fx.GraphModule) -> fx.GraphModule | None:
    """The part of a standardized float network before its first layer with weights: samples to
    what that layer sees; None if it quantizes its input itself."""
    for node in traced.graph.nodes:
        module = module_of(traced, node)
        if isinstance(module, SEQUENCE):
            return None
        if isinstance(module, COMPUTE):
            break
    head = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    for step in traced.graph.nodes:
        if step is node:
            break
        values[step] = head.node_copy(step, lambda n: values[n])
    head.output(values[source(node)])
    return fx.GraphModule(traced, head)


def keeps_values(traced: fx.GraphModule) -> bool:
    """Whether nothing before a network's first layer changes samples."""
    for node in traced.graph.nodes:
        if isinstance(module_of(traced, node), COMPUTE):
            return True
        passes = is_transparent(traced, node) or is_max_pool(traced, node)
        if node.op != "placeholder" and not passes:
            return False
    return True
