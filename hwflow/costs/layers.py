"""The linear layers of a network as hardware sees them: matrices applied at positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

FLOAT_BITS = 32


@dataclass(frozen=True)
class LayerShape:
    """A linear or convolutional layer of one frame.

    Attributes:
        name: of the module.
        mw: inputs of a neuron: in_features, or channels of a group times kernel positions.
        mh: neurons: out_features or out_channels.
        positions: how often the matrix is applied to a frame.
        groups: of a convolution; a depthwise one has as many as channels.
        weight_bits, input_bits: 32 where they are not quantized.
    """

    name: str
    mw: int
    mh: int
    positions: int = 1
    groups: int = 1
    weight_bits: int = FLOAT_BITS
    input_bits: int = FLOAT_BITS

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.mw * self.mh

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a frame."""
        return self.mw * self.mh * self.positions


def layer_shapes(model: nn.Module, shape: tuple[int, ...]) -> list[LayerShape]:
    """The shapes of the linear and convolutional layers of a network, in order of their use.

    Args:
        model: float or Brevitas network; run once in eval mode, and left in the mode it was in.
        shape: of one sample.
    """
    from torch import nn

    shapes: list[LayerShape] = []

    def record(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            shapes.append(_shape(name, layer, args[0], getattr(output, "value", output)))

        return hook

    def record_attention(name: str) -> Callable[..., None]:
        def hook(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            shapes.extend(_projections(name, layer, args, kwargs))

        return hook

    attentions = {name: m for name, m in model.named_modules() if hasattr(m, "in_proj_bias")}
    hooks = [
        module.register_forward_hook(record(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
        and name.removesuffix(".out_proj") not in attentions
    ]
    hooks += [
        module.register_forward_hook(record_attention(name), with_kwargs=True)
        for name, module in attentions.items()
    ]
    run_once(model, shape)
    for handle in hooks:
        handle.remove()
    return shapes


def run_once(model: nn.Module, shape: tuple[int, ...]) -> None:
    """Run one sample of zeros in eval mode, and leave each module in the mode that it was in."""
    import torch

    modes = {module: module.training for module in model.modules()}
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    fused = torch.backends.mha.get_fastpath_enabled()
    # Of a fused kernel for attention, neither hooks nor counters see the parts.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            model(example_input(model, shape, device))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    for module, training in modes.items():
        module.training = training


def example_input(
    model: nn.Module, shape: tuple[int, ...], device: torch.device | None = None
) -> torch.Tensor:
    """A sample of zeros, (1, *shape), of the type that the network takes.

    Networks say with an attribute `input_dtype` that they take integers, such as tokens; graphs
    keep it among their `meta`.
    """
    import torch

    default = getattr(model, "meta", {}).get("input_dtype")
    dtype = getattr(model, "input_dtype", default)
    return torch.zeros(1, *shape, dtype=dtype, device=device)


def _shape(name: str, layer: Any, operand: Any, output: torch.Tensor) -> LayerShape:
    weight = layer.weight
    groups = getattr(layer, "groups", 1)
    elements = math.prod(output.shape[1:])
    return LayerShape(
        name=name,
        mw=math.prod(weight.shape[1:]),
        mh=weight.shape[0],
        positions=elements // weight.shape[0],
        groups=groups,
        weight_bits=_bits(getattr(layer, "weight_quant", None)),
        input_bits=min(_width(operand), _bits(getattr(layer, "input_quant", None))),
    )


def _projections(
    name: str, attention: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[LayerShape]:
    """The four layers in an `nn.MultiheadAttention`, which has weights where others have layers.

    Their names are the attention's with `.q_proj`, `.k_proj`, `.v_proj` and `.out_proj`.
    """
    named = {**dict(zip(("query", "key", "value"), args, strict=False)), **kwargs}
    rows = attention.num_heads * attention.head_dim
    shapes = [
        LayerShape(f"{name}.{part[0]}_proj", x.shape[-1], rows, x.numel() // x.shape[-1])
        for part in ("query", "key", "value")
        for x in [named[part]]
    ]
    out = attention.out_proj.weight
    return [
        *shapes,
        LayerShape(f"{name}.out_proj", out.shape[1], out.shape[0], shapes[0].positions),
    ]


def _bits(quantizer: Any) -> int:
    """Bits that a quantizer of Brevitas makes; 32 where there is none."""
    if quantizer is None or not quantizer.is_quant_enabled:
        return FLOAT_BITS
    if getattr(quantizer, "requires_quant_input", False):  # Does nothing without an input.
        return round(float(quantizer.tensor_quant.msb_clamp_bit_width_impl()))
    if hasattr(quantizer, "bit_width"):
        return round(float(quantizer.bit_width()))
    return _minifloat(quantizer.exponent_bit_width(), quantizer.mantissa_bit_width())


def _width(activation: Any) -> int:
    """Bits of an activation; 32 where it is not quantized."""
    if hasattr(activation, "exponent_bit_width"):
        return _minifloat(activation.exponent_bit_width, activation.mantissa_bit_width)
    bits = getattr(activation, "bit_width", None)
    return FLOAT_BITS if bits is None else round(float(bits))


def _minifloat(exponent: Any, mantissa: Any) -> int:
    return 1 + round(float(exponent)) + round(float(mantissa))
