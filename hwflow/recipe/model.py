"""A model file that is built instead of a network that hwflow trains."""

from __future__ import annotations

from pydantic import Field, model_validator

from hwflow.recipe.section import Section


class InputMeaning(Section):
    """What the integers mean that the accelerator takes: `bits`-bit codes, whose least stands for
    `minimum` and whose greatest for `maximum`, the steps between them equal."""

    minimum: float = Field(description="Real value of the least code, as the file takes it.")
    maximum: float = Field(description="Real value of the greatest code.")
    bits: int = Field(8, ge=1, le=8, description="Bits of a code.")
    signed: bool = Field(
        False, description="Codes from -2^(bits-1) to 2^(bits-1)-1 instead of from 0 to 2^bits-1."
    )

    @model_validator(mode="after")
    def _ascending(self) -> InputMeaning:
        if self.maximum <= self.minimum:
            raise ValueError("maximum must be greater than minimum")
        return self


class ImportedModel(Section):
    """A quantized classifier in a QONNX or QCDQ file."""

    qonnx: str = Field(
        description="The file, relative to the recipe: QONNX (Brevitas, QKeras) or QCDQ"
        " (QuantizeLinear, Clip, DequantizeLinear)."
    )
    input: InputMeaning | None = Field(
        None,
        description="What the accelerator's input integers mean; default: they are the codes of"
        " the file's first quantizer, or of its input if that takes 8-bit integers.",
    )
    shape: tuple[int, ...] | None = Field(
        None, min_length=1, description="Shape of one sample, where the file does not say it."
    )
    batch: int | None = Field(
        None,
        ge=1,
        description="Frames that the file is executed on at a time: what a dynamic first dimension"
        " is fixed to; default: all, or 1 where the file does not treat each frame by itself.",
    )
    inputs: str | None = Field(
        None,
        description="NumPy file with an array `inputs` (N, ...), and perhaps `labels` (N,), to"
        " verify on, relative to the recipe; default: the recipe's data, else random inputs.",
    )
    samples: int = Field(
        256, ge=1, description="How many random inputs, where there is neither data nor a file."
    )
