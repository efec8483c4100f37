"""Whether a quantized network goes on to hardware, or ends as an exported file."""

from __future__ import annotations

from torch import fx, nn

from hwflow.compress.quantize.lint import violations
from hwflow.compress.quantize.tracing import never_hardware, trace
from hwflow.errors import RequestError
from hwflow.recipe import StageSettings


def why_not_lowered(model: nn.Module, settings: StageSettings) -> str | None:
    """Why a quantized network ends after its export; None if it goes on to hardware.

    Args:
        model: Brevitas network.
        settings: that it was quantized with.
    """
    never = never_hardware(model)
    if never is not None:
        return never
    try:
        traced = model if isinstance(model, fx.GraphModule) else trace(model)
    except RequestError as error:
        return error.message
    found = violations(traced)
    if found:
        return f"FINN does not take this network: {found[0].where}"
    return settings.why_export_ends
