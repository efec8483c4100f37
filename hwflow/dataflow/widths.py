"""Passes that give every layer the fewest bits that its RTL computes rightly with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_datatypes import InferDataTypes

from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.integer_types import signed_bits
from hwflow.kernels.multiplying import MultiplyingLayer
from hwflow.kernels.thresholding.op import Thresholding_rtl

# The least that FINN's MVU takes, of weights and of activations.
LEAST = 2


class MinimizeWeights(Transformation):
    """Give weights as many bits as their values need in two's complement.

    FINN's own pass finds unsigned, binary and one-bit types where weights happen to allow them,
    which the MVU, whose weights are signed, then misreads.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Set the type of every multiplying layer's weights."""
        for node, layer in _multiplying(model):
            weights = model.get_initializer(node.input[1])
            bits = max(LEAST, signed_bits(int(weights.min()), int(weights.max())))
            layer.set_nodeattr("weightDataType", f"INT{bits}")
            model.set_tensor_datatype(node.input[1], DataType[f"INT{bits}"])
        return model, False


class FitAccumulators(Transformation):
    """Make accumulators signed, and wide enough for every product of weight and activation type.

    To be run after FINN's MinimizeAccumulatorWidth, which goes by the values that there are: where
    those need less, the MVU refuses.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Set the type of every multiplying layer's sums."""
        for _, layer in _multiplying(model):
            sums = DataType[layer.get_nodeattr("accDataType")]
            inputs, weights = layer.get_input_datatype(0), layer.get_input_datatype(1)
            bits = max(
                sums.bitwidth() + (not sums.signed()),
                weights.bitwidth() + inputs.bitwidth() - inputs.signed(),
            )
            for attribute in ("accDataType", "outputDataType"):
                layer.set_nodeattr(attribute, f"INT{bits}")
        return model.transform(InferDataTypes()), False


class MinimizeThresholds(Transformation):
    """Give thresholds as many bits as their values need; to be run when their inputs are typed."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Set the type of every layer's thresholds."""
        for layer in map(hardware_layer, model.graph.node):
            if isinstance(layer, Thresholding_rtl):
                layer.minimize_weight_bit_width(model)
        return model, False


def _multiplying(model: ModelWrapper) -> Iterator[tuple[Any, Any]]:
    """The layers that multiply numbers, node and op."""
    for node in model.graph.node:
        layer = hardware_layer(node)
        if isinstance(layer, MultiplyingLayer) and not layer.TAKES_BINARY:
            yield node, layer
