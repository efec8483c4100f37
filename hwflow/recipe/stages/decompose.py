"""Options of stage `decompose`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hwflow.recipe.pattern import MATCHING, Pattern
from hwflow.recipe.section import Section
from hwflow.recipe.stage import Objection, StageSettings
from hwflow.recipe.training import Training


class VbmfRanks(Section):
    """Ranks by variational Bayes: what stands out from noise (Nakajima et al. 2013)."""

    by: Literal["vbmf"]
    minimum: int = Field(
        8, ge=1, description="Least rank; of weights that look random, nothing stands out."
    )


class EnergyRanks(Section):
    """Ranks that keep a share of the squared singular values, in each of the ways."""

    by: Literal["energy"]
    keep: float = Field(0.9, gt=0, le=1, description="Share of the squared singular values.")


class ErrorRanks(Section):
    """The ranks that cost least within the error budget, `error`."""

    by: Literal["error"]


class HardwareRanks(Section):
    """The ranks of least error that a budget in `cost` allows."""

    by: Literal["hardware"]
    keep: float = Field(
        0.5, gt=0, lt=1, description="What the layer may cost, as a share of what it costs now."
    )


class GivenRanks(Section):
    """Ranks as they are given."""

    by: Literal["given"]
    rank: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="The rank; for tucker2 also [inputs, outputs]."
    )

    @property
    def pair(self) -> tuple[int, ...]:
        """The ranks as a tuple."""
        return (self.rank,) if isinstance(self.rank, int) else self.rank

    @model_validator(mode="after")
    def _two_at_most(self) -> GivenRanks:
        if len(self.pair) not in {1, 2}:
            raise ValueError("give one rank, or [inputs, outputs]")
        return self


Ranks = Annotated[
    VbmfRanks | EnergyRanks | ErrorRanks | HardwareRanks | GivenRanks, Field(discriminator="by")
]


class Factorization(Section):
    """How a layer is decomposed.

    A matrix (a linear layer, a convolution of 1 x 1) has one decomposition, its truncated singular
    value decomposition: every method makes that of it.
    """

    method: Literal["auto", "tucker2", "tucker_in", "tucker_out", "cp", "svd", "none"] = Field(
        "auto",
        description="tucker2: 1x1, core, 1x1 (Kim et al. 2016). tucker_in, tucker_out: one of the"
        " two 1x1 only. cp: 1x1, depthwise, 1x1 (Lebedev et al. 2015). svd: matrices only,"
        " convolutions with larger kernels stay. none: the layer stays. auto: the one of least"
        " `cost` within `error`; where there is none, the layer stays.",
    )
    ranks: Ranks = Field(
        ErrorRanks(by="error"),
        description="How ranks are chosen. A rank is rounded up to a multiple of `unit`, or to the"
        " channels where these are fewer.",
    )
    error: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="Greatest relative error ||W - W'|| / ||W|| of the layer's weight; read where"
        " method is auto or ranks are by error.",
    )
    cost: Literal["macs", "params", "cycles", "lut", "bram18"] = Field(
        "macs",
        description="What is to be saved: cycles are those of the slowest factor, and lut and"
        " bram18 sums, at the folding that the recipe's hardware asks for. A layer is replaced"
        " only where this gets no higher, and its multiply-accumulates neither.",
    )

    @model_validator(mode="after")
    def _all_is_read(self) -> Factorization:
        # What a recipe with its defaults filled in says is no request.
        requested = {
            name
            for name in self.model_fields_set
            if getattr(self, name) != type(self).model_fields[name].default
        }
        if self.method == "none" and requested & {"ranks", "error", "cost"}:
            raise ValueError("method none reads no ranks, error or cost")
        by_error = self.method == "auto" or self.ranks.by == "error"
        if "error" in requested and not by_error:
            raise ValueError("error is read only where method is auto or ranks are by error")
        if isinstance(self.ranks, GivenRanks):
            if self.method == "auto":
                raise ValueError("ranks by given need a method other than auto")
            if len(self.ranks.pair) == 2 and self.method != "tucker2":
                raise ValueError(f"two ranks are for tucker2; {self.method} has one")
        return self


class LayerFactorization(Factorization):
    """How the layers of some names are decomposed; says all of it, whatever the stage says."""

    layers: Pattern = Field(description=f"{MATCHING} The first entry that matches counts.")


class Decompose(Training, Factorization):
    """Replace layers by products of smaller ones, then train on.

    Takes any Linear, Conv1d and Conv2d; grouped convolutions, depthwise ones among them, stay.
    """

    kind: Literal["decompose"]
    policies: tuple[LayerFactorization, ...] = Field(
        (), description="Other settings for layers by their names."
    )
    unit: int = Field(
        8,
        ge=1,
        description="Every rank is a multiple of it, or the layer's channels where these are"
        " fewer, so that factors fold well.",
    )
    calibration: int = Field(
        512, ge=2, description="Training samples that refit and batch norms see."
    )
    refit: bool = Field(
        True,
        description="Fit each last factor to what the layer made before, by least squares on the"
        " calibration samples.",
    )
    recalibrate: bool = Field(
        True,
        description="Estimate the means and variances of batch norms anew, on the calibration"
        " samples.",
    )
    epochs: int = Field(10, ge=0, description="Passes over the training split.")
    learning_rate: float = Field(
        1e-4, gt=0, description="Initial learning rate; cp does not stand a large one."
    )

    reads_target: ClassVar[bool] = True

    def own_objection(self, earlier: Sequence[StageSettings]) -> Objection | None:
        """Layers are decomposed once, and while they are dense."""
        if any(isinstance(stage, Decompose) for stage in earlier):
            return Objection("decompose: factors of factors are no smaller", "keep one of the two")
        if any(stage.scatters for stage in earlier):
            return Objection(
                "pruning of scattered weights loses their zeros: a product of factors has none",
                "prune channels, heads or neurons, or leave decompose out",
            )
        return None


SCHEMA = Decompose
