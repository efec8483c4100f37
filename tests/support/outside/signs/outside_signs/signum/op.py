"""The layer of signs: the operation, and its RTL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.integer_types import number_parameters
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import Range


def _sign(*inputs: torch.Tensor) -> torch.Tensor:
    return inputs[0].sign()


class Signum(HWCustomOp):
    """Signs of integers (..., NumChannels): -1, 0 or 1."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        attributes: dict[str, Any] = super().get_nodeattr_types()
        return attributes | {
            "NumChannels": ("i", True, 0),
            "PE": ("i", True, 1),
            "inputDataType": ("s", True, ""),
            "numInputVectors": ("ints", False, [1]),
        }

    def get_input_datatype(self, ind: int = 0) -> Any:
        return DataType[self.get_nodeattr("inputDataType")]

    def get_output_datatype(self, ind: int = 0) -> Any:
        return DataType["INT2"]

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        incoming = model.get_tensor_datatype(self.onnx_node.input[0])
        self.set_nodeattr("inputDataType", incoming.name)
        model.set_tensor_datatype(self.onnx_node.output[0], self.get_output_datatype())

    def get_normal_input_shape(self, ind: int = 0) -> list[int]:
        return [*self.get_nodeattr("numInputVectors"), self.get_nodeattr("NumChannels")]

    def get_normal_output_shape(self, ind: int = 0) -> list[int]:
        return self.get_normal_input_shape()

    def get_folded_input_shape(self, ind: int = 0) -> list[int]:
        *vectors, channels = self.get_normal_input_shape()
        pe = self.get_nodeattr("PE")
        return [*vectors, channels // pe, pe]

    def get_folded_output_shape(self, ind: int = 0) -> list[int]:
        return self.get_folded_input_shape()

    def get_instream_width(self, ind: int = 0) -> int:
        return int(self.get_nodeattr("PE") * self.get_input_datatype().bitwidth())

    def get_outstream_width(self, ind: int = 0) -> int:
        return int(self.get_nodeattr("PE") * self.get_output_datatype().bitwidth())

    def get_exp_cycles(self) -> int:
        return math.prod(self.get_folded_output_shape()[:-1])

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        context[self.onnx_node.output[0]] = np.sign(context[self.onnx_node.input[0]])


class Signum_rtl(KernelOp, Signum):
    """Signum in RTL, PE numbers at a time."""

    BASE = Signum
    KERNEL = "signum"
    SUMMARY = "sign of each number: -1, 0 or 1"
    RATE = "vectors * NumChannels / PE"
    KIND = "sign"
    SOURCE = Path(__file__).with_name("signum.sv")

    def sizes(self) -> dict[str, int]:
        return {"pe": int(self.get_nodeattr("NumChannels"))}

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        return _sign

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        low, high = inputs[0]
        return np.sign(low), np.sign(high)

    def lut_estimation(self, fpgapart: str) -> int:
        bits = self.get_input_datatype().bitwidth()
        return int(self.get_nodeattr("PE")) * (1 if bits <= 6 else 3) + 1

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        numbers = number_parameters(self.get_input_datatype(), self.onnx_node.name)
        self.write_module({"PE": self.get_nodeattr("PE"), **numbers})
