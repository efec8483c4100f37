"""Whether a quantized network goes on to hardware, or ends as an exported file."""

from __future__ import annotations

from brevitas.nn.quant_layer import QuantNonLinearActLayer
from torch import fx, nn

from hwflow.compress.quantize.lint import violations
from hwflow.compress.quantize.tracing import (
    ELEMENTWISE,
    is_transparent,
    module_of,
    never_hardware,
    place,
    trace,
)
from hwflow.errors import RequestError
from hwflow.recipe import Quantize


def why_not_lowered(model: nn.Module, settings: Quantize, shape: tuple[int, ...]) -> str | None:
    """Why a quantized network ends after its export; None if it goes on to hardware.

    Args:
        model: Brevitas network.
        settings: that it was quantized with.
        shape: of one sample.
    """
    never = never_hardware(model)
    if never is not None:
        return never
    try:
        traced = model if isinstance(model, fx.GraphModule) else trace(model)
    except RequestError as error:
        return error.message
    found = violations(traced, shape)
    if found:
        return f"FINN does not take this network: {found[0].where}"
    if settings.target == "export":
        return "the recipe's quantize stage has target: export"
    return _no_chain(traced)


def _no_chain(traced: fx.GraphModule) -> str | None:
    """What makes a network more than a chain of linear layers, which is what is lowered so far."""
    for node in traced.graph.nodes:
        module = module_of(traced, node)
        if node.op in {"placeholder", "output"} or is_transparent(traced, node):
            continue
        if not isinstance(module, (nn.Linear, QuantNonLinearActLayer, *ELEMENTWISE)):
            kind = "an operation" if module is None else f"a {type(module).__name__}"
            return (
                "hwflow lowers chains of linear layers so far, no convolutions, pools or branches"
                f" yet: {place(node)} is {kind}"
            )
    return None
