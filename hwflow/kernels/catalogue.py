"""All hardware layers that there are, hwflow's and others', and which of them a node is.

An installed package adds layers by entry points of the group `hwflow.kernels`: each a module that
has `LAYER`, a class or several, or a class itself.
"""

from __future__ import annotations

import inspect
from functools import cache

import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import add_op_to_domain, getCustomOp

from hwflow.errors import HwflowError
from hwflow.kernels import DOMAIN, RTL
from hwflow.kernels.layer import HardwareLayer
from hwflow.registry import Registry

LAYERS: Registry[type[HardwareLayer]] = Registry("hwflow.kernels", "LAYER", type)


@cache
def hardware_layers() -> dict[str, type[HardwareLayer]]:
    """The classes of all hardware layers, hwflow's and others', by their names.

    Raises:
        HwflowError: a class is no hardware layer, says not all that one has to say, or has the name
            of another.
    """
    layers: dict[str, type[HardwareLayer]] = {}
    for layer in LAYERS:
        name = f"{layer.__module__}.{layer.__name__}"
        if not issubclass(layer, HardwareLayer):
            raise HwflowError(
                f"{name} is no hardware layer",
                hint="derive it from hwflow.kernels.kernel_op.KernelOp",
            )
        missing = sorted(getattr(layer, "__abstractmethods__", ()))
        missing += [key for key in HardwareLayer.REQUIRED if not hasattr(layer, key)]
        if inspect.isabstract(layer) or missing:
            raise HwflowError(
                f"{name} does not say all that a hardware layer has to say",
                hint=f"it lacks {', '.join(missing)}",
            )
        if layer.__name__ in layers:
            other = layers[layer.__name__].__module__
            raise HwflowError(
                f"{name} and {other}.{layer.__name__} have one name", hint="rename one of them"
            )
        layers[layer.__name__] = layer
    return layers


@cache
def register() -> None:
    """Make FINN+ find all hardware layers, and the operations that they implement, by name."""
    for layer in hardware_layers().values():
        add_op_to_domain(RTL, layer)
        add_op_to_domain(DOMAIN, layer.BASE)


def implementation(model: ModelWrapper, node: onnx.NodeProto) -> type[HardwareLayer]:
    """The hardware layer that implements an operation, or that a node already is.

    Raises:
        HwflowError: none implements it, or several do.
    """
    layers = hardware_layers()
    if node.domain == RTL and node.op_type in layers:
        return layers[node.op_type]
    based = [layer for layer in layers.values() if layer.BASE.__name__ == node.op_type]
    implementations = [layer for layer in based if layer.implements(model, node)]
    if not implementations:
        known = sorted({layer.BASE.__name__ for layer in layers.values()})
        raise HwflowError(
            f"{node.name}: the operation {node.op_type} has no RTL implementation",
            hint=f"hardware takes {', '.join(known)}",
        )
    if len(implementations) > 1:
        names = " and ".join(f"{layer.__module__}.{layer.__name__}" for layer in implementations)
        raise HwflowError(
            f"{node.name}: {names} all implement {node.op_type}", hint="uninstall one of them"
        )
    return implementations[0]


def realised(model: ModelWrapper, node: onnx.NodeProto) -> HardwareLayer:
    """The op that implements a node, which need not have its implementation yet.

    Raises:
        HwflowError: none implements it, or several do.
    """
    return implementation(model, node)(node)


def hardware_layer(node: onnx.NodeProto) -> HardwareLayer:
    """The op of a node that has an RTL implementation."""
    layer: HardwareLayer = getCustomOp(node)
    return layer
