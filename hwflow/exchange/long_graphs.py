"""Execution of QONNX files of many nodes, such as unrolled recurrent layers, for which qonnx's own
takes minutes: it starts a session for each node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.quant import quant

DOMAIN = "qonnx.custom_op.general"


class Quant(OpRun):
    """qonnx's integer quantizer."""

    op_domain = DOMAIN

    def _run(
        self,
        x: Any,
        scale: Any,
        zero_point: Any,
        bit_width: Any,
        narrow: int = 0,
        rounding_mode: str = "ROUND",
        signed: int = 1,
    ) -> tuple[Any]:
        codes = quant(x, scale, zero_point, bit_width, signed, narrow, rounding_mode)
        return (np.asarray(codes, np.float32),)


class BipolarQuant(OpRun):
    """qonnx's binary quantizer."""

    op_domain = DOMAIN

    def _run(self, x: Any, scale: Any) -> tuple[Any]:
        return (np.asarray(binary_quant(x, scale), np.float32),)


def run_long_graph(model: onnx.ModelProto, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a QONNX file of integers: onnx's reference for its operations, qonnx's for quantizers.

    Args:
        model: QONNX; shapes of what is inside need not be known.
        inputs: (N, *shape).
    """
    evaluator = ReferenceEvaluator(model, new_ops=[Quant, BipolarQuant])
    outputs: list[Any] = list(evaluator.run(None, {model.graph.input[0].name: inputs}))
    return outputs[0]
