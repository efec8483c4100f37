"""The pass that turns the arg max at the end of a classifier into a hardware layer."""

from __future__ import annotations

from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation


class InferLabelSelect(Transformation):
    """Replace [Add of integer biases,] TopK by one LabelSelect layer, which adds the biases."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Replace the TopK that produces the graph's output."""
        graph = model.graph
        top = model.find_producer(graph.output[0].name)
        inputs = [top.input[0]]
        add = model.find_producer(top.input[0])
        if add is not None and add.op_type == "Add":
            inputs = list(add.input)
            graph.node.remove(add)
        graph.node.remove(top)
        graph.node.append(
            helper.make_node(
                "LabelSelect",
                inputs,
                [graph.output[0].name],
                name="label",
                domain="finn.custom_op.fpgadataflow",
                backend="fpgadataflow",
                Labels=model.get_tensor_shape(inputs[0])[-1],
                PE=1,
                K=1,
                inputDataType=model.get_tensor_datatype(inputs[0]).name,
                outputDataType=model.get_tensor_datatype(graph.output[0].name).name,
                numInputVectors=[1],
            )
        )
        return model, False
