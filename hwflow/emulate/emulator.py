"""Runs the hardware graph on integers, many frames at a time."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.emulate.ranges import channel_ranges
from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.catalogue import realised
from hwflow.kernels.layer import Range, TransparentLayer
from hwflow.kernels.windows.reading import ImagePreparation

Codes = NDArray[np.int64]
# Numbers in the widest tensor of a batch: more would not stay in the processor's cache.
WIDEST = 2**21


@dataclass(frozen=True)
class _Step:
    """A layer: the tensors that it reads and makes."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layer: Layer


class Emulator:
    """The hardware graph as a function of integers, bit for bit.

    Windows are not made one by one where what reads them can slide over the image itself.

    Args:
        model: hardware layers in the order of computation, with or without converters and FIFOs.

    Raises:
        HwflowError: a layer that has no emulation.
    """

    # Frames at a time, at most: their activations stay in the processor's cache.
    BATCH = 512

    def __init__(self, model: ModelWrapper) -> None:
        self.input, self.output = model.graph.input[0].name, model.graph.output[0].name
        self.shape = tuple(model.get_tensor_shape(self.input))[1:]
        ranges = channel_ranges(model)
        self.steps = [_step(model, node, ranges) for node in model.graph.node]
        self.orders = dict(_stream_orders(model))
        read = {self.output, *(name for step in self.steps for name in step.inputs)}
        widest = max(math.prod(model.get_tensor_shape(name)) for name in read)
        self.batch = max(1, min(self.BATCH, WIDEST // widest))

    @property
    def tensors(self) -> dict[str, str]:
        """The (first) tensor that each layer makes, by the layer's name."""
        return {step.name: step.outputs[0] for step in self.steps}

    def run(self, codes: NDArray[np.integer]) -> Codes:
        """The output integers of frames.

        Args:
            codes: input integers, (N, ...), in the order of the input tensor: images channels
                last.

        Returns:
            (N, outputs).
        """
        return self.run_layers(codes, [self.output])[self.output]

    def run_layers(
        self, codes: NDArray[np.integer], tensors: Collection[str] | None = None
    ) -> dict[str, Codes]:
        """Integers of tensors: by their names, (N, elements), images channels last.

        Args:
            codes: see `run`.
            tensors: which; None: all that layers make.
        """
        if tensors is None:
            tensors = [name for step in self.steps for name in step.outputs]
        batches = list(self._batches(codes, tensors))
        return {name: _joined([values[name] for values in batches]) for name in tensors}

    def run_streams(self, codes: NDArray[np.integer]) -> dict[str, Codes]:
        """As `run_layers`, of all tensors, in the order in which numbers leave a layer.

        That is another one where windows go to a depthwise layer or a pool: as many channels at a
        time as that has PE, all taps of them, then the next.
        """
        layers = self.run_layers(codes)
        return {
            name: values[:, self.orders[name]] if name in self.orders else values
            for name, values in layers.items()
        }

    def _batches(
        self, codes: NDArray[np.integer], tensors: Collection[str]
    ) -> Iterator[dict[str, torch.Tensor]]:
        steps = self._needed(tensors)
        frames = codes.reshape(len(codes), *self.shape)
        with torch.inference_mode():
            for start in range(0, len(frames), self.batch):
                batch = np.ascontiguousarray(frames[start : start + self.batch], np.float32)
                values = {self.input: torch.from_numpy(batch)}
                requested: dict[str, torch.Tensor] = {}
                for step, last in steps:
                    output = step.layer(*(values[name] for name in step.inputs))
                    values.update(dict.fromkeys(step.outputs, output))
                    requested |= {name: output for name in step.outputs if name in tensors}
                    for name in last:
                        del values[name]
                yield requested

    def _needed(self, tensors: Collection[str]) -> list[tuple[_Step, list[str]]]:
        """The steps that lead to tensors, and after each the tensors that no later one reads."""
        wanted, chosen = set(tensors), []
        for step in reversed(self.steps):
            if wanted & set(step.outputs):
                chosen.append((step, [name for name in set(step.inputs) if name not in wanted]))
                wanted |= set(step.inputs)
        return chosen[::-1]


def _step(model: ModelWrapper, node: Any, ranges: dict[str, Range]) -> _Step:
    streams = [name for name in node.input if model.get_initializer(name) is None]
    windows = _windows_before(model, node)
    if windows is not None:
        streams = [windows.onnx_node.input[0]]
    layer = realised(model, node).emulation(model, windows, ranges[node.input[0]])
    return _Step(node.name, tuple(streams), tuple(node.output), layer)


def _windows_before(model: ModelWrapper, node: Any) -> Any:
    """The windows that a layer reads and can slide itself, converters and FIFOs between; None:
    none."""
    before = model.find_producer(node.input[0])
    while before is not None and _passes(model, before) and len(before.output) == 1:
        before = model.find_producer(before.input[0])
    preparation = None if before is None else realised(model, before)
    if not isinstance(preparation, ImagePreparation) or not preparation.MAKES_WINDOWS:
        return None
    return preparation if realised(model, node).slides(preparation) else None


def _passes(model: ModelWrapper, node: Any) -> bool:
    return isinstance(realised(model, node), TransparentLayer)


def _stream_orders(model: ModelWrapper) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Of each tensor whose stream is in another order: which number comes when."""
    orders: dict[str, NDArray[np.int64]] = {}
    for node in model.graph.node:
        order = realised(model, node).output_order()
        if order is None and _passes(model, node):
            order = orders.get(node.input[0])
        if order is not None:
            orders.update(dict.fromkeys(node.output, order))
    yield from orders.items()


def _joined(parts: list[torch.Tensor]) -> Codes:
    if not parts:
        return np.zeros((0, 1), np.int64)
    return torch.cat([part.reshape(len(part), -1) for part in parts]).numpy().astype(np.int64)
