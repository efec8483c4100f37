"""The lowering of Sign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from qonnx.core.datatype import DataType

from hwflow.dataflow.graph import HardwareGraph
from hwflow.dataflow.rules import Rule
from hwflow.dataflow.wires import Wire, codes_of
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Reference

from .op import Signum


def _signum(graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire) -> Wire:
    if not wire.is_code:
        raise HwflowError(
            f"{node.name}: the sign of what is not quantized can't be lowered",
            hint="put a quantizer in front of it",
        )
    shape = graph.shapes[wire.name]
    name = graph.add(
        Signum.__name__,
        [wire.name],
        shape,
        DataType["INT2"],
        name=node.name,
        NumChannels=shape[-1],
        PE=1,
        inputDataType=graph.types[wire.name].name,
        numInputVectors=list(shape[:-1]),
    )
    return replace(
        wire,
        name=name,
        low=np.sign(wire.low),
        high=np.sign(wire.high),
        function=codes_of(np.ones(()), -1, 1, bipolar=False),
        maker=None,
        shared=False,
        bipolar=False,
    )


RULES = Rule("signum", lower=_signum)
