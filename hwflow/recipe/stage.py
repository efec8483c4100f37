"""What every stage of a recipe says of itself to those that know nothing of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from pydantic import Field

from hwflow.config.union import OneOf
from hwflow.recipe.section import Section
from hwflow.registry import Registry

if TYPE_CHECKING:
    from hwflow.recipe.distillation import Teacher


class Objection(NamedTuple):
    """Why a stage can't stand behind others.

    Attributes:
        reason: what would be lost, beginning with the kind of the earlier stage.
        remedy: where to put it, or what to do instead.
    """

    reason: str
    remedy: str


class StageSettings(Section):
    """Options of a stage, from which each kind of stage derives.

    A kind is a subclass with `kind: Literal["..."]`, which a module of `hwflow.recipe.stages` or of
    an installed package has as `SCHEMA`. Its implementation is a `hwflow.compress.Stage`.
    """

    kind: str = Field(description="What the stage is called.")

    # The network that the stage leaves is quantized: it can be exported, and is the last stage's.
    quantizes: ClassVar[bool] = False
    # What comes of the stage depends on what is asked of the hardware: frames a second, clock,
    # bits (`StageContext.target`).
    reads_target: ClassVar[bool] = False
    # The stage leaves the layers of the network and their shapes as they are.
    keeps_layers: ClassVar[bool] = False
    # What to do instead of the stage behind one that leaves scattered zeros, if there is anything.
    instead_of_scattered: ClassVar[str] = ""

    @property
    def trains(self) -> bool:
        """Whether the stage moves weights by training."""
        return False

    @property
    def samples_a_step(self) -> int | None:
        """Samples that are in memory at a time, with all that is computed of them; None: the stage
        has no option for it."""
        return None

    @property
    def scatters(self) -> bool:
        """Whether the stage leaves scattered zeros, which training would move."""
        return False

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """The networks that the stage's network learns from."""
        return ()

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files and folders that the stage reads, relative to the recipe."""
        return tuple(file for teacher in self.teachers for file in teacher.files)

    @property
    def bits(self) -> tuple[int, int] | None:
        """Bits of most weights and activations that the stage leaves; None: as they were."""
        return None

    @property
    def hardware_budget(self) -> tuple[str, float] | None:
        """What the stage's budget is of (`macs`, `lut`), and the share that may stay; the share
        that did is the stage's metric `<of>_kept`. None if it has no budget."""
        return None

    @property
    def why_export_ends(self) -> str | None:
        """Why the build is to end after the export; None if it may go on to hardware."""
        return None

    def objection(self, earlier: Sequence[StageSettings]) -> Objection | None:
        """Why the stage can't stand behind earlier ones; None if it can.

        Subclasses add what they object to by `own_objection`.
        """
        own = self.own_objection(earlier)
        if own is not None:
            return own
        quantizing = next((stage.kind for stage in earlier if stage.quantizes), None)
        if quantizing is not None:
            return Objection(
                f"{quantizing} loses the quantized weights and their scales",
                f"use the {quantizing} stage's own epochs and distillation"
                if self.keeps_layers
                else f"put {self.kind} before {quantizing}",
            )
        if self.trains and any(stage.scatters for stage in earlier):
            return Objection(
                "pruning of scattered weights loses their zeros: training moves them",
                "use the prune stage's own fill_epochs and distillation, which keep zeros"
                + self.instead_of_scattered,
            )
        return None

    def own_objection(self, earlier: Sequence[StageSettings]) -> Objection | None:
        """What only stages of this kind object to in earlier ones."""
        return None


STAGES: Registry[type[StageSettings]] = Registry(
    "hwflow.recipe.stages", "SCHEMA", type[StageSettings]
)
StageSpec = Annotated[StageSettings, OneOf(STAGES, "kind")]
