"""From a random network to hardware, for tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.board import load_board
from hwflow.costs import divisors
from hwflow.dataflow.lower import Lowered, lower
from hwflow.recipe import Hardware
from tests.support.random_networks import Case

PYNQ = load_board("pynq-z2")


def lowered(case: Case, hardware: Hardware | None = None) -> Lowered:
    """The hardware graph of a random network, by default on DSP blocks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(case.model, str(path))
        return lower(path, case.code, hardware or Hardware(mvau="dsp"), PYNQ)


def fold_at_random(model: ModelWrapper, seed: int) -> None:
    """Give every layer a random parallelism."""
    random = np.random.default_rng(seed)
    for node in model.graph.node:
        layer = getCustomOp(node)
        sizes = {"MH": "PE", "MW": "SIMD", "NumChannels": "PE", "Labels": "PE"}
        for size, attribute in sizes.items():
            if size in layer.get_nodeattr_types():
                choices = divisors(layer.get_nodeattr(size))
                layer.set_nodeattr(attribute, int(random.choice(choices)))
