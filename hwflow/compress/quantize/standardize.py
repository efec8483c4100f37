"""One form for calls that mean the same: functions become modules, pools go where quantizers can
stand before them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from hwflow.compress.quantize.tracing import (
    ADAPTIVE_POOLS,
    AVERAGE_POOLS,
    PLACE,
    is_max_pool,
    is_relu,
    module_of,
    path_of,
    source,
)
from hwflow.compress.quantize.windows import covers, note_shapes
from hwflow.errors import RequestError

# They would change what another branch still reads.
_IN_PLACE = (operator.iadd, "add_")


def standardize(traced: fx.GraphModule, example: torch.Tensor | None) -> None:
    """Bring a traced network into the form that the quantizing pass knows.

    Functional dropout, sigmoids, pools and means over positions become modules; averages over
    whole images become adaptive ones; a ReLU behind a max pool is moved before it, which changes no
    value.

    Args:
        traced: changed in place.
        example: a batch of one sample, which tells the sizes of images; None: not known.
    """
    for node in list(traced.graph.nodes):
        if node.target in _IN_PLACE:
            node.op, node.target = "call_function", operator.add
        make = _MODULES.get(node.target) if node.op in {"call_function", "call_method"} else None
        if make is not None:
            _call(traced, node, make(node))
    _means(traced)
    if example is not None:
        _whole_images(traced, example)
    _relus_before_pools(traced)
    graph: Any = traced.graph
    graph.lint()
    traced.recompile()


def _call(traced: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
    """Let a node call a module on its first input."""
    name = f"{node.name}_module"
    traced.add_submodule(name, module)
    node.meta[PLACE] = path_of(node)
    node.op, node.target = "call_module", name
    node.args, node.kwargs = (source(node),), {}


def _arguments(
    node: fx.Node, names: Sequence[str], without: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """What a function is called with behind its input, by name.

    Args:
        node: calls a function or a method.
        names: of its arguments, in order, as a module takes them; `out` and the like are none.
        without: those that a module has no place for, in order behind the others, with the value
            at which they change nothing.

    Raises:
        RequestError: it is called with another argument, or with another value of those.
    """
    values = dict(zip((*names, *without), node.args[1:], strict=False))
    values |= {name: value for name, value in node.kwargs.items() if name != "input"}
    for name, value in values.items():
        if name not in names and (name not in without or value != without[name]):
            function = getattr(node.target, "__name__", str(node.target))
            raise RequestError(
                f"{path_of(node)}: {function} with {name}={value} is not supported",
                hint=f"leave {name} out",
            )
    return {name: value for name, value in values.items() if name in names}


def _dropout(kind: type[nn.Module]) -> Callable[[fx.Node], nn.Module]:
    def make(node: fx.Node) -> nn.Module:
        options = _arguments(node, ("p", "training", "inplace"))
        # Networks are traced in training mode: `training=self.training` is True here.
        return kind(options["p"]) if options["training"] else nn.Identity()

    return make


def _max_pool(kind: type[nn.Module]) -> Callable[[fx.Node], nn.Module]:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    return lambda node: kind(**_arguments(node, names, {"return_indices": False}))


def _average_pool(kind: type[nn.Module], *more: str) -> Callable[[fx.Node], nn.Module]:
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", *more)
    return lambda node: kind(**_arguments(node, names))


def _adaptive(kind: type[nn.Module]) -> Callable[[fx.Node], nn.Module]:
    return lambda node: kind(**_arguments(node, ("output_size",)))


def _activation(kind: type[nn.Module]) -> Callable[[fx.Node], nn.Module]:
    return lambda node: kind(**_arguments(node, ()))


_MODULES: dict[Any, Callable[[fx.Node], nn.Module]] = {
    functional.dropout: _dropout(nn.Dropout),
    functional.dropout1d: _dropout(nn.Dropout1d),
    functional.dropout2d: _dropout(nn.Dropout2d),
    functional.max_pool1d: _max_pool(nn.MaxPool1d),
    functional.max_pool2d: _max_pool(nn.MaxPool2d),
    torch.max_pool1d: _max_pool(nn.MaxPool1d),
    torch.max_pool2d: _max_pool(nn.MaxPool2d),
    functional.avg_pool1d: _average_pool(nn.AvgPool1d),
    functional.avg_pool2d: _average_pool(nn.AvgPool2d, "divisor_override"),
    **dict.fromkeys((torch.sigmoid, functional.sigmoid, "sigmoid"), _activation(nn.Sigmoid)),
    **dict.fromkeys((torch.tanh, functional.tanh, "tanh"), _activation(nn.Tanh)),
    functional.adaptive_avg_pool1d: _adaptive(nn.AdaptiveAvgPool1d),
    functional.adaptive_avg_pool2d: _adaptive(nn.AdaptiveAvgPool2d),
}


def _means(traced: fx.GraphModule) -> None:
    """Means over both axes of an image become average pools."""
    for node in list(traced.graph.nodes):
        if node.op not in {"call_function", "call_method"} or node.target not in (
            torch.mean,
            "mean",
        ):
            continue
        options = _arguments(node, ("dim", "keepdim"), {"dtype": None})
        axes = options.get("dim")
        if not isinstance(axes, tuple | list) or sorted(axes) not in ([2, 3], [-2, -1]):
            continue
        _call(traced, node, nn.AdaptiveAvgPool2d(1))
        if not options.get("keepdim", False):
            name = f"{node.name}_flatten"
            traced.add_submodule(name, nn.Flatten())
            with traced.graph.inserting_after(node):
                flat = traced.graph.call_module(name, (node,))
            node.replace_all_uses_with(flat)
            flat.args = (node,)


def _whole_images(traced: fx.GraphModule, example: torch.Tensor) -> None:
    """Average pools whose window is the whole image become adaptive ones, and adaptive ones that
    change no size are taken out."""
    note_shapes(traced, example)
    for node in list(traced.graph.nodes):
        module = module_of(traced, node)
        if not isinstance(module, (*AVERAGE_POOLS, *ADAPTIVE_POOLS)):
            continue
        before, after = (tuple(n.meta["tensor_meta"].shape[2:]) for n in (source(node), node))
        if isinstance(module, ADAPTIVE_POOLS) and before == after:
            node.replace_all_uses_with(source(node))
            traced.graph.erase_node(node)
        elif isinstance(module, AVERAGE_POOLS) and covers(module, before):
            kind = ADAPTIVE_POOLS[AVERAGE_POOLS.index(type(module))]
            _call(traced, node, kind(1))


def _relus_before_pools(traced: fx.GraphModule) -> None:
    """max(relu(x)) is relu(max(x)), and a quantizer can stand before the pool only."""
    for node in list(traced.graph.nodes):
        if not is_relu(traced, node):
            continue
        while is_max_pool(traced, source(node)) and len(source(node).users) == 1:
            pool = source(node)
            node.replace_all_uses_with(pool)
            node.replace_input_with(pool, source(pool))
            pool.args = (node,)
            pool.prepend(node)
