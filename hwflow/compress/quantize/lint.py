"""What FINN does not take of a quantized network, found before any training.

Each rule is a line of what lowering was seen to accept or to refuse. The pass over the graph keeps
most of them by construction; networks that are written with Brevitas layers may break any. What
lies before the first or behind the last quantized layer may break all: the host runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import brevitas.nn as qnn
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.nn.quant_layer import QuantNonLinearActLayer, QuantWeightBiasInputOutputLayer
from torch import fx, nn

from hwflow.compress.quantize.graph import SUPPORTED
from hwflow.compress.quantize.places import HostPlaces
from hwflow.compress.quantize.tracing import (
    ADAPTIVE_POOLS,
    AVERAGE_POOLS,
    COMPUTE,
    CONVOLUTIONS,
    ELEMENTWISE,
    TRANSPOSED,
    called,
    is_concatenation,
    is_join,
    is_max_pool,
    is_transparent,
    module_of,
    place,
    source,
    why_not_averaged,
)

# Bits of an activation that FINN turns into thresholds.
MOST_BITS = 8
_TRUNC_POOLS = (qnn.TruncAvgPool2d, qnn.TruncAdaptiveAvgPool2d)
_HOST_TOO = "or put a QuantIdentity between it and the first quantized layer, and the host runs it"
_SPLITS = (nn.GELU, nn.LayerNorm, nn.GroupNorm, nn.SiLU)


@dataclass(frozen=True)
class Violation:
    """What FINN does not take.

    Attributes:
        layer: its name.
        problem: what it is.
        fix: what to do instead.
    """

    layer: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}; {self.fix}"

    @property
    def where(self) -> str:
        """Layer and problem."""
        separator = " " if self.problem.startswith("is ") else ": "
        return f"{self.layer}{separator}{self.problem}"


def violations(traced: fx.GraphModule) -> list[Violation]:
    """All that FINN does not take of a network, in order of execution.

    Args:
        traced: quantized network, as a graph.
    """
    return list(_Lint(traced).violations())


class _Lint:
    """Goes over a quantized graph and keeps track of what is quantized by which quantizer."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.host = HostPlaces(traced)
        # The quantizer whose scale a value is in; None: real values.
        self.scale: dict[fx.Node, nn.Module | None] = {}

    def violations(self) -> Iterator[Violation]:
        """Check each call, but those that the host can run."""
        for node in self.traced.graph.nodes:
            module = module_of(self.traced, node)
            for found in self._found(node, module):
                if self.host.lacks_quantizer(node):
                    yield replace(found, fix=f"{found.fix}; {_HOST_TOO}")
                elif not self.host.takes(node):
                    yield found
            self.scale[node] = self._scale(node, module)

    def _found(self, node: fx.Node, module: nn.Module | None) -> Iterator[Violation]:
        if called(node):
            yield from self._call(node)
        elif module is not None:
            yield from self._module(node, module)

    def _scale(self, node: fx.Node, module: nn.Module | None) -> nn.Module | None:
        """The quantizer of a call's output."""
        if isinstance(module, QuantNonLinearActLayer):
            return module
        if isinstance(module, _TRUNC_POOLS) or _has_output_quantizer(module):
            return module
        passes = is_transparent(self.traced, node) or is_max_pool(self.traced, node)
        if passes or is_concatenation(node):
            return self.scale.get(source(node))
        return None

    # ------------------------------------------------------------------------ functions

    def _call(self, node: fx.Node) -> Iterator[Violation]:
        if is_join(node):
            yield from self._join(node)
        elif not is_transparent(self.traced, node):
            name = str(getattr(node.target, "__name__", node.target))
            yield Violation(
                node.name,
                f"a call of {name}, which hardware does not take",
                f"use {SUPPORTED}",
            )

    def _join(self, node: fx.Node) -> Iterator[Violation]:
        scales = {self.scale.get(value) for value in node.all_input_nodes}
        what = "concatenated" if is_concatenation(node) else "added"
        if None in scales:
            yield Violation(
                node.name,
                f"values that are not quantized are {what}",
                "put one QuantIdentity, the same for all, before it",
            )
        elif len(scales) > 1:
            yield Violation(
                node.name,
                f"values of different scales are {what}",
                "let all of them go through one and the same QuantIdentity",
            )

    # -------------------------------------------------------------------------- modules

    def _module(self, node: fx.Node, module: nn.Module) -> Iterator[Violation]:
        name = f"layer {place(node)}"
        if isinstance(module, QuantNonLinearActLayer):
            yield from self._activation(name, node, module)
        elif isinstance(module, QuantWeightBiasInputOutputLayer):
            yield from self._layer(name, node, module)
        elif isinstance(module, COMPUTE):
            yield Violation(name, "is not quantized", f"use brevitas.nn.Quant{_kind(module)}")
        elif isinstance(module, _TRUNC_POOLS):
            yield from self._trunc_pool(name, node, module)
        elif isinstance(module, (*AVERAGE_POOLS, nn.AvgPool3d, *ADAPTIVE_POOLS)):
            yield from self._average_pool(name, node, module)
        elif is_max_pool(self.traced, node):
            if self.scale.get(source(node)) is None:
                yield Violation(
                    name,
                    "a max pool of values that are not quantized",
                    "put batch norm and ReLU before the pool",
                )
        elif not is_transparent(self.traced, node) and not isinstance(module, ELEMENTWISE):
            yield _unknown(name, module)

    def _activation(self, name: str, node: fx.Node, module: Any) -> Iterator[Violation]:
        proxy = module.act_quant
        if not isinstance(module, qnn.QuantReLU | qnn.QuantIdentity):
            yield _unknown(name, module)
        elif not hasattr(proxy, "bit_width"):
            yield Violation(name, "minifloats are for export only", "use integers")
        elif proxy.is_quant_enabled:
            yield from self._integers(name, module, float(proxy.bit_width()))

    def _integers(self, name: str, module: Any, bits: float) -> Iterator[Violation]:
        proxy = module.act_quant
        if bits > MOST_BITS:
            yield Violation(
                name,
                f"activations of {bits:.0f} bits",
                f"FINN makes thresholds of up to {MOST_BITS} bits: use fewer",
            )
        tensor_quant = proxy.fused_activation_quant_proxy.tensor_quant
        zero = getattr(tensor_quant, "zero_point_impl", None)
        if zero is not None and not isinstance(zero, ZeroZeroPoint):
            yield Violation(
                name, "a zero point other than 0", "use a symmetric quantizer (Int8Act...)"
            )
        if isinstance(module, qnn.QuantReLU) and bits > 1 and proxy.is_signed:
            yield Violation(
                name, "a ReLU of signed codes", "use an unsigned quantizer (Uint8Act...)"
            )

    def _layer(self, name: str, node: fx.Node, module: Any) -> Iterator[Violation]:
        if isinstance(module, TRANSPOSED) or not isinstance(
            module, nn.Linear | nn.Conv1d | nn.Conv2d
        ):
            yield _unknown(name, module)
            return
        if isinstance(module, CONVOLUTIONS):
            yield from _convolution(name, module)
        weights: Any = module.weight_quant
        own: Any = module.input_quant
        if not weights.is_quant_enabled:
            yield Violation(name, "weights are not quantized", "give it a weight_quant")
        if not own.is_quant_enabled and self.scale.get(source(node)) is None:
            yield from self._real_input(name, node)

    def _real_input(self, name: str, node: fx.Node) -> Iterator[Violation]:
        """A layer directly behind another is legal where that has one scale, though sums grow."""
        before = source(node)
        while is_transparent(self.traced, before):
            before = source(before)
        layer: Any = module_of(self.traced, before)
        if not isinstance(layer, QuantWeightBiasInputOutputLayer):
            yield Violation(
                name,
                "its input is not quantized",
                "put a QuantIdentity or a QuantReLU before it",
            )
        elif layer.weight_quant.scale().numel() > 1:
            yield Violation(
                name,
                f"it stands right behind {place(before)}, whose weights have one scale a channel",
                "put a signed QuantIdentity of 4 to 8 bits between, or use one scale a layer",
            )

    def _average_pool(self, name: str, node: fx.Node, module: nn.Module) -> Iterator[Violation]:
        reason = why_not_averaged(module)
        if reason is not None:
            yield Violation(
                name,
                f"{_kind(module)} {reason}",
                "use AdaptiveAvgPool2d(1), or an AvgPool2d of equal windows",
            )
            return
        if self.scale.get(source(node)) is None:
            yield Violation(
                name,
                "an average of values that are not quantized",
                "put a QuantReLU or a QuantIdentity before it",
            )
        readers = list(node.users)
        while readers and all(is_transparent(self.traced, reader) for reader in readers):
            readers = [user for reader in readers for user in reader.users]
        quantizers = (module_of(self.traced, reader) for reader in readers)
        if not all(isinstance(q, QuantNonLinearActLayer) for q in quantizers):
            yield Violation(
                name,
                "an average that is not quantized again",
                "put a signed QuantIdentity of up to 8 bits behind it",
            )

    def _trunc_pool(self, name: str, node: fx.Node, module: Any) -> Iterator[Violation]:
        if isinstance(module, qnn.TruncAdaptiveAvgPool2d):
            yield Violation(
                name,
                "TruncAdaptiveAvgPool2d is not mapped",
                "use AdaptiveAvgPool2d(1) and a QuantIdentity behind it",
            )
        elif why_not_averaged(module) is not None:
            yield Violation(
                name,
                f"TruncAvgPool2d {why_not_averaged(module)}",
                "let all its windows be whole, and their mean be divided by their size",
            )
        elif module.trunc_quant.rounding_mode.upper() != "FLOOR":
            yield Violation(
                name,
                f"TruncAvgPool2d rounds by {module.trunc_quant.rounding_mode.upper()}",
                "use a trunc_quant with float_to_int_impl_type = 'floor' (TruncTo8bit)",
            )


def _convolution(name: str, module: Any) -> Iterator[Violation]:
    if module.groups not in (1, module.in_channels):
        yield Violation(
            name,
            f"a convolution of {module.groups} groups of"
            f" {module.in_channels // module.groups} channels",
            "use one group, or a depthwise convolution (as many groups as channels)",
        )
    elif module.groups > 1 and module.out_channels != module.in_channels:
        yield Violation(
            name,
            f"a depthwise convolution of {module.in_channels} to {module.out_channels} channels",
            "let it keep the channels, and change them by a 1 x 1 convolution",
        )
    if module.padding_mode != "zeros":
        yield Violation(name, f"padding by {module.padding_mode}", "pad with zeros")


def _unknown(name: str, module: nn.Module) -> Violation:
    kind = _kind(module)
    fix = f"use {SUPPORTED}"
    if isinstance(module, nn.ReLU):
        fix = "use brevitas.nn.QuantReLU"
    elif isinstance(module, _SPLITS):
        fix = "it splits the graph: use batch norm and ReLU instead"
    return Violation(name, f"is a {kind}, which hardware does not take", fix)


def _kind(module: nn.Module) -> str:
    return type(module).__name__.removeprefix("Quant")


def _has_output_quantizer(module: nn.Module | None) -> bool:
    quantizer = getattr(module, "output_quant", None)
    return quantizer is not None and quantizer.is_quant_enabled
