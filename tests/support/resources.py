"""What Yosys makes of a layer, to fit and to test the resource estimates of kernels."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.board import Board
from hwflow.errors import ToolError
from hwflow.families import family
from hwflow.processes import in_parallel
from hwflow.synth.backend import Module
from hwflow.synth.nodes import defines
from hwflow.synth.yosys import BACKEND
from tests.support.bench import describe, generate_layer
from tests.support.hardware import PYNQ

Figures = dict[str, int]


def synthesised(
    models: Sequence[ModelWrapper], folder: Path, jobs: int = 2, board: Board = PYNQ
) -> list[Figures]:
    """Resources that each layer (a graph of one; see `one_layer`) takes.

    Args:
        models: the layers.
        folder: to generate and synthesise them in.
        jobs: processes at a time.
        board: that they are for.

    Returns:
        lut, ff, dsp, bram18, uram of each.
    """

    def job(index: int) -> Figures:
        place = folder / f"layer{index}"
        place.mkdir(parents=True)
        node = generate_layer(models[index], place, board)
        of = family(board.family)
        module = Module(node.module, place, node.files, defines(node, of))
        try:
            cells = BACKEND.synthesise(module, of, place, place / "log")
        except ToolError as error:
            raise AssertionError(f"{describe(models[index])} on {of.name}\n{error}") from error
        return of.fabric.cells.count(cells)

    return in_parallel([functools.partial(job, index) for index in range(len(models))], jobs)


def estimated(model: ModelWrapper, board: Board = PYNQ) -> Figures:
    """What the layer's op estimates."""
    layer = getCustomOp(model.graph.node[0])
    return {
        "lut": layer.lut_estimation(board.part),
        "dsp": layer.dsp_estimation(board.part),
        "bram18": layer.bram_estimation(board.part),
        "uram": layer.uram_estimation(board.part),
    }
