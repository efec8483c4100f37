"""The pass that gives every reader of a tensor a stream of its own."""

from __future__ import annotations

import math

import onnx
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from hwflow.kernels import DOMAIN
from hwflow.kernels.duplicate_streams.op import DuplicateStreams_rtl


class DuplicateBranches(Transformation):
    """Put a DuplicateStreams layer behind every tensor that several layers read: a stream has one
    reader."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Duplicate every such tensor; layers stay in the order of computation."""
        graph = model.graph
        for tensor in [graph.input[0].name, *(n.output[0] for n in graph.node)]:
            readers = [
                (node, index)
                for node in graph.node
                for index, name in enumerate(node.input)
                if name == tensor
            ]
            if len(readers) > 1:
                self._duplicate(model, tensor, readers)
        return model, False

    @staticmethod
    def _duplicate(model: ModelWrapper, tensor: str, readers: list[onnx.NodeProto]) -> None:
        shape, datatype = model.get_tensor_shape(tensor), model.get_tensor_datatype(tensor)
        copies = [f"{tensor}_copy{number}" for number in range(len(readers))]
        for copy, (node, index) in zip(copies, readers, strict=True):
            node.input[index] = copy
            info = helper.make_tensor_value_info(copy, TensorProto.FLOAT, shape)
            model.graph.value_info.append(info)
            model.set_tensor_datatype(copy, datatype)
        first = min(list(model.graph.node).index(node) for node, _ in readers)
        vectors = shape[:-1] if len(shape) > 2 else [math.prod(shape[:-1])]
        model.graph.node.insert(
            first,
            helper.make_node(
                DuplicateStreams_rtl.BASE.__name__,
                [tensor],
                copies,
                name=f"{tensor}_copies",
                domain=DOMAIN,
                backend="fpgadataflow",
                NumChannels=shape[-1],
                PE=1,
                NumOutputStreams=len(copies),
                inputDataType=datatype.name,
                numInputVectors=vectors,
                outFIFODepths=[2] * len(copies),
            ),
        )
