"""What goes between hardware layers: width converters and FIFOs, on every edge of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.errors import HwflowError
from hwflow.kernels import RTL
from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.fifo.op import StreamingFIFO_rtl
from hwflow.kernels.layer import HardwareLayer
from hwflow.kernels.layer_names import both_names, layer_name, set_layer, user_name
from hwflow.kernels.width_converter.op import WidthConverter_rtl

# A stream of RTL layers buffers this many words by itself.
NO_FIFO = 2
# Words up to which FINN's FIFO chooses well by itself; above, it takes an UltraRAM, which few
# parts have.
AUTOMATIC = 2028


def insert_converters(model: ModelWrapper) -> ModelWrapper:
    """Put a width converter wherever two layers' streams differ in width.

    Args:
        model: hardware layers, left unchanged.

    Returns:
        A new graph; the converter in front of layer `x` is called `x_width`, and that in front of
        input i of a layer with several, `x_in<i>_width`.

    Raises:
        HwflowError: the windows of a depthwise layer would have to be converted, whose numbers
            come in an order that depends on the width.
    """
    result = ModelWrapper(model.model, make_deepcopy=True)
    for producer, out, consumer, into in list(_edges(result)):
        source, sink = hardware_layer(producer), hardware_layer(consumer)
        if source.get_folded_output_shape(out)[-1] == sink.get_folded_input_shape(into)[-1]:
            continue
        if source.output_order() is not None:
            raise HwflowError(
                f"{both_names(producer)} puts out {source.get_folded_output_shape(out)[-1]} numbers"
                f" at a time, {both_names(consumer)} takes {sink.get_folded_input_shape(into)[-1]}",
                hint="a depthwise layer must have the PE that its windows have as SIMD",
            )
        _splice(
            result,
            consumer,
            into,
            WidthConverter_rtl,
            "width",
            list(sink.get_normal_input_shape(into)),
            inShape=list(source.get_normal_output_shape(out)),
            outShape=list(sink.get_normal_input_shape(into)),
            inWidth=source.get_outstream_width(out),
            outWidth=sink.get_instream_width(into),
            dataType=source.get_output_datatype(out).name,
        )
    return result


def insert_fifos(model: ModelWrapper, depths: Mapping[str, int] | None = None) -> ModelWrapper:
    """Put FIFOs in front of layers.

    The accelerator's own input gets none: nothing runs ahead of it.

    Args:
        model: hardware layers and converters, left unchanged.
        depths: depth of the FIFO on a stream, by `edge_name`; a stream that is not named, or has a
            depth of `NO_FIFO` or less, gets none. Without it every stream gets one, of the least
            depth: the graph whose simulation tells the depths.

    Returns:
        A new graph; the FIFO on the stream called `x` is called `x_fifo`.
    """
    result = ModelWrapper(model.model, make_deepcopy=True)
    for producer, out, consumer, into in list(_edges(result)):
        name = edge_name(result, consumer, into)
        depth = NO_FIFO + 1 if depths is None else depths.get(name, 0)
        if depth <= NO_FIFO:
            continue
        source = hardware_layer(producer)
        _splice(
            result,
            consumer,
            into,
            StreamingFIFO_rtl,
            "fifo",
            list(source.get_normal_output_shape(out)),
            depth=depth,
            folded_shape=list(source.get_folded_output_shape(out)),
            normal_shape=list(source.get_normal_output_shape(out)),
            dataType=source.get_output_datatype(out).name,
            ram_style="auto" if depth <= AUTOMATIC else "block",
        )
    return result


def edge_name(model: ModelWrapper, consumer: NodeProto, into: int) -> str:
    """What a stream is called: after the layer it feeds, and if that has several, the input."""
    streams = [name for name in consumer.input if name and model.get_initializer(name) is None]
    return consumer.name if len(streams) == 1 else f"{consumer.name}_in{into}"


def _edges(model: ModelWrapper) -> Iterator[tuple[NodeProto, int, NodeProto, int]]:
    """Streams between layers: producer and which output, consumer and which input."""
    for consumer in model.graph.node:
        for into, tensor in enumerate(consumer.input):
            producer = model.find_producer(tensor)
            if producer is not None:
                yield producer, list(producer.output).index(tensor), consumer, into


def _splice(
    model: ModelWrapper,
    consumer: NodeProto,
    into: int,
    op: type[HardwareLayer],
    suffix: str,
    shape: list[int],
    **attributes: Any,
) -> None:
    """Put a node into a stream, right before what the stream feeds."""
    name = f"{edge_name(model, consumer, into)}_{suffix}"
    source, result = consumer.input[into], f"{name}_out"
    datatype = model.get_tensor_datatype(source)
    node = helper.make_node(
        op.__name__,
        [source],
        [result],
        name=name,
        domain=RTL,
        backend="fpgadataflow",
        exec_mode="cppsim",
        **attributes,
    )
    model.graph.value_info.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, shape))
    layer = layer_name(consumer)
    if layer is not None:
        own = user_name(consumer).removeprefix(layer)
        set_layer(node, layer, own + name.removeprefix(consumer.name))
    model.set_tensor_datatype(result, datatype)
    consumer.input[into] = result
    model.graph.node.insert(list(model.graph.node).index(consumer), node)
