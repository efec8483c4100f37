"""The names of a network's layers in its exported file: each node is named by the call that it
comes from, `stem.0` or `block.add`.

Exporters name nodes by modules' own attributes, without the path to them where a network is a graph
of calls, and clean-ups number them anew. So each call is wrapped in a module with a number before
the export, and the numbers are turned into names behind it.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import onnx
from torch import fx, nn

from hwflow.compress.quantize.tracing import is_size, path_of, source, trace
from hwflow.errors import RequestError
from hwflow.exchange.operations import operation_of

_CALL = "call"
_SCOPE = re.compile(rf"/{_CALL}(\d+)/")
# Key of a node's metadata while a file is cleaned up.
_KEY = "hwflow.call"


class _Call(nn.Module):
    """One call of a network: of a module, a function or a method."""

    def __init__(self, called: Callable[..., Any]) -> None:
        super().__init__()
        self.called = called

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.called(*args, **kwargs)


class _Method:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, owner: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(owner, self.name)(*args, **kwargs)


def with_numbered_calls(model: nn.Module) -> tuple[nn.Module, list[str]]:
    """A network each of whose calls is a module of its own, and the names of these calls.

    Args:
        model: quantized network, in eval mode; changed if it is a graph.

    Returns:
        The network; itself, and no names, where it can't be traced.
    """
    if not isinstance(model, fx.GraphModule):
        try:
            model = trace(model).eval()
        except RequestError:  # It keeps the names that the exporter gives.
            return model, []
    names: list[str] = []
    for node in model.graph.nodes:
        if not node.op.startswith("call_") or _is_of_sizes(node):
            continue
        name = f"{_CALL}{len(names)}"
        names.append(call_name(node))
        if node.op == "call_module":
            called: Callable[..., Any] = model.get_submodule(str(node.target))
        else:
            called = _Method(str(node.target)) if node.op == "call_method" else node.target
        model.add_submodule(name, _Call(called).eval())
        node.op, node.target = "call_module", name
    model.recompile()
    return model, names


def _is_of_sizes(node: fx.Node) -> bool:
    """Whether a call gives sizes, which exporters compute by themselves."""
    return is_size(node) or (node.target is operator.getitem and is_size(source(node)))


def call_name(node: fx.Node) -> str:
    """The path of the module that a call is, or was before it was quantized; of a function, its
    name behind the path of the module that calls it."""
    own = path_of(node)
    if node.op != "call_module" and own == node.name:
        own = str(getattr(node.target, "__name__", node.target))
    stack = node.meta.get("nn_module_stack") or {}
    around = str(list(stack.values())[-1][0]) if stack else ""
    return own if around in ("", own) else f"{around}.{own}"


def note_calls(model: onnx.ModelProto) -> None:
    """Let nodes remember which call they come from, whatever they are called afterwards."""
    for node in model.graph.node:
        scope = _SCOPE.match(node.name)
        if scope is not None:
            entry = node.metadata_props.add()
            entry.key, entry.value = _KEY, scope[1]


def name_nodes(model: onnx.ModelProto, names: list[str]) -> None:
    """Name nodes by the calls that they come from.

    Of several nodes of a call that depend on the input, the product, or else the first that does
    not only quantize, or else the first, has the call's name; others have that and their
    operation's, as in `fc.quant`. Names that are taken get a number.

    Args:
        model: changed in place.
        names: from `with_numbered_calls`.
    """
    calls: dict[int, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for entry in node.metadata_props:
            if entry.key == _KEY:
                calls.setdefault(int(entry.value), []).append(node)
        del node.metadata_props[:]
    constant = _constants(model)
    taken: Counter[str] = Counter()
    for number in sorted(calls):
        nodes, name = calls[number], names[number]
        active = [node for node in nodes if node.output[0] not in constant]
        products = [node for node in active if operation_of(node).product]
        computing = [node for node in active if not operation_of(node).quantizes]
        main = next(iter(products or computing or active), None)
        for node in sorted(nodes, key=lambda node: node is not main):
            own = name if node is main else f"{name}.{node.op_type.lower()}"
            taken[own] += 1
            node.name = own if taken[own] == 1 else f"{own}_{taken[own]}"


def _constants(model: onnx.ModelProto) -> set[str]:
    """Tensors that do not depend on the input."""
    constants = {"", *(tensor.name for tensor in model.graph.initializer)}
    for node in model.graph.node:
        if all(name in constants for name in node.input):
            constants.update(node.output)
    return constants
