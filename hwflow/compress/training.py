"""The training loop that every stage shares: Lightning, on data that lies in memory."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from hwflow.compress.augmentation import augmented
from hwflow.compress.safety import Watch, memory_errors
from hwflow.compress.stage import StageContext
from hwflow.data import Dataset, Split
from hwflow.recipe import Optimization

# Multiply-accumulates of a step from which on threads pay.
SHARED_WORK = 2e7
LOG_STEPS = 50

_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


class Batch(NamedTuple):
    """Samples of one step.

    Attributes:
        inputs: (B, *shape), augmented.
        labels: (B,) classes.
        sample: (B,) places of the samples in their split.
        variant: (B,) which of its augmentations a sample was given; 0: none.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    sample: torch.Tensor
    variant: torch.Tensor


# Loss of a network on a batch, averaged over its samples. An objective that is a module has its
# parameters trained along with the network's.
Objective = Callable[[nn.Module, Batch], torch.Tensor]


def cross_entropy(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Cross entropy of logits (B, classes) with the labels."""
    return nn.functional.cross_entropy(model(batch.inputs), batch.labels)


class Batches(IterableDataset[Batch]):
    """Batches of a split, shuffled and augmented anew in every epoch by a generator of its own.

    Samples lie in one tensor: a loader that collates them one by one takes longer than training.

    Args:
        data: the data set.
        split: the samples.
        size: of a batch.
        seed: of order and augmentation; None: in order, as they are.
        augment: see `recipe.Optimization`.
    """

    def __init__(
        self, data: Dataset, split: Split, size: int, seed: int | None, augment: str = "none"
    ) -> None:
        self.inputs = torch.from_numpy(data.floats(split))
        self.labels = torch.from_numpy(split.labels)
        self.size = size
        self.augment = augment if seed is not None else "none"
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        # The last, smaller batch of a shuffled epoch is left out: batch norm needs more than one.
        whole, rest = divmod(len(self.labels), self.size)
        return whole + (rest > 0 if self.generator is None or not whole else 0)

    def __iter__(self) -> Iterator[Batch]:
        count = len(self.labels)
        if self.generator is None:
            order = torch.arange(count)
        else:
            order = torch.randperm(count, generator=self.generator)
        for start in range(len(self)):
            index = order[start * self.size : (start + 1) * self.size]
            inputs, variant = augmented(self.inputs[index], self.augment, self.generator)
            yield Batch(inputs, self.labels[index], index, variant)


class Classifier(lightning.LightningModule):
    """An objective on batches, accuracy on the validation split."""

    def __init__(
        self,
        model: nn.Module,
        settings: Optimization,
        steps: int,
        objective: Objective,
        groups: Sequence[dict[str, Any]] | None,
    ) -> None:
        super().__init__()
        self.model, self.settings, self.steps = model, settings, steps
        self.objective, self.groups = objective, groups
        self.right = self.seen = 0

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """Loss of one batch."""
        loss = self.objective(self.model, batch)
        if index % LOG_STEPS == 0:
            self.log("loss", loss, prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's counts."""
        self.right = self.seen = 0

    def validation_step(self, batch: Batch, index: int) -> None:
        """Count right answers."""
        self.right += int((torch.argmax(self.model(batch.inputs), 1) == batch.labels).sum())
        self.seen += len(batch.labels)

    def on_validation_epoch_end(self) -> None:
        """Log the share of right answers, which chooses the checkpoint."""
        self.log("validation_accuracy", self.right / self.seen, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Optimizer and learning rate schedule of the recipe."""
        kind = _OPTIMIZERS[self.settings.optimizer]
        groups = [{"params": self.model.parameters()}] if self.groups is None else [*self.groups]
        if isinstance(self.objective, nn.Module):
            groups.append({"params": self.objective.parameters()})
        optimizer = kind(
            groups,
            lr=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            **({"momentum": 0.9} if kind is torch.optim.SGD else {}),
        )
        if self.settings.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(self.steps, 1))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class _Teller(Callback):
    """Says after each epoch how far training is."""

    def __init__(self, context: StageContext) -> None:
        self.context = context

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        done, all_ = trainer.current_epoch + 1, trainer.max_epochs or 1
        accuracy = module.right / module.seen
        self.context.note(f"epoch {done} of {all_}, validation {accuracy:.2%}", done / all_)


def train(
    model: nn.Module,
    settings: Optimization,
    context: StageContext,
    *,
    objective: Objective = cross_entropy,
    groups: Sequence[dict[str, Any]] | None = None,
    callbacks: Sequence[Callback] = (),
    last: bool = False,
) -> None:
    """Train a network in place, and leave it with the weights that did best on validation.

    Writes a TensorBoard log and the best checkpoint to the stage's folder. Runs on a GPU when
    there is one. The same seed gives the same weights on one machine.

    Args:
        model: network, (N, *shape) to logits (N, classes).
        settings: epochs, optimizer, augmentation.
        context: of the stage.
        objective: what is minimised.
        groups: parameter groups of the optimizer; default: all parameters.
        callbacks: Lightning callbacks, for what changes from step to step.
        last: leave the last weights instead of the best.

    Raises:
        HwflowError: the loss or a weight is no longer finite, or memory does not suffice.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    if settings.epochs == 0:
        return
    data = context.data
    lightning.seed_everything(context.seed, verbose=False)
    with memory_errors(settings.batch_size):
        batches = Batches(data, data.train, settings.batch_size, context.seed, settings.augment)
        validation = Batches(data, data.validation, min(1000, 10 * settings.batch_size), None)
    steps = settings.epochs * len(batches)
    # A network from a checkpoint comes in eval mode, and Lightning leaves modes as they are.
    classifier = Classifier(model, settings, steps, objective, groups).train()
    best = ModelCheckpoint(
        context.folder / "checkpoints",
        filename="best",
        monitor="validation_accuracy",
        mode="max",
        enable_version_counter=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = lightning.Trainer(
            max_epochs=settings.epochs,
            accelerator="auto",
            devices=1,
            callbacks=[*callbacks, Watch(best), best, _Teller(context)],
            logger=TensorBoardLogger(context.folder, name="tensorboard", version=""),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=LOG_STEPS,
            deterministic="warn",
        )
        with _threads(model, settings.batch_size), memory_errors(settings.batch_size):
            _fit(trainer, classifier, batches, validation)
    classifier.cpu()
    if not last:
        checkpoint = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
        classifier.load_state_dict(checkpoint["state_dict"])
    model.eval()


@contextlib.contextmanager
def _threads(model: nn.Module, batch: int) -> Iterator[None]:
    """One thread for small networks: sharing out so little work takes longer than doing it."""
    before = torch.get_num_threads()
    parameters = sum(p.numel() for p in model.parameters())
    if parameters * batch < SHARED_WORK:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit(
    trainer: lightning.Trainer, classifier: Classifier, batches: Batches, validation: Batches
) -> None:
    """Fit; an interrupt comes out as one (Lightning turns it into an exit of its own)."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if main else None
    try:
        trainer.fit(
            classifier,
            DataLoader(batches, batch_size=None),
            DataLoader(validation, batch_size=None),
        )
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
    if trainer.interrupted:
        raise KeyboardInterrupt
