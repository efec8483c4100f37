"""Options of stage `prune`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hwflow.recipe.pattern import MATCHING, Pattern
from hwflow.recipe.section import Section
from hwflow.recipe.training import Training

Method = Literal["topk", "threshold", "sigmoid_threshold", "magnitude", "l0"]
Granularity = Literal["element", "block", "n_of_m", "row", "column", "channel", "head", "neuron"]
Cost = Literal["density", "macs", "cycles", "lut", "bram18"]

# Methods that keep the best units of a budget; others keep what their threshold or gates say.
RANKING = frozenset({"topk", "magnitude"})
# Granularities whose units can be taken out of the network; others leave zeros in weights.
STRUCTURED = frozenset({"channel", "head", "neuron"})


class Budget(Section):
    """How much stays."""

    of: Cost = Field(
        "density",
        description="What is budgeted: the share of units that stay, or a cost of the compact"
        " network's linear and convolutional layers: multiply-accumulates, cycles of the slowest"
        " layer at the dense network's folding, LUTs or block RAMs at the recipe's target.",
    )
    keep: float = Field(0.5, gt=0, le=1, description="Share of the dense network's that may stay.")
    scope: Literal["local", "global"] = Field(
        "local",
        description="The same share in every layer, or one ranking over all layers.",
    )

    @field_validator("keep", mode="before")
    @classmethod
    def _something_stays(cls, keep: object) -> object:
        if keep == 0:
            raise ValueError("0, a sparsity of 1, leaves no network; keep more than 0")
        return keep


class Scores(Section):
    """Scores that say what stays; they learn along with the weights."""

    learning_rate: float = Field(1e-2, gt=0, description="Their own; they have no weight decay.")
    start: float | None = Field(
        None,
        description="Their first value; default: 0, for `threshold` 1, for `l0` 2.2 (gates that are"
        " open in nine of ten steps).",
    )


class Regularizer(Section):
    """Pulls scores down: l1 is the mean of sigmoid(S), l0 the mean chance that a hard concrete gate
    is open. Its weight grows with the schedule."""

    kind: Literal["l1", "l0"] = Field("l1", description="Which of the two.")
    weight: float = Field(1.0, gt=0, description="Weight in the loss at the schedule's end.")
    attention: float = Field(1.0, ge=0, description="Factor for layers of attention.")
    dense: float = Field(1.0, ge=0, description="Factor for other linear layers.")
    conv: float = Field(1.0, ge=0, description="Factor for convolutions.")


class Policy(Section):
    """Other settings for some layers; what is not given is as in the stage. The first policy that
    matches a layer counts."""

    layers: Pattern = Field(description=MATCHING)
    method: Method | None = Field(None, description="See the stage's.")
    granularity: Granularity | None = Field(None, description="See the stage's.")
    block: tuple[int, int] | None = Field(None, description="See the stage's.")
    n_of_m: tuple[int, int] | None = Field(None, description="See the stage's.")
    budget: Budget | None = Field(None, description="See the stage's; of density.")
    threshold: float | None = Field(None, description="See the stage's.")

    @model_validator(mode="after")
    def _of_density(self) -> Policy:
        if self.budget is not None and self.budget.of != "density":
            raise ValueError(
                f"a budget of {self.budget.of} is for the whole network: give it to the stage"
            )
        return self


class Selection(BaseModel):
    """How the layers of one policy are pruned, complete; see `Prune` for what each means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method
    granularity: Granularity
    block: tuple[int, int] | None
    n_of_m: tuple[int, int]
    budget: Budget
    threshold: float


class Prune(Training):
    """Remove what the network can do without (movement pruning: Sanh 2020, Lagunas 2021)."""

    kind: Literal["prune"]
    method: Method = Field(
        "topk",
        description="What stays. Movement: units of the highest learned scores (topk), of scores"
        " above `threshold`, or of sigmoid(score) above it. magnitude: of the largest mean"
        " |weight|. l0: whose hard concrete gate opens (Louizos 2018).",
    )
    granularity: Granularity = Field(
        "channel",
        description="Units: single weights, blocks, N of M consecutive inputs, rows (filters) or"
        " columns (input channels) of a weight matrix, which become zeros; or channels of"
        " convolutions, attention heads, or neurons of linear layers, which are taken out.",
    )
    block: tuple[int, int] | None = Field(
        None,
        description="Rows and columns of a block, for granularity `block`; of a convolution,"
        " filters and input channels with whole kernels.",
    )
    n_of_m: tuple[int, int] = Field(
        (2, 4), description="N and M, for granularity `n_of_m`: of M inputs, N stay."
    )
    budget: Budget | None = Field(
        None, description="For `topk` and `magnitude`; default: half of the units of each layer."
    )
    threshold: float = Field(
        0.1, description="For `threshold`, and for `sigmoid_threshold` between 0 and 1."
    )
    unit: int = Field(
        8, ge=1, description="Widths that are left are multiples of it, so that folding stays free."
    )
    floor: float = Field(
        0.005, ge=0, lt=1, description="Share of a layer's units that stays whatever the scores."
    )
    warm_up: float = Field(0.1, ge=0, lt=1, description="Share of the steps before pruning begins.")
    cool_down: float = Field(
        0.3, ge=0, lt=1, description="Share of the steps after the budget or threshold is reached."
    )
    scores: Scores = Field(Scores(), description="Scores, of all methods but `magnitude`.")
    regularizer: Regularizer | None = Field(None, description="Default: none; `l0` needs it.")
    policies: tuple[Policy, ...] = Field((), description="Other settings for some layers.")
    skip: tuple[Pattern, ...] = Field(
        (), description="Layers that are trained but not pruned; patterns as in `policies`."
    )
    freeze: tuple[Pattern, ...] = Field(
        (), description="Layers that are neither trained nor pruned; patterns as in `policies`."
    )
    rewind: Literal["start", "warm_up"] | None = Field(
        None,
        description="Weights return to those from before the stage, or after its warm-up, and are"
        " trained under the final mask for `fill_epochs` (Frankle & Carbin 2019).",
    )
    fill_epochs: int = Field(
        0, ge=0, description="Passes over the training split after pruning, with nothing masked."
    )
    fill_learning_rate: float | None = Field(
        None, gt=0, description="Learning rate of these; default: the stage's."
    )

    reads_target: ClassVar[bool] = True
    instead_of_scattered: ClassVar[str] = (
        ", and prune all in one stage, with policies, or what is scattered last"
    )

    @property
    def trains(self) -> bool:
        """Whether there is any epoch, of pruning or of filling."""
        return self.epochs + self.fill_epochs > 0

    @property
    def scatters(self) -> bool:
        """Whether units are zeroed, not taken out, in any layer."""
        asked = (self.granularity, *(policy.granularity for policy in self.policies))
        return any(units not in STRUCTURED for units in asked if units is not None)

    @property
    def hardware_budget(self) -> tuple[str, float] | None:
        """What the stage's budget is of, and the share that may stay."""
        return None if self.budget is None else (self.budget.of, self.budget.keep)

    def selection(self, policy: Policy | None) -> Selection:
        """The settings of the layers of a policy; None: of layers that none matches."""
        names = Selection.model_fields
        own = {name: getattr(policy, name) for name in names} if policy is not None else {}
        requested = {name: value for name, value in own.items() if value is not None}
        stage = {name: getattr(self, name) for name in names}
        if self.budget is None or requested.get("method", self.method) not in RANKING:
            stage["budget"] = Budget()
        return Selection.model_validate({**stage, **requested})

    @model_validator(mode="after")
    def _consistent(self) -> Prune:
        for policy in (None, *self.policies):
            where = "" if policy is None else f"policy {policy.layers!r}: "
            problem = self._problem(self.selection(policy), policy)
            if problem is not None:
                raise ValueError(where + problem)
        if self.warm_up + self.cool_down >= 1:
            raise ValueError("warm_up and cool_down leave no steps between them to prune in")
        if self.rewind is not None and self.fill_epochs == 0:
            raise ValueError("rewind needs fill_epochs, to train the weights again")
        return self

    def _problem(self, chosen: Selection, policy: Policy | None) -> str | None:
        """What is wrong with the settings of a policy, or of the stage itself."""
        settings = self if policy is None else policy
        method, granularity = chosen.method, chosen.granularity
        ranks, (n, m) = method in RANKING, chosen.n_of_m
        if granularity == "block" and chosen.block is None:
            return "granularity block needs `block`, its rows and columns"
        if granularity != "block" and settings.block is not None:
            return "block is for granularity block"
        if chosen.block is not None and min(chosen.block) < 1:
            return "a block has at least one row and one column"
        if not 0 < n < m:
            return f"n_of_m keeps at least 1 of M inputs and fewer than M, not {n} of {m}"
        if granularity == "n_of_m" and not ranks:
            return f"n_of_m keeps the best of M inputs, and method {method} ranks nothing"
        if granularity == "n_of_m" and settings.budget is not None:
            return "the density of n_of_m follows from N and M; leave budget out"
        if not ranks and settings.budget is not None:
            return f"method {method} has no budget: its threshold or regularizer decides"
        of = chosen.budget.of
        if ranks and of != "density" and granularity not in STRUCTURED:
            return (
                f"a budget of {of} needs units that are taken out (channel, head, neuron):"
                f" zeros of granularity {granularity} save no hardware"
            )
        if method == "sigmoid_threshold" and not 0 < chosen.threshold < 1:
            return "the threshold of a sigmoid lies between 0 and 1"
        if method == "l0" and self.regularizer is None:
            return "method l0 needs a regularizer: without one, its gates stay open"
        if self.epochs == 0 and method != "magnitude":
            return f"with epochs of 0, the scores of method {method} never learn; use magnitude"
        return None


SCHEMA = Prune
