"""The graph of hardware layers while it is built: nodes, integer parameters, types and shapes.

Tensors are channels last: an image is (1, H, W, C), a signal of length L is (1, L, 1, C), a vector
is (1, F). Layers are FINN's, in its domain for layers without an implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.errors import HwflowError
from hwflow.kernels import DOMAIN
from hwflow.kernels.integer_types import integer_type
from hwflow.kernels.layer_names import set_layer

INPUT, OUTPUT = "codes", "label"
# Parameters travel in float32, which holds integers of so many bits.
PARAMETER_BITS = 24
# Bits of weights and of activations that hardware multiplies.
MOST_BITS = 8

Integers = NDArray[np.int64]
Shape = tuple[int, ...]


def type_of(values: NDArray[Any]) -> Any:
    """The smallest type that holds all of some integers."""
    return integer_type(int(values.min()), int(values.max()))


class HardwareGraph:
    """Collects hardware layers in the order of computation."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.parameters: dict[str, tuple[NDArray[Any], Any]] = {}
        self.types: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}
        self.output = OUTPUT

    def start(self, shape: Shape, datatype: Any) -> str:
        """The tensor that the accelerator takes."""
        self.shapes[INPUT], self.types[INPUT] = shape, datatype
        return INPUT

    def parameter(self, name: str, values: NDArray[Any], datatype: Any) -> str:
        """An integer parameter of a layer.

        Raises:
            HwflowError: a value of more than 24 bits.
        """
        if np.abs(values).max(initial=0) >= 2**PARAMETER_BITS:
            raise HwflowError(
                f"{name}: a value of more than {PARAMETER_BITS} bits", hint="use fewer bits"
            )
        self.parameters[name] = values, datatype
        return name

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        shape: Shape,
        datatype: Any,
        *,
        name: str,
        output: str = "",
        **attributes: Any,
    ) -> str:
        """A layer; returns the tensor that it makes.

        Args:
            op: FINN's layer.
            inputs: tensors and parameters.
            shape, datatype: of what it makes.
            name: of the operation in the network that it computes.
            output: name of what it makes; default: after the layer.
            attributes: of FINN's layer.
        """
        output = output or f"{op.lower()}{len(self.nodes)}"
        node = helper.make_node(
            op,
            list(inputs),
            [output],
            name=f"{name}_{len(self.nodes)}",
            domain=DOMAIN,
            backend="fpgadataflow",
            **attributes,
        )
        set_layer(node, name)
        self.nodes.append(node)
        self.shapes[output], self.types[output] = shape, datatype
        return output

    # --------------------------------------------------------------------------- changes

    def negatable(self, maker: int, channels: NDArray[np.bool_]) -> bool:
        """Whether the weights of some outputs of a product still are weights when negated: the
        least of the most bits that are multiplied has no opposite."""
        node = self.nodes[maker]
        weights, _ = self.parameters[node.input[1]]
        rows = weights[:, channels] if weights.ndim == 2 else weights[channels]
        return bool(rows.min(initial=0) > -(2 ** (MOST_BITS - 1)))

    def negate_rows(self, maker: int, channels: NDArray[np.bool_], low: int, high: int) -> None:
        """Negate the weights of some outputs of the product that is layer number `maker`.

        Args:
            maker: index among the nodes.
            channels: (MH,) or (C,) which outputs.
            low, high: range of all outputs afterwards.
        """
        node = self.nodes[maker]
        weights, datatype = self.parameters[node.input[1]]
        signs = np.where(channels, -1, 1)
        weights = weights * (signs if weights.ndim == 2 else signs.reshape(-1, 1, 1, 1))
        if datatype != DataType["BIPOLAR"]:
            datatype = type_of(weights)
        self.parameter(node.input[1], weights, datatype)
        sums = integer_type(low, high)
        layer = getCustomOp(node)
        layer.set_nodeattr("weightDataType", datatype.name)
        layer.set_nodeattr("outputDataType", sums.name)
        layer.set_nodeattr("accDataType", sums.name)
        self.types[node.output[0]] = sums

    # ----------------------------------------------------------------------------- model

    def model(self) -> ModelWrapper:
        """All of it, from `codes` to the output, with qonnx datatypes on every tensor."""

        def info(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name])

        graph = helper.make_graph(self.nodes, "integers", [info(INPUT)], [info(self.output)])
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)]
        model = ModelWrapper(helper.make_model(graph, opset_imports=opsets))
        for name, (values, datatype) in self.parameters.items():
            model.set_initializer(name, values.astype(np.float32))
            model.set_tensor_datatype(name, datatype)
        for name, datatype in self.types.items():
            if name not in (INPUT, self.output):
                model.set_tensor_shape(name, list(self.shapes[name]))
            model.set_tensor_datatype(name, datatype)
        return model
