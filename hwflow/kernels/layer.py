"""What every hardware layer says of itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import onnx
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.costs import divisors
from hwflow.errors import HwflowError
from hwflow.kernels.arithmetic import Integers, Layer, Same
from hwflow.kernels.folding import fold_along

# Least and greatest integer of each channel, (C,) each.
Range = tuple[Integers, Integers]
# What a layer is to who reads a report.
Role = Literal["linear", "activation", "label", "plumbing"]


class HardwareLayer(RTLBackend):
    """An operation in RTL: the one place that knows it.

    A class has the name of its nodes' type. It says, beside what FINN's ops say (shapes, data types
    and widths of streams, `lut_estimation` and the other resources, `generate_hdl`):

    Attributes:
        BASE: FINN's op, or one's own, whose nodes it implements; has the operation's attributes.
        KERNEL: what reports and `hwflow kernels` call it.
        SUMMARY, RATE: what it does, and the cycles that it takes, in a line each.
        KIND: of layer that it is the heart of, `conv` or `pool` in `conv0`; None: of none.
        SUFFIX: what it is called behind the name of the layer that it belongs to.
        ROLE: what it is to who reads a report.
        TAKES_IMAGE: whether padding and windows in front of it belong to its layer.
        TAKES_BINARY: whether it computes with binary numbers (-1, +1), of all its streams, as
            they are; else they get two bits.
        DESCRIBED: macros with which its sources describe what they else place as cells of AMD's.
        BEGINS_EARLY: whether it puts out something before its first input comes.
    """

    BASE: ClassVar[type[HWCustomOp]]
    KERNEL: ClassVar[str]
    SUMMARY: ClassVar[str]
    RATE: ClassVar[str]
    KIND: ClassVar[str | None] = None
    SUFFIX: ClassVar[str] = ""
    ROLE: ClassVar[Role] = "plumbing"
    TAKES_IMAGE: ClassVar[bool] = False
    TAKES_BINARY: ClassVar[bool] = False
    DESCRIBED: ClassVar[tuple[str, ...]] = ()
    BEGINS_EARLY: ClassVar[bool] = False

    REQUIRED: ClassVar[tuple[str, ...]] = ("BASE", "KERNEL", "SUMMARY", "RATE")

    @classmethod
    def implements(cls, model: ModelWrapper, node: onnx.NodeProto) -> bool:
        """Whether this is the implementation of a node of type BASE, where BASE has several."""
        return True

    @classmethod
    def origin(cls) -> str:
        """Whose RTL it is: the package that the class is in."""
        return cls.__module__.partition(".")[0]

    # --------------------------------------------------------------------------- what it is

    def layer_kind(self) -> str | None:
        """KIND, where that is not the same for all nodes."""
        return self.KIND

    def keeps_binary(self) -> bool:
        """Whether what comes out is binary where what comes in is: numbers are moved or chosen."""
        return False

    # ---------------------------------------------------------------------------- folding

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """What the layer folds by: the numbers that `pe` and `simd` must divide."""

    def choices(self) -> dict[str, tuple[int, ...]]:
        """What a folding file may say of the layer, and each number that is allowed, ascending."""
        return {key: divisors(size) for key, size in self.sizes().items()}

    def fold(self, model: ModelWrapper, cycles: int) -> None:
        """Take the least parallelism with which a frame takes at most `cycles`.

        Unless a layer says otherwise, it moves as many channels at a time as come at a time, or
        more where the bound wants it.

        Raises:
            HwflowError: not even full parallelism is fast enough.
        """
        fold_along(model, self, cycles)

    def cycles(self) -> int:
        """Cycles that the layer needs for a frame when input is there and output is taken."""
        return int(self.get_exp_cycles())

    # ---------------------------------------------------------------------------- numbers

    @abstractmethod
    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """What the layer computes, exactly, on batches of integers.

        Args:
            model: its graph.
            windows: the layer of windows in front, where this one slides over the image itself
                (see `slides`); None: it reads what comes as it is.
            known: range of each channel of what comes.

        Raises:
            HwflowError: it has attributes for which there is no emulation.
        """

    @abstractmethod
    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """Range of each channel that comes out, from the ranges of the streams that come in."""

    def slides(self, windows: Any) -> bool:
        """Whether the emulation can slide over the image that these windows are made of."""
        return False

    def output_order(self) -> NDArray[np.int64] | None:
        """Which number of the output tensor leaves when; None: they leave in the tensor's order."""
        return None

    def stream_order(self, tensor: NDArray[Any], ind: int = 0) -> NDArray[Any]:
        """An input tensor with its numbers in the order in which they come on the stream.

        That is the tensor's own, but for layers whose windows come channel by channel.

        Args:
            tensor: (..., *shape), the shape that of the input.
            ind: which input.
        """
        return tensor

    # -------------------------------------------------------------------------------- RTL

    @property
    def folder(self) -> Path:
        """Where the layer's files are generated."""
        return Path(self.get_nodeattr("code_gen_dir_ipgen"))

    def connection(self) -> str | None:
        """SystemVerilog of module `<name>_node`, which gives the layer's core the ports that the
        top connects; None: the layer's own module has them."""
        return None

    def queue(self) -> tuple[int, int] | None:
        """Words, and bits of each, of a layer that is nothing but a queue; None: it is none."""
        return None

    def parameter(self, model: ModelWrapper, index: int) -> Integers:
        """A parameter of the layer, as integers.

        Raises:
            HwflowError: it is no integers.
        """
        name = self.onnx_node.input[index]
        values = model.get_initializer(name)
        if values is None or not np.array_equal(values, np.rint(values)):
            raise HwflowError(f"{name}: the hardware graph has parameters that are no integers")
        integers: Integers = values.astype(np.int64)
        return integers


class MovingLayer(HardwareLayer):
    """A layer that puts out the integers that come in, some of them more than once."""

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """That of what comes in."""
        return inputs[0]

    def keeps_binary(self) -> bool:
        """Numbers stay what they are."""
        return True


class TransparentLayer(MovingLayer):
    """A layer that puts out the integers that come in, as they are and in their order."""

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """Nothing changes."""
        return Same()


def magnitude(*types: Any) -> int:
    """The greatest absolute number of some data types."""
    return int(max(max(abs(t.min()), abs(t.max())) for t in types))
