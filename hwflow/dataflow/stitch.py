"""What goes between hardware layers: width converters and FIFOs."""

from __future__ import annotations

from collections.abc import Mapping

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.specialise import SpecialiseToRtl

# FINN's pass leaves out FIFOs of up to two words: streams of RTL layers buffer that much.
NO_FIFO = 2


def insert_converters(model: ModelWrapper) -> ModelWrapper:
    """Put a width converter wherever two layers' streams differ in width."""
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC

    model = model.transform(InsertDWC())
    _name(model, "StreamingDataWidthConverter", "width")
    return model.transform(SpecialiseToRtl())


def insert_fifos(model: ModelWrapper, depths: Mapping[str, int] | None = None) -> ModelWrapper:
    """Put FIFOs in front of layers.

    Args:
        model: chain of hardware layers and converters, left unchanged.
        depths: depth of the FIFO in front of a layer, by the layer's name; a layer that is not
            named, or has a depth of `NO_FIFO` or less, gets none. Without it every layer gets
            one, of the least depth: the graph whose simulation tells the depths.

    Returns:
        A new graph; the FIFO in front of layer `x` is called `x_fifo`.
    """
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO

    result = ModelWrapper(model.model, make_deepcopy=True)
    for node in result.graph.node:
        depth = NO_FIFO + 1 if depths is None else depths.get(node.name, 0)
        getCustomOp(node).set_nodeattr("inFIFODepths", [depth])
        getCustomOp(node).set_nodeattr("outFIFODepths", [0])
    result = result.transform(InsertFIFO())
    _name(result, "StreamingFIFO", "fifo")
    return result.transform(SpecialiseToRtl())


def _name(model: ModelWrapper, op: str, suffix: str) -> None:
    """Call inserted nodes and their outputs after the layer they feed; FINN's names are random."""
    for node in model.graph.node:
        if node.op_type == op:
            (consumer,) = model.find_consumers(node.output[0])
            node.name = f"{consumer.name}_{suffix}"
            model.rename_tensor(node.output[0], f"{node.name}_out")
