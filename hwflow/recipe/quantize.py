"""Options of stage `quantize`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwflow.recipe.training import Training


class Quantize(Training):
    """Quantization-aware training: Brevitas layers swapped in by a pass over the graph."""

    kind: Literal["quantize"]
    weight_bits: Annotated[int, Field(ge=1, le=8)] | Literal["ternary"] = Field(
        4, description="Bits of the weights, 1 (binary: -1, +1) to 8, or `ternary` (-1, 0, +1)."
    )
    activation_bits: int = Field(
        4, ge=1, le=8, description="Bits of the activations, 1 (binary: -1, +1) to 8."
    )
    input_bits: int = Field(8, ge=1, le=8, description="Bits of the quantized network input.")
    weight_scaling: Literal["per_tensor", "per_channel"] = Field(
        "per_tensor",
        description="One weight scale a layer or an output channel (the last layer: per tensor).",
    )
    scale: Literal["float", "power_of_two"] = Field(
        "float", description="Whether scales are any number or powers of two."
    )
