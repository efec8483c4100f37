"""Passes that give binary activations the form that FINN's hardware layers take."""

from __future__ import annotations

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation


class WidenBipolar(Transformation):
    """Give a binary activation (-1, +1) two bits where the next layer's weights are not binary.

    XNOR and popcount need both operands binary; a multiplier needs numbers. The step from -1 to
    +1 becomes two steps at one threshold, so no hardware is added but the wider stream. Binary
    weights that meet wider activations become two-bit numbers too.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Widen every such activation."""
        for node in model.get_nodes_by_op_type("MatMul"):
            binary = DataType["BIPOLAR"]
            types = [model.get_tensor_datatype(name) for name in node.input]
            if types == [binary, binary]:
                continue
            if types[1] == binary:
                model.set_tensor_datatype(node.input[1], DataType["INT2"])
            producer = model.find_producer(node.input[0])
            if types[0] == binary and producer is None:
                model.set_tensor_datatype(node.input[0], DataType["INT2"])
            elif types[0] == binary:
                thresholds = model.get_initializer(producer.input[1])
                model.set_initializer(producer.input[1], np.repeat(thresholds, 2, axis=1))
                step = getCustomOp(producer)
                step.set_nodeattr("out_dtype", "INT2")
                step.set_nodeattr("out_scale", 1.0)
                model.set_tensor_datatype(node.input[0], DataType["INT2"])
        return model, False


class BinarySteps(Transformation):
    """Rewrite binary activations from 2 * step - 1 to step: the Thresholding layer's own reading
    of a BIPOLAR output, whose one bit stands for -1 or +1."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Rewrite every binary MultiThreshold."""
        for node in model.get_nodes_by_op_type("MultiThreshold"):
            if model.get_tensor_datatype(node.output[0]) == DataType["BIPOLAR"]:
                step = getCustomOp(node)
                step.set_nodeattr("out_scale", 1.0)
                step.set_nodeattr("out_bias", 0.0)
        return model, False
