"""Runs the hardware graph on integers, many frames at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.emulate.layers import LAYERS, TRANSPARENT, Layer
from hwflow.errors import HwflowError

Codes = NDArray[np.int64]


class Emulator:
    """The hardware graph as a function of integers, bit for bit.

    Args:
        model: chain of hardware layers, before or after converters and FIFOs are put in.

    Raises:
        HwflowError: a layer that has no emulation.
    """

    # Frames at a time: their activations stay in the processor's cache.
    BATCH = 512

    def __init__(self, model: ModelWrapper) -> None:
        self.layers: list[tuple[str, str, Layer | None]] = []
        for node in model.graph.node:
            kind = node.op_type.removesuffix("_rtl").removesuffix("_hls")
            if kind in TRANSPARENT:
                self.layers.append((node.name, node.output[0], None))
            elif kind in LAYERS:
                self.layers.append((node.name, node.output[0], LAYERS[kind](model, node)))
            else:
                raise HwflowError(
                    f"{node.name}: {node.op_type} has no emulation",
                    hint=f"emulated are {', '.join(LAYERS)}",
                )

    def run(self, codes: NDArray[np.integer]) -> Codes:
        """The output integers of frames.

        Args:
            codes: input integers, (N, ...); flattened to (N, elements).

        Returns:
            (N, outputs).
        """
        outputs = [values[-1] for values in self._batches(codes, keep=False)]
        return _joined(outputs)

    def run_layers(self, codes: NDArray[np.integer]) -> dict[str, Codes]:
        """Every layer's integers: by the name of its output tensor, (N, elements)."""
        batches = list(self._batches(codes, keep=True))
        return {
            tensor: _joined([values[index] for values in batches])
            for index, (_, tensor, _) in enumerate(self.layers)
        }

    def _batches(self, codes: NDArray[np.integer], *, keep: bool) -> Iterator[list[torch.Tensor]]:
        flat = codes.reshape(len(codes), math.prod(codes.shape[1:]))
        with torch.inference_mode():
            for start in range(0, len(flat), self.BATCH):
                value = torch.from_numpy(np.ascontiguousarray(flat[start : start + self.BATCH]))
                kept = []
                for _, _, layer in self.layers:
                    value = value if layer is None else layer(value)
                    if keep:
                        kept.append(value)
                yield kept if keep else [value]


def _joined(parts: list[torch.Tensor]) -> Codes:
    if not parts:
        return np.zeros((0, 1), np.int64)
    return torch.cat(parts).numpy().astype(np.int64)
