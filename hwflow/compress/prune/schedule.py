"""The cubic schedule of pruning (Zhu & Gupta 2017; Sanh 2020, section 4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from hwflow.compress.prune.masks import plain_state
from hwflow.compress.prune.plan import Plan
from hwflow.compress.prune.regularizer import RegularizedLoss


@dataclass(frozen=True)
class CubicSchedule:
    """Hold, then a cubic, then hold.

    Attributes:
        steps: T of the stage.
        warm_up, cool_down: shares of the steps that hold.
    """

    steps: int
    warm_up: float
    cool_down: float

    @property
    def begin(self) -> int:
        """First step that prunes."""
        return math.floor(self.warm_up * self.steps)

    @property
    def end(self) -> int:
        """First step at the final threshold."""
        return self.steps - math.floor(self.cool_down * self.steps)

    def progress(self, step: int) -> float:
        """1 - m^3 with m = 1 - (t - wi) / (T - wi - wf): how far thresholds have gone from their
        start, 0, to their end, 1."""
        done = (step - self.begin) / max(self.end - self.begin, 1)
        return 1 - (1 - min(max(done, 0.0), 1.0)) ** 3


class Scheduler(Callback):
    """Prunes as the schedule says; the end of the schedule is what is evaluated and kept.

    Args:
        plan: what is pruned.
        loss: whose regularizer follows the schedule.
        select: keeps units, given the progress.
        shares: of the steps, warm-up and cool-down.
    """

    def __init__(
        self,
        plan: Plan,
        loss: RegularizedLoss,
        select: Callable[[float], None],
        shares: tuple[float, float],
    ) -> None:
        self.plan, self.loss, self.select = plan, loss, select
        self.shares = shares
        self.schedule = CubicSchedule(1, *shares)
        self.warmed_up: dict[str, Any] | None = None

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Learn how many steps there are."""
        self.schedule = CubicSchedule(int(trainer.estimated_stepping_batches), *self.shares)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Prune as far as the schedule is."""
        step = trainer.global_step
        if step == self.schedule.begin:
            self.warmed_up = plain_state(module.model)
        progress = self.schedule.progress(step)
        self.select(progress)
        self.loss.share = progress
        for subject in self.plan.subjects:
            subject.gates.draw()

    def on_validation_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Evaluate what would be left: a denser network would look better than it is."""
        self.select(1.0)
