"""The FINN custom op of the LabelSelect kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.labelselect import LabelSelect
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.errors import HwflowError
from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.folding import fold_along
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.label_select.emulation import ArgMax
from hwflow.kernels.layer import Range


class LabelSelect_rtl(KernelOp, LabelSelect):
    """Arg max of (1, Labels) integers, with an optional integer bias for each label.

    Inputs: numbers (1, Labels); biases (1, Labels), an initializer, or left out. Output: the
    indices of the K greatest sums, (1, K), the greatest first; the lowest index first of equals.
    """

    BASE = LabelSelect
    KERNEL = "label_select"
    SUMMARY = (
        "indices of the greatest logits, integer biases added; lowest index first among equals"
    )
    RATE = "max(Labels / PE, K)"
    KIND = "label"
    ROLE = "label"
    SOURCE = Path(__file__).with_name("label_select.sv")
    SEVERAL = Path(__file__).with_name("top_labels.sv")

    @property
    def source(self) -> Path:
        """Of one label a smaller kernel than of several."""
        return self.SOURCE if self.get_nodeattr("K") == 1 else self.SEVERAL

    def sizes(self) -> dict[str, int]:
        """Labels."""
        return {"pe": int(self.get_nodeattr("Labels"))}

    def fold(self, model: ModelWrapper, cycles: int) -> None:
        """Compare no more numbers at a time than the bound wants: each costs a comparator."""
        fold_along(model, self, cycles, widen=False)

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """The greatest sums."""
        bias = np.zeros(self.get_nodeattr("Labels"), np.int64)
        if len(self.onnx_node.input) > 1:
            bias = self.parameter(model, 1).reshape(-1)
        return ArgMax(bias, self.get_nodeattr("K"))

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """Any label."""
        count = self.get_nodeattr("K")
        return np.zeros(count, np.int64), np.full(count, self.get_nodeattr("Labels") - 1)

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of the input stream; biases are inside the layer and no stream."""
        return LabelSelect.get_instream_width(self) if ind == 0 else 0

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python."""
        node = self.onnx_node
        sums = context[node.input[0]].astype(np.int64)
        if len(node.input) > 1:
            sums = sums + context[node.input[1]].astype(np.int64)
        order = np.argsort(-sums, axis=-1, kind="stable")[..., : self.get_nodeattr("K")]
        shape = context[node.output[0]].shape
        context[node.output[0]] = order.astype(np.float32).reshape(shape)

    def get_exp_cycles(self) -> int:
        """Cycles to take the numbers, or to put out the labels where those are more."""
        transfers = self.get_nodeattr("Labels") // self.get_nodeattr("PE")
        vectors = math.prod(self.get_nodeattr("numInputVectors"))
        return int(vectors * max(transfers, self.get_nodeattr("K")))

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: an adder and a comparator of the sum's width for each PE, and the state.

        Of several labels: each place of the list compares with, and takes, one of the numbers that
        come in, which are compared with each other first.

        Fitted to Yosys 0.70, synth_xilinx: one label of 10 labels of 7 to 17 bits, PE 1 to 10;
        2 to 10 of 10 to 1000 labels of 6 to 20 bits, PE 1 to 5, within 17 %.
        """
        pe, k = self.get_nodeattr("PE"), self.get_nodeattr("K")
        bits = self.get_input_datatype().bitwidth()
        if k == 1:
            return int(pe * (3 * bits + 4) + 16)
        total = bits + 1
        entry = total + self.get_output_datatype().bitwidth()
        merge = k * entry * (2.5 + 1.85 * (min(pe, k) - 1))
        biased = len(self.onnx_node.input) > 1
        luts: int = round(merge + total * (1.2 * pe * (pe - 1) / 2 + pe * biased))
        return luts

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module, biases in its parameters.

        Raises:
            HwflowError: more labels are wanted than there are.
        """
        labels, datatype = self.get_nodeattr("Labels"), self.get_input_datatype()
        several = {} if self.get_nodeattr("K") == 1 else {"K": self.get_nodeattr("K")}
        if self.get_nodeattr("K") > labels:
            raise HwflowError(
                f"{self.onnx_node.name}: of {labels} numbers the {several['K']} greatest are"
                " wanted",
                hint=f"ask for {labels} labels or fewer",
            )
        names = self.onnx_node.input
        bias = np.zeros(labels, np.int64)
        if len(names) > 1:
            bias = model.get_initializer(names[1]).reshape(-1).astype(np.int64)
        greatest = max(abs(datatype.min()), abs(datatype.max())) + int(np.abs(bias).max())
        bits = int(greatest).bit_length() + 1
        packed = sum((int(b) % (1 << bits)) << (i * bits) for i, b in enumerate(bias))
        self.write_module(
            {
                "LABELS": labels,
                **several,
                "PE": self.get_nodeattr("PE"),
                "IN_BITS": datatype.bitwidth(),
                "SIGNED": int(datatype.signed()),
                "SUM_BITS": bits,
                "LABEL_BITS": self.get_output_datatype().bitwidth(),
                "BIAS": f"{labels * bits}'h{packed:x}",
            }
        )
