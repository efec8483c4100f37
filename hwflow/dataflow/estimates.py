"""What the layers of a hardware graph take of an FPGA, by their own estimates."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.facts.resources import Resources


def estimates(model: ModelWrapper, part: str) -> dict[str, Resources]:
    """Each node's estimate, FINN's or hwflow's.

    Args:
        model: RTL hardware layers, folded.
        part: FPGA part.
    """
    by_node = {}
    for node in model.graph.node:
        estimate = getCustomOp(node).node_res_estimation(part)
        by_node[node.name] = Resources(
            lut=int(estimate["LUT"]),
            dsp=int(estimate["DSP"]),
            bram18=int(estimate["BRAM_18K"]),
            uram=int(estimate["URAM"]),
        )
    return by_node
