"""What can go wrong in training: numbers that are no longer finite, too little memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn

from hwflow.errors import HwflowError

# Steps between two looks at the loss: elsewhere than on a CPU, each waits for the device.
STEPS_BETWEEN_LOOKS = {"cpu": 1}
OTHER_STEPS = 50
# How those libraries say that memory is short whose errors are no memory errors.
_SHORT_OF_MEMORY = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


class Watch(Callback):
    """Stops a training whose loss or weights are not finite, before such weights are kept.

    Every step's loss is judged on the device, and the verdict is read where that costs little;
    weights are looked at before each validation, so that every checkpoint holds finite ones.

    Args:
        best: keeps the checkpoint that did best so far.
    """

    def __init__(self, best: ModelCheckpoint) -> None:
        self.best = best
        self.step = 0
        # Place in the epoch, from 1, and value of the first loss that is not finite; 0: none.
        self.bad_step = self.bad_loss = torch.zeros(())

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Begin with no bad loss."""
        self.bad_step = self.bad_loss = torch.zeros((), device=module.device)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the steps."""
        self.step = batch_idx + 1

    def on_before_backward(
        self, trainer: lightning.Trainer, module: Any, loss: torch.Tensor
    ) -> None:
        """Look at the loss before the step's update.

        Raises:
            HwflowError: it is not finite.
        """
        loss = loss.detach()
        bad = ~torch.isfinite(loss) & (self.bad_step == 0)
        self.bad_step = torch.where(bad, self.step, self.bad_step)
        self.bad_loss = torch.where(bad, loss, self.bad_loss)
        if self.step % STEPS_BETWEEN_LOOKS.get(loss.device.type, OTHER_STEPS) == 0:
            self._judge(trainer, module)

    def on_validation_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Look at the epoch's losses and weights.

        Raises:
            HwflowError: one is not finite.
        """
        self._judge(trainer, module)
        name = not_finite(module)
        if name is not None:
            raise self._stopped(trainer, f"{name} is not finite", self.step)

    def _judge(self, trainer: lightning.Trainer, module: Any) -> None:
        step = int(self.bad_step)
        if step == 0:
            return
        name = not_finite(module)
        what = f"the loss is {float(self.bad_loss)}"
        raise self._stopped(
            trainer, what if name is None else f"{what}, and {name} is not finite,", step
        )

    def _stopped(self, trainer: lightning.Trainer, what: str, step: int) -> HwflowError:
        checkpoint = "no epoch was finished before"
        if self.best.best_model_path:
            score = f"{float(self.best.best_model_score or 0):.2%}"
            checkpoint = (
                f"the best network so far ({score} on validation) is kept in"
                f" {self.best.best_model_path}"
            )
        return HwflowError(
            f"training diverged: {what} in epoch {trainer.current_epoch + 1}, step {step};"
            f" {checkpoint}",
            hint="lower learning_rate",
        )


def not_finite(module: nn.Module) -> str | None:
    """Name of the first parameter, or running mean or variance, with a value that is not finite.

    Other buffers may hold infinities on purpose, as attention masks do.
    """
    running = [(k, v) for k, v in module.named_buffers() if "running_" in k.rpartition(".")[2]]
    values = [*module.named_parameters(), *running]
    if not values:
        return None
    finite = torch.stack([value.detach().isfinite().all() for _, value in values]).tolist()
    names = [name for (name, _), fine in zip(values, finite, strict=True) if not fine]
    return names[0].removeprefix("model.") if names else None


@contextlib.contextmanager
def memory_errors(batch_size: int | None) -> Iterator[None]:
    """Turn a lack of memory into an error that says what to do.

    Args:
        batch_size: samples a step; None: the stage has no such option.

    Raises:
        HwflowError: memory, of the machine or of a GPU, did not suffice.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(words in str(error) for words in _SHORT_OF_MEMORY):
            raise
        batches = "" if batch_size is None else f" for batches of {batch_size} samples"
        raise HwflowError(
            f"memory does not suffice{batches}:"
            f" {str(error).splitlines()[0] if str(error) else 'out of memory'}",
            hint=("lower batch_size, or " if batches else "") + "use a smaller network",
        ) from error
