"""Random quantized networks of images and signals as QONNX graphs: convolutions, depthwise layers,
residual blocks, pools, averages, concatenations, upsampling, whatever the lowering takes.

A network is made from a description that is plain data, so that it can be saved and shrunk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from hwflow.dataflow.integers import InputCode
from tests.support.random_networks import _Graph

KINDS = (
    "conv",
    "depthwise",
    "pointwise",
    "max_pool",
    "average_pool",
    "trunc_pool",
    "identity_block",
    "projection_block",
    "branches",
    "upsample",
    "requantize",
)


@dataclass(frozen=True)
class Block:
    """One block of a network; what does not fit its input is made to.

    Attributes:
        kind: one of `KINDS`.
        width: output channels.
        kernel, stride, dilation: (height, width).
        pads: rows above, columns left, rows below, columns right.
        weight_bits, activation_bits: 1 to 8; 1: -1 and +1.
        per_channel, batch_norm, signed: of weights' scales, behind the convolution, activations.
        quantized_bias: whether the convolution has a bias of integers times a scale.
    """

    kind: str
    width: int = 4
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    weight_bits: int = 4
    activation_bits: int = 4
    per_channel: bool = False
    batch_norm: bool = True
    signed: bool = False
    quantized_bias: bool = False


@dataclass(frozen=True)
class Description:
    """A network.

    Attributes:
        shape: of a sample, (C, H, W) or (C, L).
        blocks: from input to output.
        head: `flatten`, or `global` for a global average.
        hidden: neurons of a linear layer before the last; 0: none.
        classes: logits.
        input_bits: of the quantized input; `direct`: its codes are what the accelerator takes.
        reduce_mean: write the global average as torch >= 2.10 does.
        seed: of all numbers.
    """

    shape: tuple[int, ...]
    blocks: tuple[Block, ...]
    head: str = "flatten"
    hidden: int = 0
    classes: int = 5
    input_bits: int = 8
    direct: bool = False
    reduce_mean: bool = False
    seed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Description:
        """The inverse of `as_json`."""

        def fixed(values: Mapping[str, Any]) -> dict[str, Any]:
            return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}

        blocks = tuple(Block(**fixed(block)) for block in data["blocks"])
        return Description(**{**fixed(data), "blocks": blocks})


@dataclass(frozen=True)
class ImageCase:
    """A network, what its input integers mean, and where it came from."""

    model: onnx.ModelProto
    code: InputCode
    description: Description = field(repr=False)

    def codes(self, count: int) -> NDArray[np.int64]:
        """Random input integers (N, C, ...), the extreme ones among them."""
        random = np.random.default_rng(self.description.seed)
        shape = (count, *self.description.shape)
        codes = random.integers(self.code.minimum, self.code.maximum + 1, shape)
        codes[0] = self.code.minimum
        if count > 1:
            codes[1] = self.code.maximum
        return codes

    def inputs(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """The real values that the codes mean."""
        scale, offset = np.float32(self.code.scale), np.float32(self.code.offset)
        return codes.astype(np.float64) * float(scale) + float(offset)


# ----------------------------------------------------------------------------------- at random


def random_description(seed: int, blocks: int = 4) -> Description:
    """A description, every number of it at random."""
    random, biases = np.random.default_rng(seed), np.random.default_rng([seed, 6])

    def one_of(*values: Any) -> Any:
        return values[random.integers(len(values))]

    def block() -> Block:
        pads = tuple(int(p) for p in random.integers(0, 3, 4))
        return Block(
            kind=one_of(*KINDS),
            width=one_of(1, 2, 3, 4, 6, 8),
            kernel=(one_of(1, 2, 3, 5), one_of(1, 2, 3, 4)),
            stride=(one_of(1, 1, 2, 3), one_of(1, 1, 2)),
            dilation=(one_of(1, 1, 2), one_of(1, 1, 1, 3)),
            pads=one_of((0, 0, 0, 0), (1, 1, 1, 1), pads),
            weight_bits=int(random.integers(1, 9)),
            activation_bits=int(random.integers(1, 9)),
            per_channel=bool(random.integers(2)),
            batch_norm=bool(random.integers(2)),
            signed=bool(random.integers(2)),
            quantized_bias=bool(biases.random() < 0.25),
        )

    image = (int(random.integers(3, 12)), int(random.integers(3, 12)))
    signal = (int(random.integers(6, 40)),)
    return Description(
        shape=(one_of(1, 2, 3, 4), *one_of(image, image, signal)),
        blocks=tuple(block() for _ in range(int(random.integers(1, blocks + 1)))),
        head=one_of("flatten", "global"),
        hidden=one_of(0, 0, 6),
        classes=int(random.integers(2, 8)),
        input_bits=int(random.integers(1, 9)),
        direct=bool(random.integers(2)),
        reduce_mean=bool(random.integers(2)),
        seed=seed,
    )


def image_cases(blocks: int = 4) -> st.SearchStrategy[ImageCase]:
    """Random networks of images and signals."""
    return st.integers(0, 2**31).map(lambda seed: build(random_description(seed, blocks)))


def build(description: Description) -> ImageCase:
    """The network of a description, its numbers random."""
    return _Network(description).case()


# ------------------------------------------------------------------------------------ building


@dataclass(frozen=True)
class _Value:
    """A quantized tensor: its name, the shape of a sample, scale and greatest real value."""

    name: str
    shape: tuple[int, ...]
    step: float
    top: float


class _Network:
    """Builds the graph of a description."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self.graph = _Graph(np.random.default_rng(description.seed))
        self.axes = len(description.shape) - 1

    def case(self) -> ImageCase:
        """The network."""
        description = self.description
        bits = description.input_bits
        maximum = 2**bits - 1 if description.direct else 255
        if description.direct:
            code = InputCode(1 / maximum, 0.0, 0, maximum)
            step = float(np.float32(1 / maximum))
            name = self.graph.quant("input", scale=step, bits=bits, signed=False)
            value = _Value(name, description.shape, step, 1.0)
        else:
            code = InputCode(2 / maximum, -1.0, 0, maximum)
            value = self._activation("input", description.shape, 1.0, bits, signed=True)
        for block in description.blocks:
            value = getattr(self, f"_{block.kind}")(value, block)
        self._head(value)
        ends = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
            for name, shape in (
                ("input", [1, *description.shape]),
                ("logits", [1, description.classes]),
            )
        ]
        graph = helper.make_graph(
            self.graph.nodes, "random", *ends, initializer=self.graph.parameters
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 2)]
        return ImageCase(helper.make_model(graph, opset_imports=opsets), code, description)

    def _activation(
        self, name: str, shape: tuple[int, ...], top: float, bits: int, *, signed: bool
    ) -> _Value:
        """A quantizer whose greatest code stands for `top`."""
        step = float(np.float32(top / max(1, 2 ** (bits - (signed or bits == 1)) - 1)))
        return _Value(self.graph.activation(name, step, bits, signed), shape, step, top)

    # ------------------------------------------------------------------------- convolutions

    def _convolved(
        self, value: _Value, block: Block, *, groups: int = 1, width: int | None = None
    ) -> tuple[str, tuple[int, ...], float]:
        """A convolution and perhaps a batch norm: name, shape and spread of real values."""
        channels, width = value.shape[0], block.width if width is None else width
        attributes, out, taps = self._windows(block, value.shape, dilated=True)
        weights = self._weights(block, (width, channels // groups, *attributes["kernel_shape"]))
        inputs = [value.name, weights]
        if self.graph.random.random() < 0.3 and not block.batch_norm:
            inputs.append(self.graph.parameter(self.graph.random.normal(0, 0.3, width)))
        elif block.quantized_bias:
            bias = self.graph.parameter(self.graph.random.normal(0, 0.3, width))
            bits = int(self.graph.random.choice([4, 8, 16]))
            scale = float(np.float32(1.1 / 2 ** (bits - 1)))
            inputs.append(self.graph.quant(bias, scale, bits, True))
        name = self.graph.node("Conv", inputs, group=groups, **attributes)
        spread = value.top * math.sqrt(taps * channels // groups)
        shape = (width, *out)
        if block.batch_norm:
            return self.graph.batch_norm(name, width, spread), shape, 1.5
        return name, shape, spread

    def _weights(self, block: Block, shape: tuple[int, ...]) -> str:
        graph, bits = self.graph, block.weight_bits
        stored = graph.parameter(graph.random.uniform(-1, 1, shape))
        size = (shape[0], *(1 for _ in shape[1:])) if block.per_channel else ()
        scale = graph.random.uniform(0.5, 1, size).astype(np.float32)
        scale = scale / max(1, 2 ** (bits - 1) - 1)
        if bits == 1:
            return graph.node("BipolarQuant", [stored, graph.parameter(scale)])
        return graph.quant(stored, scale, bits, True, narrow=bool(graph.random.integers(2)))

    def _windows(
        self, block: Block, shape: tuple[int, ...], *, dilated: bool, padded: bool = True
    ) -> tuple[dict[str, Any], tuple[int, ...], int]:
        """Attributes of windows that fit an image, the size of what they make, and their taps."""
        axes, sizes = self.axes, shape[1:]
        pads = block.pads if padded else (0, 0, 0, 0)
        around = [(pads[axis], pads[axis + 2]) for axis in range(axes)]
        kernel, spread, steps, out = [], [], [], []
        for axis in range(axes):
            room = sizes[axis] + sum(around[axis])
            taps = min(block.kernel[axis], room)
            gap = block.dilation[axis] if dilated and taps > 1 else 1
            gap = gap if gap * (taps - 1) < room else 1
            kernel.append(taps)
            spread.append(gap)
            unseen = room - gap * (taps - 1) - 1
            # A single window of half of the image is refused.
            half = unseen > 0 and 2 * (room - unseen) <= room
            steps.append(min(block.stride[axis], unseen) if half else block.stride[axis])
            out.append(unseen // steps[axis] + 1)
        attributes: dict[str, Any] = {
            "kernel_shape": kernel,
            "strides": steps,
            "pads": [a for a, _ in around] + [b for _, b in around],
        }
        if dilated:
            attributes["dilations"] = spread
        return attributes, tuple(out), math.prod(kernel)

    def _active(self, made: tuple[str, tuple[int, ...], float], block: Block) -> _Value:
        name, shape, spread = made
        return self._activation(name, shape, spread, block.activation_bits, signed=block.signed)

    def _conv(self, value: _Value, block: Block) -> _Value:
        return self._active(self._convolved(value, block), block)

    def _pointwise(self, value: _Value, block: Block) -> _Value:
        plain = replace(block, kernel=(1, 1), pads=(0, 0, 0, 0))
        return self._active(self._convolved(value, plain), block)

    def _depthwise(self, value: _Value, block: Block) -> _Value:
        channels = value.shape[0]
        made = self._convolved(value, block, groups=channels, width=channels)
        return self._active(made, block)

    # --------------------------------------------------------------------------- branches

    def _residual(self, value: _Value, block: Block, shortcut: _Value) -> _Value:
        """A convolution of the shortcut's shape added to it, both by one quantizer."""
        plain = replace(block, stride=(1, 1), dilation=(1, 1))
        high, wide = (k if k % 2 else k + 1 for k in plain.kernel)
        pads = (high // 2, wide // 2, high // 2, wide // 2)
        plain = replace(plain, kernel=(high, wide), pads=pads)
        name, shape, spread = self._convolved(value, plain, width=shortcut.shape[0])
        top, bits = max(spread, shortcut.top), max(2, block.activation_bits)
        step = float(np.float32(top / (2 ** (bits - 1) - 1)))
        both = [self.graph.quant(n, step, bits, True) for n in (name, shortcut.name)]
        total = self.graph.node("Add", both)
        if block.batch_norm:
            total = self.graph.batch_norm(total, shape[0], top)
            top = 1.5
        return self._active((total, shape, top), block)

    def _identity_block(self, value: _Value, block: Block) -> _Value:
        return self._residual(value, block, value)

    def _projection_block(self, value: _Value, block: Block) -> _Value:
        point = replace(block, kernel=(1, 1), pads=(0, 0, 0, 0), stride=(1, 1))
        name, shape, spread = self._convolved(value, point)
        return self._residual(value, block, _Value(name, shape, 0.0, spread))

    def _branches(self, value: _Value, block: Block) -> _Value:
        """Two convolutions side by side: codes of one scale, or sums before one quantizer."""
        parts = []
        for number in range(2):
            part = replace(block, kernel=(1, 1), pads=(0, 0, 0, 0), width=block.width + number)
            parts.append(self._convolved(value, part))
        shape = (sum(p[1][0] for p in parts), *parts[0][1][1:])
        top = max(p[2] for p in parts)
        names = [name for name, _, _ in parts]
        if block.signed:
            bits = block.activation_bits
            step = float(np.float32(top / max(1, 2 ** (bits - 1) - 1)))
            names = [self.graph.activation(name, step, bits, True) for name in names]
            return _Value(self.graph.node("Concat", names, axis=1), shape, step, top)
        return self._active((self.graph.node("Concat", names, axis=1), shape, top), block)

    # ------------------------------------------------------------------------------ pools

    def _max_pool(self, value: _Value, block: Block) -> _Value:
        attributes, out, _ = self._windows(block, value.shape, dilated=False)
        halves = [k // 2 for k in attributes["kernel_shape"]]
        room = [min(p, half) for p, half in zip(attributes["pads"], 2 * halves, strict=True)]
        pads = (*room[: self.axes], *(0 for _ in range(2 - self.axes)))
        behind = (*room[self.axes :], *(0 for _ in range(2 - self.axes)))
        attributes, out, _ = self._windows(
            replace(block, pads=(*pads, *behind)), value.shape, dilated=False
        )
        return replace(
            value,
            name=self.graph.node("MaxPool", [value.name], **attributes),
            shape=(value.shape[0], *out),
        )

    def _average_pool(self, value: _Value, block: Block) -> _Value:
        attributes, out, _ = self._windows(block, value.shape, dilated=False)
        name = self.graph.node("AveragePool", [value.name], count_include_pad=1, **attributes)
        bits = block.activation_bits
        return self._activation(name, (value.shape[0], *out), value.top, bits, signed=True)

    def _trunc_pool(self, value: _Value, block: Block) -> _Value:
        """As Brevitas's TruncAvgPool2d: the low bits of the sum are left out."""
        attributes, out, taps = self._windows(block, value.shape, dilated=False, padded=False)
        name = self.graph.node("AveragePool", [value.name], **attributes)
        bits = max(2, block.activation_bits)
        scale = float(np.float32(value.step / taps))
        step = float(np.float32(scale * 2.0 ** int(np.log2(taps))))
        operands = (scale, 0.0, 16.0, step, float(bits))
        name = self.graph.node(
            "Trunc",
            [name, *(self.graph.parameter(v) for v in operands)],
            rounding_mode="floor",
            signed=1,
            narrow=0,
        )
        self.graph.nodes[-1].domain = "qonnx.custom_op.general"
        return _Value(name, (value.shape[0], *out), step, value.top)

    def _upsample(self, value: _Value, block: Block) -> _Value:
        factors = [min(f, 2) for f in block.stride[: self.axes]]
        shape = (value.shape[0], *(n * f for n, f in zip(value.shape[1:], factors, strict=True)))
        scales = self.graph.parameter([1, 1, *factors])
        name = self.graph.node(
            "Resize",
            [value.name, "", scales],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return replace(value, name=name, shape=shape)

    def _requantize(self, value: _Value, block: Block) -> _Value:
        """Fewer or more bits, and perhaps a falling function of some channels before."""
        name = value.name
        if block.batch_norm:
            name = self.graph.batch_norm(name, value.shape[0], value.top)
        top = 1.5 if block.batch_norm else value.top
        return self._active((name, value.shape, top), block)

    # ------------------------------------------------------------------------------- head

    def _head(self, value: _Value) -> None:
        if self.description.head == "global":
            axes: Sequence[int] = range(2, 2 + self.axes)
            if self.description.reduce_mean:
                name = self.graph.node("ReduceMean", [value.name], axes=list(axes), keepdims=1)
            else:
                name = self.graph.node("GlobalAveragePool", [value.name])
            shape = (value.shape[0], *(1 for _ in axes))
            value = self._activation(name, shape, value.top, 6, signed=True)
        features = math.prod(value.shape)
        name, step = self.graph.node("Flatten", [value.name], axis=1), value.step
        if self.description.hidden:
            hidden = self.description.hidden
            name = self.graph.linear(name, features, hidden, 4, True, False)
            spread = value.top * math.sqrt(features)
            made = self._activation(name, (hidden,), spread, 4, signed=False)
            name, features, step = made.name, hidden, made.step
        classes = self.description.classes
        self.graph.linear(
            name, features, classes, 4, False, False, bias_scale=step, output="logits"
        )
