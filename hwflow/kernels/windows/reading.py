"""Layers that prepare images for others, and those that read what they prepared.

They are folded together: windows, and their padding, move as many channels at a time as the layer
behind them reads where that is fast enough, and more where it is not.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import onnx
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.costs import divisors
from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.folding import least, matches
from hwflow.kernels.layer import HardwareLayer


class ImagePreparation(HardwareLayer):
    """Padding, or windows.

    Attributes:
        MAKES_WINDOWS: whether it is windows.
    """

    MAKES_WINDOWS: ClassVar[bool]

    @abstractmethod
    def channels(self) -> int:
        """Channels of the image."""

    @abstractmethod
    def follow(self, model: ModelWrapper, reader: WindowReader, folding: Mapping[str, int]) -> None:
        """Be folded as the layer is that it is for.

        Args:
            model: its graph.
            reader: that layer, folded.
            folding: what a user says of this one.

        Raises:
            HwflowError: the user says what does not go together with the reader's folding.
        """

    def sizes(self) -> dict[str, int]:
        """It moves `simd` channels at a time."""
        return {"simd": self.channels()}

    def keeps_binary(self) -> bool:
        """Numbers are moved."""
        return self.MAKES_WINDOWS

    def reads(self) -> int:
        """Channels that it reads at a time."""
        return int(self.get_nodeattr("SIMD"))


class WindowReader(HardwareLayer):
    """A layer that computes with windows.

    Attributes:
        CHANNEL_BY_CHANNEL: whether it wants all positions of some channels before those of others.
    """

    TAKES_IMAGE = True
    CHANNEL_BY_CHANNEL: ClassVar[bool]

    def reads(self) -> int:
        """Channels that it reads at a time."""
        return int(self.get_nodeattr("PE" if self.CHANNEL_BY_CHANNEL else "SIMD"))

    def reads_whole_windows(self) -> bool:
        """Whether it is folded so that it reads all positions of a window at a time."""
        return False


def reader_of(model: ModelWrapper, node: onnx.NodeProto) -> WindowReader | None:
    """The layer that padding or windows are for; None: no such node, or for no such layer."""
    readers = [hardware_layer(after) for after in model.find_consumers(node.output[0])]
    if not isinstance(hardware_layer(node), ImagePreparation) or len(readers) != 1:
        return None
    (reader,) = readers
    if isinstance(reader, ImagePreparation) and reader.MAKES_WINDOWS:
        return reader_of(model, reader.onnx_node)
    return reader if isinstance(reader, WindowReader) else None


def windows_before(model: ModelWrapper, layer: HardwareLayer) -> Any:
    """The layer of windows right before another; None: none."""
    return _preparation(model, layer, makes_windows=True)


def padding_before(model: ModelWrapper, layer: HardwareLayer) -> Any:
    """The padding right before a layer; None: none."""
    return _preparation(model, layer, makes_windows=False)


def _preparation(
    model: ModelWrapper, layer: HardwareLayer, *, makes_windows: bool
) -> ImagePreparation | None:
    producer = model.find_producer(layer.onnx_node.input[0])
    before = None if producer is None else hardware_layer(producer)
    if isinstance(before, ImagePreparation) and makes_windows == before.MAKES_WINDOWS:
        return before
    return None


def is_fast(windows: Any, simd: int, cycles: int, *, parallel: bool) -> bool:
    """Let windows move channels, or whole windows of them, and say whether that meets the bound."""
    windows.set_nodeattr("SIMD", simd)
    windows.set_nodeattr("parallel_window", int(parallel))
    return bool(windows.cycles() <= cycles)


def fast_simd(windows: Any, read: int, cycles: int) -> int:
    """Channels that windows, not parallel, move at a time: as many as are read, where that can be;
    else, for there is a converter anyway, the fewest that are fast enough."""
    channels = windows.channels()
    choices = [n for n in divisors(channels) if n % read == 0] if channels % read == 0 else []
    choices += [n for n in divisors(channels) if matches(n, read)]
    for simd in choices:
        if is_fast(windows, simd, cycles, parallel=False):
            return simd
    is_fast(windows, channels, cycles, parallel=False)
    return int(channels)


def fold_padding(padding: Any, simd: int, cycles: int) -> None:
    """Let padding, if there is any, move as many channels as what it feeds, or more where that is
    too slow.

    Raises:
        HwflowError: no number of channels is fast enough.
    """
    if padding is None:
        return
    channels = padding.channels()
    start = math.gcd(simd, channels)
    least(padding, "SIMD", (n for n in divisors(channels) if n % start == 0), cycles)


def fold_channels(layer: Any, windows: Any, cycles: int, *, parallel: bool) -> bool:
    """Give a layer that reads channel by channel, and its windows, the fewest channels that meet
    the bound, if any do."""
    for pe in divisors(layer.get_nodeattr("Channels")):
        layer.set_nodeattr("PE", pe)
        if layer.get_exp_cycles() > cycles:
            continue
        if windows is None or is_fast(windows, pe, cycles, parallel=parallel):
            return True
    return False
