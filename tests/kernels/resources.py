"""What Yosys makes of a layer, to fit and to test the resource estimates of kernels."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.processes import in_parallel, run_process
from hwflow.synth.cells import count_resources
from hwflow.synth.yosys import FAMILIES
from tests.kernels.bench import describe, generate_layer
from tests.support.hardware import PYNQ

Figures = dict[str, int]


def synthesised(models: Sequence[ModelWrapper], folder: Path, jobs: int = 2) -> list[Figures]:
    """Resources that each layer (a graph of one; see `one_layer`) takes on 7-series parts.

    Args:
        models: the layers.
        folder: to generate and synthesise them in.
        jobs: processes at a time.

    Returns:
        lut, ff, dsp, bram18, uram of each.
    """

    def job(index: int) -> Figures:
        place = folder / f"layer{index}"
        place.mkdir(parents=True)
        node = generate_layer(models[index], place)
        task = {
            "module": node.module,
            "files": list(node.files),
            "family": FAMILIES[PYNQ.family],
            "output": str(place),
            "defines": ["SYNTHESIS"],
        }
        (place / "job.json").write_text(json.dumps(task))
        command: list[Any] = [sys.executable, "-m", "hwflow.synth.worker", place / "job.json"]
        result = run_process(command, cwd=place)
        assert not result.code, f"{describe(models[index])}\n{result.tail(30)}"
        return count_resources(json.loads((place / "cells.json").read_text()))

    return in_parallel([functools.partial(job, index) for index in range(len(models))], jobs)


def estimated(model: ModelWrapper) -> Figures:
    """What the layer's op estimates."""
    layer = getCustomOp(model.graph.node[0])
    return {
        "lut": layer.lut_estimation(PYNQ.part),
        "dsp": layer.dsp_estimation(PYNQ.part),
        "bram18": layer.bram_estimation(PYNQ.part),
        "uram": layer.uram_estimation(PYNQ.part),
    }
