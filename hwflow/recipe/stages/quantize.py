"""Options of stage `quantize`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hwflow.recipe.pattern import MATCHING, Pattern
from hwflow.recipe.section import Section
from hwflow.recipe.stage import Objection, StageSettings
from hwflow.recipe.training import Training

Bits = Annotated[int, Field(ge=1, le=8)]
WeightBits = Bits | Literal["ternary"]
AccumulatorBits = Annotated[int, Field(ge=4, le=32)]
# Brevitas's own, of networks whose recipe asks for no other.
PERCENTILE = 99.999
Scaling = Literal["per_tensor", "per_channel"]
Scale = Literal["float", "power_of_two"]


class LayerPolicy(Section):
    """Other options for some layers; of several that match a layer, the first counts."""

    layers: Pattern = Field(
        description=f"{MATCHING} Activations are named in the same way (`layer1.0.relu`)."
    )
    weight_bits: WeightBits | None = Field(None, description="Instead of the stage's.")
    activation_bits: Bits | None = Field(
        None, description="Instead of the stage's, of the quantizer at or before that layer."
    )
    weight_scaling: Scaling | None = Field(None, description="Instead of the stage's.")
    scale: Scale | None = Field(None, description="Instead of the stage's.")
    accumulator_bits: AccumulatorBits | None = Field(None, description="Instead of the stage's.")

    @model_validator(mode="after")
    def _says_something(self) -> LayerPolicy:
        if not self.options():
            raise ValueError("the policy changes no option")
        return self

    def options(self) -> dict[str, object]:
        """The options that the policy changes."""
        options = {
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "weight_scaling": self.weight_scaling,
            "scale": self.scale,
            "accumulator_bits": self.accumulator_bits,
        }
        return {name: value for name, value in options.items() if value is not None}


class PostTraining(Section):
    """What is done with training data before, or without, any training of the quantized network:
    scales of activations are calibrated, and errors that quantizing weights makes are reduced."""

    samples: int = Field(1024, ge=1, description="Training samples that are looked at.")
    statistics: Literal["percentile", "max"] = Field(
        "percentile",
        description="What of a batch's absolute activations a scale reaches up to; the mean over"
        " batches counts.",
    )
    percentile: float = Field(
        PERCENTILE, ge=50, le=100, description="Which percentile that is; what is above saturates."
    )
    equalize: bool = Field(
        False,
        description="Scale channels so that the weights before and behind an activation span equal"
        " ranges (Nagel 2019, section 4.1).",
    )
    bias_correction: bool = Field(
        True,
        description="Take out the mean error that quantization makes in a layer's output (Nagel"
        " 2019, section 4.2), by its bias or by the batch norm behind it.",
    )
    rounding: Literal["nearest", "gptq", "learned"] = Field(
        "nearest",
        description="How weights are rounded: to the nearest code, one after the other with the"
        " error made up for by the others (GPTQ, Frantar 2022; not those of transposed"
        " convolutions), or up or down as learned (AdaRound, Nagel 2020; not those inside"
        " attention).",
    )
    steps: int = Field(
        500, ge=1, le=1_000_000, description="Steps of learned rounding, for each layer."
    )
    learning_rate: float = Field(1e-2, gt=0, le=1, description="Learning rate of learned rounding.")


class LearnedBits(Section):
    """Bits of weights that are trained along, from `weight_bits` downwards."""

    penalty: float = Field(
        0.05, gt=0, description="Weight in the loss of the mean number of bits of a weight."
    )
    minimum: int = Field(2, ge=2, le=7, description="Fewest bits that a layer may get.")
    learning_rate: float = Field(1e-2, gt=0, description="Learning rate of the bits.")


class Quantize(Training):
    """Quantized weights and activations: Brevitas layers swapped in by a pass over the graph, then
    trained (`epochs: 0`: calibrated only). Networks that are made of Brevitas layers stay as they
    are."""

    kind: Literal["quantize"]
    target: Literal["hardware", "export"] = Field(
        "hardware",
        description="`hardware`: what FINN does not take is an error before any training;"
        " `export`: anything that can be exported, and the build ends after that.",
    )
    format: Literal["integer", "e4m3", "e5m2", "e3m2", "e2m3", "e2m1"] = Field(
        "integer",
        description="Numbers: integers, or minifloats of so many exponent and mantissa bits (fp8,"
        " fp6, fp4), which are for export only.",
    )
    weight_bits: WeightBits = Field(
        4, description="Bits of the weights, 1 (binary: -1, +1) to 8, or `ternary` (-1, 0, +1)."
    )
    activation_bits: Bits = Field(
        4, description="Bits of the activations, 1 (binary: -1, +1) to 8."
    )
    signed_bits: Bits | None = Field(
        None,
        description="Bits of activations that can be negative: between factors of a decomposed"
        " layer, at residual adds and concatenations; default: as `activation_bits`.",
    )
    pool_bits: Bits = Field(8, description="Bits of what an average pool leaves.")
    input_bits: Bits = Field(8, description="Bits of the quantized network input.")
    weight_scaling: Scaling = Field(
        "per_tensor",
        description="One weight scale a layer or an output channel (the last layer: per tensor).",
    )
    scale: Scale = Field("float", description="Whether scales are any number or powers of two.")
    accumulator_bits: AccumulatorBits | None = Field(
        None,
        description="Signed bits that no layer's sum of products ever exceeds, whatever the input;"
        " weights are trained for it.",
    )
    accumulator_method: Literal["a2q", "a2q_plus"] = Field(
        "a2q",
        description="How that is reached: a bound on the weights' absolute sum (Colbert 2023), or"
        " a wider one on weights of mean zero (Colbert 2024).",
    )
    learned_bits: LearnedBits | None = Field(
        None, description="Train the bits of each layer's weights too; default: they are given."
    )
    post_training: PostTraining | None = Field(
        None,
        description="Before training; default: nothing, or calibration and bias correction where"
        " `epochs` is 0.",
    )
    policies: tuple[LayerPolicy, ...] = Field(
        (), description="Mixed precision: other options for some layers."
    )

    quantizes: ClassVar[bool] = True
    instead_of_scattered: ClassVar[str] = ", and quantize with epochs: 0"

    @model_validator(mode="after")
    def _possible(self) -> Quantize:
        for problem in (*self._of_format(), *self._of_weights()):
            raise ValueError(problem)
        return self

    def _of_format(self) -> list[str]:
        if self.format == "integer":
            return []
        problems = []
        if self.target != "export":
            problems.append(f"format {self.format} is for export only: set target: export")
        for name in ("weight_bits", "activation_bits", "signed_bits", "pool_bits", "input_bits"):
            if getattr(self, name) != type(self).model_fields[name].default:
                problems.append(f"{name} is for integers; {self.format} says the bits itself")
        if self.policies or self.accumulator_bits is not None or self.learned_bits is not None:
            problems.append("policies, accumulator_bits and learned_bits are for integers")
        if self.rounding == "learned":
            problems.append("learned rounding is for integers; gptq rounds minifloats too")
        return problems

    def _of_weights(self) -> list[str]:
        rounding = self.rounding
        every = [self.weight_bits, *(p.weight_bits for p in self.policies if p.weight_bits)]
        few = [bits for bits in every if bits in (1, "ternary")]
        bounded = self.accumulator_bits is not None or any(
            policy.accumulator_bits is not None for policy in self.policies
        )
        problems = []
        if bounded and few:
            problems.append(f"accumulator_bits needs weights of 2 bits or more, not {few[0]}")
        if bounded and rounding != "nearest":
            problems.append(f"accumulator_bits rounds weights itself: rounding {rounding} can't")
        if bounded and self.accumulator_method == "a2q_plus" and self._has_binary_inputs():
            problems.append("a2q_plus bounds no sum of binary inputs (-1, +1): use a2q")
        if rounding == "learned" and 1 in every:
            problems.append(
                "learned rounding chooses between two codes: weights of 1 bit have none"
            )
        if self.learned_bits is not None:
            problems += self._of_learned_bits(self.learned_bits, every, bounded, rounding)
        return problems

    def _of_learned_bits(
        self, learned: LearnedBits, every: list[WeightBits], bounded: bool, rounding: str
    ) -> list[str]:
        if self.epochs == 0:
            return ["learned_bits needs training: epochs is 0"]
        if bounded or rounding != "nearest":
            return ["learned_bits goes with neither accumulator_bits nor another rounding"]
        low = [bits for bits in every if bits == "ternary" or bits <= learned.minimum]
        if low:
            return [f"learned_bits starts above its minimum of {learned.minimum}, not at {low[0]}"]
        return []

    def _has_binary_inputs(self) -> bool:
        bits = (self.activation_bits, self.signed_bits, self.pool_bits, self.input_bits)
        return 1 in (*bits, *(policy.activation_bits for policy in self.policies))

    @property
    def rounding(self) -> str:
        """How weights are rounded before training."""
        return "nearest" if self.post_training is None else self.post_training.rounding

    @property
    def negative_bits(self) -> int:
        """Bits of activations that can be negative."""
        return self.activation_bits if self.signed_bits is None else self.signed_bits

    @property
    def bits(self) -> tuple[int, int]:
        """Bits of most weights and activations."""
        return 2 if self.weight_bits == "ternary" else self.weight_bits, self.activation_bits

    @property
    def why_export_ends(self) -> str | None:
        """Target `export`."""
        if self.target == "hardware":
            return None
        return "the recipe's quantize stage has target: export"

    def own_objection(self, earlier: Sequence[StageSettings]) -> Objection | None:
        """A network is quantized once."""
        quantizing = next((stage.kind for stage in earlier if stage.quantizes), None)
        if quantizing is None:
            return None
        return Objection(f"{quantizing}: a network is quantized once", "keep one of the two")


SCHEMA = Quantize
