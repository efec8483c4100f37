"""The streams of a hardware graph: which layers they join, and what their beats carry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.errors import HwflowError
from hwflow.rtl.design import Port, Stream


def as_port(stream: Stream) -> Port:
    """What a stream's beats carry, without what it joins."""
    return Port(**{name: getattr(stream, name) for name in Port.model_fields})


def streams_of(model: ModelWrapper) -> tuple[Stream, ...]:
    """Every stream of a graph: the input, those between layers in order, the output.

    Raises:
        HwflowError: a tensor does not go from one layer to one other, or the two ends of a
            stream differ in what they take its beats for.
    """
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    inner = [tensor for node in model.graph.node for tensor in node.output if tensor != sink]
    return tuple(
        _stream(model, f"e{index}", tensor) for index, tensor in enumerate([source, *inner, sink])
    )


def stream_inputs(model: ModelWrapper, node: Any) -> list[str]:
    """A layer's inputs that are streams; the others are parameters."""
    return [name for name in node.input if name and model.get_initializer(name) is None]


def _stream(model: ModelWrapper, name: str, tensor: str) -> Stream:
    producer = model.find_producer(tensor)
    consumers = [node for node in model.graph.node if tensor in node.input]
    is_input, is_output = (
        tensor in {info.name for info in infos} for infos in (model.graph.input, model.graph.output)
    )
    if is_input + (producer is not None) != 1 or is_output + len(consumers) != 1:
        raise HwflowError(
            f"{tensor} goes to {len(consumers)} layers; a stream joins one layer to one other",
            hint="what several layers read is copied by DuplicateStreams",
        )
    (consumer,) = consumers or (None,)
    out = list(producer.output).index(tensor) if producer is not None else 0
    into = list(consumer.input).index(tensor) if consumer is not None else 0
    ends = list(_ends(producer, out, consumer, into))
    names = [node.name for node in (producer, consumer) if node is not None]
    if any(end != ends[0] for end in ends):
        raise HwflowError(
            f"{names[0]} puts out {_words(ends[0])}, {names[1]} takes {_words(ends[1])}",
            hint="this is a defect of hwflow's lowering or of an op",
        )
    return Stream(
        name=name,
        producer=producer.name if producer is not None else "s_axis",
        out=out,
        consumer=consumer.name if consumer is not None else "m_axis",
        into=into,
        tensor=tensor,
        **ends[0].model_dump(),
    )


def _ends(producer: Any, out: int, consumer: Any, into: int) -> Iterator[Port]:
    """What the layers at a stream's ends, those that there are, say of it."""
    if producer is not None:
        layer = getCustomOp(producer)
        yield _port(
            layer.get_output_datatype(out),
            layer.get_folded_output_shape(out),
            layer.get_outstream_width_padded(out),
        )
    if consumer is not None:
        layer = getCustomOp(consumer)
        yield _port(
            layer.get_input_datatype(into),
            layer.get_folded_input_shape(into),
            layer.get_instream_width_padded(into),
        )


def _port(datatype: Any, folded: Any, padded: int) -> Port:
    *beats, elements = (int(size) for size in folded)
    bits, bipolar = int(datatype.bitwidth()), datatype == DataType["BIPOLAR"]
    return Port(
        width=elements * bits,
        padded_width=int(padded),
        beats=math.prod(beats),
        element_bits=bits,
        elements=elements,
        signed=datatype.signed() and not bipolar,
        bipolar=bipolar,
    )


def _words(port: Port) -> str:
    sign = "bipolar" if port.bipolar else "signed" if port.signed else "unsigned"
    return f"{port.beats} beats of {port.elements} {sign} {port.element_bits}-bit numbers"
