"""A build: the steps of a recipe for a board, what each reads and what it leaves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.board import Board
from hwflow.build.hardware_steps import hardware_steps
from hwflow.build.stage_steps import (
    content_hash,
    data_settings,
    origin,
    repetition_folder,
    stage_steps,
)
from hwflow.config.yaml_source import load_yaml
from hwflow.engine.pipeline import ENDS, Context, Event, Pipeline, Step
from hwflow.engine.records import StepRecord
from hwflow.recipe import ImportedModel, Quantize, Recipe
from hwflow.recipe.loading import LoadedRecipe

if TYPE_CHECKING:
    from torch import nn

    from hwflow.data import Dataset

# Samples on which the trained network and its exports are compared.
AGREEMENT_SAMPLES = 256


@dataclass(frozen=True)
class Build:
    """A recipe for a board.

    Attributes:
        loaded: the recipe and where it lies.
        board: what to build for.
        run_dir: where everything goes.
    """

    loaded: LoadedRecipe
    board: Board
    run_dir: Path

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.loaded.recipe

    @property
    def source(self) -> str:
        """The step that leaves the quantized network, model.qonnx.onnx."""
        return "export" if self.recipe.model is None else "import"

    @property
    def title(self) -> str:
        """What is built, in words."""
        return f"{self.recipe.name} for {self.board.name}"

    def run(
        self,
        *,
        until: str | None = None,
        force: bool = False,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> dict[str, StepRecord]:
        """Bring the run directory up to date.

        Args:
            until: last step.
            force: do all of it again.
            on_event: told what happens.

        Raises:
            HwflowError: a step failed; what is finished stays so.
            KeyboardInterrupt: interrupted; the same build goes on where it stopped.
        """
        pipeline = Pipeline(self.run_dir, self.steps(), title=self.title)
        return pipeline.execute(until, force, on_event)

    def steps(self) -> list[Step]:
        """The steps of this build, in order."""
        recipe = self.recipe
        steps = [step for n in range(recipe.seeds) for step in stage_steps(self, n)]
        if recipe.model is not None:
            steps.append(self._import_step(recipe.model))
        elif any(isinstance(stage, Quantize) for stage in recipe.stages):
            steps.append(
                Step(
                    "export",
                    "export",
                    self._export,
                    settings=[origin(self), self._quantization().target],
                    after=tuple(recipe.stage_names),
                    rooms=("exchange", "graphs", "compress", "costs", "networks", "data"),
                    distributions=("brevitas", "qonnx", "onnx", "onnxruntime", "torch"),
                )
            )
        else:
            return steps
        return [*steps, *hardware_steps(self)]

    def _import_step(self, model: ImportedModel) -> Step:
        return Step(
            "import",
            "import",
            partial(self._import, model),
            settings=[
                model.model_dump(mode="json"),
                data_settings(self),
                [content_hash(file) for file in self._model_files(model)],
            ],
            rooms=("exchange", "graphs", "data"),
            distributions=("qonnx", "onnx", "onnxruntime", "torch"),
        )

    # ------------------------------------------------------------------- what steps depend on

    def _model_files(self, model: ImportedModel) -> list[Path]:
        """The user's files that an import reads."""
        from hwflow.exchange.importing.reading import external_files

        path = self.loaded.base / Path(model.qonnx).expanduser()
        files = [path, *external_files(path)]
        if model.inputs is not None:
            files.append(self.loaded.base / Path(model.inputs).expanduser())
        return files

    def _quantization(self) -> Quantize:
        """The stage that makes the network one that can be exported."""
        return next(stage for stage in self.recipe.stages if isinstance(stage, Quantize))

    def check(self, model: nn.Module, data: Dataset) -> None:
        """Find out before any training what later steps would fail of.

        Args:
            model: the network, not trained.
            data: the data set.

        Raises:
            HwflowError: a stage can't take the network, a teacher can't be had, the folding can't
                be had, or there is no compiler for the simulation.
        """
        from hwflow.build.checking import check_fits, check_recipe

        with tempfile.TemporaryDirectory(prefix="hwflow-check-") as folder:
            base = self.loaded.base
            found = check_recipe(self.recipe, self.board, data, model, base, Path(folder))
        check_fits(found, self.board)

    def _check_hardware(self) -> None:
        from hwflow.costs import target_cycles
        from hwflow.simulate.compile import check_compiler

        target_cycles(self.recipe.hardware, self.board)
        if self.recipe.hardware.folding is not None:
            load_yaml(self.loaded.base / self.recipe.hardware.folding)
        check_compiler()

    # -------------------------------------------------------------------------- what steps do

    def data(self) -> Dataset:
        """The recipe's data set; of a model file, the samples that it was imported with."""
        if self.recipe.model is not None:
            from hwflow.exchange.importing import samples

            return samples.load(self.run_dir / self.source)
        from hwflow.data import load

        assert self.recipe.data is not None
        return load(self.recipe.data, self.recipe.seed, self.loaded.base)

    def network(self, data: Dataset, stages: int, repetition: int = 0) -> nn.Module:
        """The network after the first `stages` stages, from their checkpoints.

        Args:
            data: the data set.
            stages: how many.
            repetition: 0: the recipe's own seed; others: see `stage_steps`.
        """
        from hwflow import networks
        from hwflow.compress import STAGES, load_checkpoint

        recipe = self.recipe
        seed, folder = recipe.seed + repetition, self.run_dir / repetition_folder(repetition)
        assert recipe.network is not None
        model = networks.build(recipe.network, data.shape, data.classes, seed, self.loaded.base)
        for name, settings in list(zip(recipe.stage_names, recipe.stages, strict=True))[:stages]:
            stage: Any = STAGES[settings.kind]
            model = load_checkpoint(folder / name, stage, model, settings).model
        return model

    def _import(self, model: ImportedModel, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.exchange.importing.importer import import_into

        self._check_hardware()
        path = self.loaded.base / Path(model.qonnx).expanduser()
        recipe, base = self.recipe, self.loaded.base
        return import_into(folder, path, model, recipe.data, recipe.seed, base, context.note)

    def _export(self, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.build.checking import FOR_EXPORT
        from hwflow.exchange import check_agreement, export

        data = self.data()
        model = self.network(data, len(self.recipe.stages))
        exported = export(model, data.shape, folder)
        inputs = data.floats(data.validation)[:AGREEMENT_SAMPLES]
        agreement = check_agreement(model, exported, inputs)
        facts = {
            **asdict(agreement),
            "qonnx_skipped": exported.qonnx_skipped,
            "qcdq_skipped": exported.qcdq_skipped,
        }
        return {**facts, ENDS: FOR_EXPORT} if self._quantization().target == "export" else facts
