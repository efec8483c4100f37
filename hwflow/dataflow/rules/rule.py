"""What the lowering asks of a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import onnx

from hwflow.dataflow.graph import HardwareGraph
from hwflow.dataflow.wires import Wire
from hwflow.exchange.reference import Reference

# Adds the hardware layers of a node to the graph, and tells what is known of what comes out.
Lower: TypeAlias = Callable[[HardwareGraph, Reference, onnx.NodeProto, Wire], Wire]
Join: TypeAlias = Callable[[HardwareGraph, Reference, onnx.NodeProto, Sequence[Wire]], Wire]


@dataclass(frozen=True)
class Rule:
    """How hardware layers are made of an operation.

    Attributes:
        name: that the record of an operation has for it (`Operation.lowering`, or `joining`).
        lower: of an operation on one activation, the other operands being constants.
        join: of an operation on several activations.
    """

    name: str
    lower: Lower | None = None
    join: Join | None = None
