"""Random networks of torch.nn, quantized and exported by hwflow's own stages with Brevitas."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from hwflow.compress import STAGES, StageContext
from hwflow.data.dataset import Dataset, Encoding, Split
from hwflow.dataflow.integers import InputCode
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.recipe import Quantize

# Samples that the quantizers are calibrated on.
SAMPLES = 32
ENCODING = Encoding(scale=2 / 255, offset=-1.0, minimum=0, maximum=255)


@dataclass(frozen=True)
class Layer:
    """One layer of a network; what does not fit its input is made to.

    Attributes:
        kind: conv, depthwise, residual or max_pool.
        width: output channels of a convolution.
        kernel, stride, pad: of both axes.
        batch_norm: behind a convolution.
    """

    kind: str
    width: int = 4
    kernel: int = 3
    stride: int = 1
    pad: int = 0
    batch_norm: bool = True


@dataclass(frozen=True)
class Exported:
    """What Brevitas exported, and random inputs for it."""

    model: onnx.ModelProto
    code: InputCode
    shape: tuple[int, ...]
    seed: int

    def codes(self, count: int) -> NDArray[np.int64]:
        """Random input integers (N, C, H, W)."""
        return _codes(self.shape, count, self.seed + 1)

    def inputs(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """The real values that the codes mean."""
        scale, offset = np.float32(self.code.scale), np.float32(self.code.offset)
        return codes.astype(np.float64) * float(scale) + float(offset)


@dataclass(frozen=True)
class BrevitasNetwork:
    """A network and how it is quantized.

    Attributes:
        shape: of a sample, (C, H, W).
        blocks: from input to output.
        average: whether a global average comes before the last linear layer.
        hidden: neurons of a linear layer before it; 0: none.
        classes: logits.
        weight_bits, activation_bits, input_bits, weight_scaling, scale: as in a recipe.
        seed: of all numbers.
    """

    shape: tuple[int, ...]
    blocks: tuple[Layer, ...]
    average: bool
    hidden: int
    classes: int
    weight_bits: int
    activation_bits: int
    input_bits: int
    weight_scaling: str
    scale: str
    seed: int

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> BrevitasNetwork:
        """From plain data."""
        blocks = tuple(Layer(**layer) for layer in data["blocks"])
        return BrevitasNetwork(**{**data, "blocks": blocks, "shape": tuple(data["shape"])})

    def build(self) -> Exported:
        """Make the network, quantize it, calibrate it, export it.

        Raises:
            HwflowError: the export says something else than the network.
        """
        torch.manual_seed(self.seed)
        model = _network(self)
        data = _data(self)
        settings = Quantize(
            kind="quantize",
            epochs=0,
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            input_bits=self.input_bits,
            weight_scaling=cast(Literal["per_tensor", "per_channel"], self.weight_scaling),
            scale=cast(Literal["float", "power_of_two"], self.scale),
        )
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            stage: Any = STAGES["quantize"]
            stage.check(model, settings, self.shape)
            context = StageContext(data, self.seed, folder)
            quantized = stage.run(model, settings, context).model
            exported = export(quantized, self.shape, folder / "export")
            check_agreement(quantized, exported, data.floats(data.validation))
            assert exported.qonnx is not None
            network = onnx.load(str(exported.qonnx))
        code = InputCode(ENCODING.scale, ENCODING.offset, ENCODING.minimum, ENCODING.maximum)
        return Exported(network, code, self.shape, self.seed)


def random_brevitas(seed: int) -> BrevitasNetwork:
    """A description, every number of it at random."""
    random = np.random.default_rng([seed, 5])

    def one_of(*values: Any) -> Any:
        return values[random.integers(len(values))]

    def layer() -> Layer:
        return Layer(
            kind=one_of("conv", "conv", "depthwise", "residual", "max_pool"),
            width=one_of(1, 2, 3, 4, 6),
            kernel=one_of(1, 2, 3),
            stride=one_of(1, 1, 2),
            pad=one_of(0, 1),
            batch_norm=bool(random.integers(2)),
        )

    return BrevitasNetwork(
        shape=(one_of(1, 2, 3), int(random.integers(3, 9)), int(random.integers(3, 9))),
        blocks=tuple(layer() for _ in range(int(random.integers(1, 4)))),
        average=bool(random.integers(2)),
        hidden=one_of(0, 0, 6),
        classes=int(random.integers(2, 6)),
        weight_bits=int(random.integers(1, 9)),
        activation_bits=int(random.integers(1, 9)),
        input_bits=int(random.integers(2, 9)),
        weight_scaling=one_of("per_tensor", "per_channel"),
        scale=one_of("float", "power_of_two"),
        seed=seed,
    )


class _Residual(nn.Module):
    """A convolution of the same size, added to what it takes."""

    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm),
            *([nn.BatchNorm2d(channels)] if batch_norm else []),
        )
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to the same."""
        out: torch.Tensor = self.relu(self.body(x) + x)
        return out


def _network(description: BrevitasNetwork) -> nn.Module:
    layers: list[nn.Module] = []
    shape = description.shape
    for layer in description.blocks:
        layers += _layer(layer, shape)
        with torch.no_grad():
            shape = tuple(nn.Sequential(*layers).eval()(torch.zeros(1, *description.shape)).shape)
            shape = shape[1:]
    if description.average:
        layers.append(nn.AdaptiveAvgPool2d(1))
        shape = (shape[0], 1, 1)
    layers.append(nn.Flatten())
    features = math.prod(shape)
    if description.hidden:
        layers += [nn.Linear(features, description.hidden), nn.ReLU()]
        features = description.hidden
    layers.append(nn.Linear(features, description.classes))
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)  # Of either sign.
            nn.init.normal_(module.bias, std=0.5)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.2, 2)
    return model


def _layer(layer: Layer, shape: tuple[int, ...]) -> list[nn.Module]:
    channels, side = shape[0], min(shape[1:])
    kernel = min(layer.kernel, side)
    pad = min(layer.pad, kernel // 2)
    if layer.kind == "max_pool":
        return [nn.MaxPool2d(kernel, layer.stride, pad)]
    if layer.kind == "residual":
        return [_Residual(channels, layer.batch_norm)]
    deep = layer.kind == "depthwise"
    width, groups = (channels, channels) if deep else (layer.width, 1)
    norm: list[nn.Module] = [nn.BatchNorm2d(width)] if layer.batch_norm else []
    convolution = nn.Conv2d(
        channels, width, kernel, layer.stride, pad, groups=groups, bias=not norm
    )
    return [convolution, *norm, nn.ReLU()]


def _codes(shape: tuple[int, ...], count: int, seed: int) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    return random.integers(ENCODING.minimum, ENCODING.maximum + 1, (count, *shape))


def _data(description: BrevitasNetwork) -> Dataset:
    """Random samples of random classes."""
    codes = _codes(description.shape, SAMPLES, description.seed).astype(np.uint8)
    labels = np.arange(SAMPLES) % description.classes
    samples = Split(codes, labels.astype(np.int64))
    return Dataset(
        "random", description.classes, description.shape, samples, samples, samples, ENCODING
    )
