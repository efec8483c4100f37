"""What a compression stage is, and how its result is kept."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from hwflow.config.union import names
from hwflow.costs import Target
from hwflow.data import Dataset, Split
from hwflow.engine.artifacts import write_whole
from hwflow.errors import HwflowError
from hwflow.recipe import StageSettings
from hwflow.registry import Registry

WEIGHTS, HEADER = "weights.safetensors", "checkpoint.json"
Settings = TypeVar("Settings", bound=StageSettings, contravariant=True)


@dataclass(frozen=True)
class StageContext:
    """What a stage works with.

    Attributes:
        data: its splits.
        seed: the recipe's, or that of a repetition with another one.
        folder: for logs and checkpoints.
        note: told how far it is, in words and as a fraction of the work.
        base: folder that paths in the recipe are relative to.
        scratch: folder for unfinished work (a teacher's training, its outputs); outlives a kill.
        earlier: the networks that earlier stages left, in eval mode, by name (`01-train`); each
            call loads a new one.
        target: what hardware is asked for, for budgets in its cost.
    """

    data: Dataset
    seed: int
    folder: Path
    note: Callable[[str, float | None], None] = lambda text, fraction: None
    base: Path = Path()
    scratch: Path | None = None
    earlier: Mapping[str, Callable[[], nn.Module]] = field(default_factory=dict)
    target: Target = field(default_factory=Target)


@dataclass
class StageOutcome:
    """What a stage leaves.

    Attributes:
        model: the network, in eval mode.
        metrics: what was measured; `validation_accuracy` and `test_accuracy` in [0, 1].
        structure: what `Stage.rebuild` needs beside the settings; JSON.
    """

    model: nn.Module
    metrics: dict[str, float] = field(default_factory=dict)
    structure: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Untrained:
    """A network on its way through the stages, before any of them trains.

    Attributes:
        model: not trained.
        assumptions: what trained weights will decide, and what was taken for it, in words.
        sized: whether layers have the sizes that they will have, so that costs can be told.
        may_shrink: whether training may leave less of the network than there is here.
    """

    model: nn.Module
    assumptions: tuple[str, ...] = ()
    sized: bool = True
    may_shrink: bool = False

    def assuming(
        self, words: str, model: nn.Module | None = None, *, sized: bool = True, shrinks: bool
    ) -> Untrained:
        """What comes of it when something is taken for what trained weights decide.

        Args:
            words: what is taken.
            model: the network then; None: the same.
            sized: whether that has the sizes that it will have.
            shrinks: whether training may leave less of it.
        """
        return Untrained(
            self.model if model is None else model,
            (*self.assumptions, words),
            self.sized and sized,
            self.may_shrink or shrinks,
        )


@runtime_checkable
class Stage(Protocol[Settings]):
    """A step of compression, from a network to a network. A module or package of `hwflow.compress`,
    or of an installed package, has it as `STAGE`.

    Attributes:
        schema: its options in the recipe.
    """

    @property
    def schema(self) -> type[StageSettings]:
        """See above."""
        ...

    def check(
        self, model: nn.Module, settings: Settings, shape: tuple[int, ...] | None = None
    ) -> None:
        """Raise if the stage can't take such a network; called before any stage runs.

        Args:
            model: the recipe's network, not trained.
            settings: of the stage.
            shape: of one sample, where it is known.
        """
        ...

    def expected(
        self, before: Untrained, settings: Settings, data: Dataset, target: Target
    ) -> Untrained:
        """The network as the stage is to leave it, in its layers and their names, and nothing
        trained; `before.model` is left as it is.

        Args:
            before: as the stage is given it.
            settings: of the stage.
            data: the recipe's, of which few samples are looked at.
            target: what hardware is asked for, for budgets in its cost.

        Raises:
            HwflowError: what the stage would fail of when it runs.
        """
        ...

    def run(self, model: nn.Module, settings: Settings, context: StageContext) -> StageOutcome:
        """Transform and train."""
        ...

    def rebuild(self, model: nn.Module, settings: Settings, structure: dict[str, Any]) -> nn.Module:
        """The transformed network without its trained values, to load a checkpoint into."""
        ...


_STAGES: Registry[Stage[Any]] = Registry("hwflow.compress", "STAGE", Stage)


class _ByKind(Mapping[str, Stage[Any]]):
    """All stages by what a recipe calls them."""

    def __getitem__(self, kind: str) -> Stage[Any]:
        for stage in _STAGES:
            if kind in names(stage.schema, "kind"):
                return stage
        raise KeyError(kind)

    def __iter__(self) -> Iterator[str]:
        return (kind for stage in _STAGES for kind in names(stage.schema, "kind"))

    def __len__(self) -> int:
        return len(list(iter(self)))


STAGES = _ByKind()


def stage_of(settings: StageSettings) -> Stage[Any]:
    """The stage that does what a recipe asks for.

    Raises:
        HwflowError: an installed package has its options and not the stage.
    """
    return _STAGES.implementation(settings)


def accuracy(model: nn.Module, data: Dataset, split: Split, batch: int = 1000) -> float:
    """Share of a split's samples that the network classifies rightly, in eval mode."""
    model.eval()
    inputs = torch.from_numpy(data.floats(split))
    with torch.inference_mode():
        labels = [
            torch.argmax(model(inputs[i : i + batch]), 1).numpy()
            for i in range(0, len(split), batch)
        ]
    return float(np.mean(np.concatenate(labels) == split.labels))


def measure(model: nn.Module, context: StageContext) -> dict[str, float]:
    """Accuracy on the validation and the test split."""
    data = context.data
    return {
        "validation_accuracy": accuracy(model, data, data.validation),
        "test_accuracy": accuracy(model, data, data.test),
    }


def save_checkpoint(folder: Path, outcome: StageOutcome) -> None:
    """Write weights (safetensors), and then what else describes the network (JSON): where that is
    there, both are whole."""
    state = {k: v.detach().clone().contiguous() for k, v in outcome.model.state_dict().items()}
    header = {"structure": outcome.structure, "metrics": outcome.metrics}
    save_file(state, folder / WEIGHTS)
    write_whole(folder / HEADER, json.dumps(header, indent=1).encode())


def load_checkpoint(
    folder: Path, stage: Stage[Any], model: nn.Module, settings: StageSettings
) -> StageOutcome:
    """The outcome that a stage left in its folder.

    Args:
        folder: the stage's.
        stage: that made it.
        model: network that the stage was given.
        settings: that the stage ran with.

    Raises:
        HwflowError: the checkpoint is missing, damaged or of another network.
    """
    return read_checkpoint(folder, lambda structure: stage.rebuild(model, settings, structure))


def read_checkpoint(folder: Path, rebuild: Callable[[dict[str, Any]], nn.Module]) -> StageOutcome:
    """An outcome from a folder.

    Args:
        folder: that `save_checkpoint` wrote to.
        rebuild: gives the network, of the outcome's structure, to load the weights into.

    Raises:
        HwflowError: the checkpoint is missing, damaged or of another network.
    """
    try:
        header = json.loads((folder / HEADER).read_text())
        state = OrderedDict(load_file(folder / WEIGHTS))
        rebuilt = rebuild(header["structure"])
        # A file has no versions of layers, which some layers of torchvision ask for.
        state._metadata = rebuilt.state_dict()._metadata  # type: ignore[attr-defined]
        rebuilt.load_state_dict(state)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise HwflowError(
            f"{folder}: the checkpoint can't be loaded: {error}",
            hint="build again with --force",
        ) from error
    return StageOutcome(rebuilt.eval(), header["metrics"], header["structure"])
