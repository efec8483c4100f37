"""Many layers in one Verilator program, each compared with FINN's Python execution.

Compiling is what costs: so the configurations of a kernel that a test wants are all put into one
program, where each has streams and stalls of its own.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from hwflow.board import Board
from hwflow.families import family
from hwflow.kernels import RTL
from hwflow.kernels.kernel_op import KernelOp
from hwflow.processes import run_process
from hwflow.recipe import Stall
from hwflow.rtl import Node, Port
from hwflow.rtl.generate import in_order
from hwflow.rtl.nodes import generate_node
from hwflow.simulate.compile import Variant, compile_program
from hwflow.simulate.packing import pack, unpack, words_per_beat
from hwflow.synth.backend import NETLIST, Module
from hwflow.synth.netlist import CELLS, cell_models
from hwflow.synth.nodes import defines
from hwflow.synth.yosys import BACKEND
from tests.support.hardware import PYNQ

BENCH = Path(__file__).with_name("bench.cpp")
STALLS = (Stall(), Stall(source=30, sink=50), Stall(sink=80))
# Without stalls, so many frames run until the pipeline is full and the cycles of one are counted.
FRAMES = 10
# FINN executes in float32, whose integers end there.
EXACT = 2**24

Integers = NDArray[np.int64]


def one_layer(
    op: str, inputs: Sequence[tuple[str, Any]], outputs: int = 1, **attributes: Any
) -> ModelWrapper:
    """A graph of one hardware layer.

    Args:
        op: its type, as `Pool_rtl`.
        inputs: datatype of each, and its shape if it is a stream or its values (an array) if it
            is a parameter.
        outputs: how many.
        attributes: of the node.
    """
    names = [f"in{index}" for index in range(len(inputs))]
    attributes = {key: _plain(value) for key, value in attributes.items()}
    node = helper.make_node(
        op,
        names,
        [f"out{index}" for index in range(outputs)],
        name="layer",
        domain=RTL,
        backend="fpgadataflow",
        exec_mode="cppsim",
        **attributes,
    )
    layer = getCustomOp(node)
    streams = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, _plain(given))
        for name, (_, given) in zip(names, inputs, strict=True)
        if not isinstance(given, np.ndarray)
    ]
    results = [
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT, _plain(list(layer.get_normal_output_shape(i)))
        )
        for i, name in enumerate(node.output)
    ]
    model = ModelWrapper(helper.make_model(helper.make_graph([node], "layer", streams, results)))
    for name, (datatype, given) in zip(names, inputs, strict=True):
        if isinstance(given, np.ndarray):
            model.set_initializer(name, given.astype(np.float32))
        model.set_tensor_datatype(name, DataType[datatype])
    for index, name in enumerate(node.output):
        model.set_tensor_datatype(name, layer.get_output_datatype(index))
    return model


@dataclass(frozen=True)
class _Stream:
    """A port of a layer, the tensor that it carries, that tensor's shape and range.

    `ahead` beats of a frame come before any of its input, as from padding.
    """

    name: str
    tensor: str
    shape: tuple[int, ...]
    low: int
    high: int
    port: Port
    ahead: int


class Bench:
    """Layers compiled into one program.

    Args:
        models: graphs of one RTL layer each (see `one_layer`); they are renamed.
        folder: where the layers are generated.
        cache: where Verilator's compiled runtime is kept (the fixture `models`).
        board: that they are for.
        netlists: put the layers' netlists in their place.
    """

    def __init__(
        self,
        models: Sequence[ModelWrapper],
        folder: Path,
        cache: Path,
        board: Board = PYNQ,
        *,
        netlists: bool = False,
    ) -> None:
        self.folder, self.models = folder, list(models)
        self.inputs: list[list[_Stream]] = []
        self.outputs: list[list[_Stream]] = []
        self.nodes: list[Node] = []
        for index, model in enumerate(self.models):
            (node,) = model.graph.node
            node.name = f"layer{index}"
            generated = generate_layer(model, folder, board)
            self.nodes.append(_netlist(generated, folder, board) if netlists else generated)
            streams = [i for i, name in enumerate(node.input) if not _is_parameter(model, name)]
            self.inputs.append([_stream(model, i, source=True) for i in streams])
            self.outputs.append([_stream(model, i, False) for i in range(len(node.output))])
        (folder / "top.sv").write_text(self._top())
        (folder / "sources.f").write_text("\n".join([*in_order(self.nodes), "top.sv"]) + "\n")
        cache.mkdir(exist_ok=True)
        scratch = folder / "program"
        scratch.mkdir()
        variant = Variant(gauge=False, trace=False, optimise=False)
        self.program = compile_program(
            folder, "top", BENCH, self._header(), scratch, variant, 2, cache
        )

    def check(self, frames: int = FRAMES, stalls: Sequence[Stall] = STALLS, seed: int = 0) -> None:
        """Assert that every layer puts out what FINN's execution does, bit by bit.

        The first two frames are the least and the greatest number of each type, the others
        random. Without stalls the cycles of a frame are compared with `node_cycles`, exactly.
        """
        random = np.random.default_rng(seed)
        given = [
            [_random_frames(stream, frames, random) for stream in streams]
            for streams in self.inputs
        ]
        wanted = [self._reference(index, tensors) for index, tensors in enumerate(given)]
        for stall in stalls:
            found, cycles = self.run(given, stall, seed)
            for index, model in enumerate(self.models):
                about = f"{describe(model)} under {stall}"
                for stream, expected, outputs in zip(
                    self.outputs[index], wanted[index], found[index], strict=True
                ):
                    wrong = np.argwhere(expected != outputs)
                    assert not len(wrong), f"{about}: {stream.tensor} differs at {wrong[0]}"
                if stall == Stall():
                    formula = self.nodes[index].cycles
                    assert cycles[index] == formula, (
                        f"{about}: {cycles[index]} cycles a frame, not {formula}"
                    )

    def run(
        self, given: Sequence[Sequence[Integers]], stall: Stall, seed: int = 0
    ) -> tuple[list[list[Integers]], list[float]]:
        """Run frames through every layer.

        Args:
            given: of each layer, of each of its inputs, integers (frames, elements).
            stall: random stalls; sinks that stall are ready only when there is data.
            seed: of stalls, and of what the RTL leaves undefined.

        Returns:
            Of each layer, of each of its outputs, integers (frames, elements); and of each layer
            the cycles between the completion of frames, over the second half of them.
        """
        frames = len(given[0][0])
        longest = max(node.cycles for node in self.nodes)
        with tempfile.TemporaryDirectory(prefix="hwflow-bench-") as scratch:
            folder = Path(scratch)
            for index, tensors in enumerate(given):
                for stream, values in zip(self.inputs[index], tensors, strict=True):
                    ordered = self._in_order(index, stream, values)
                    pack(ordered, stream.port).tofile(folder / stream.name)
            lines = [
                f"folder {folder}",
                f"frames {frames}",
                f"source {stall.source}",
                f"sink {stall.sink}",
                f"shy {int(stall.sink > 0)}",
                f"seed {seed}",
                f"patience {2000 + 20 * longest}",
            ]
            (folder / "config").write_text("\n".join(lines) + "\n")
            finished = run_process([self.program, folder / "config"], cwd=self.folder)
            assert not finished.code, self._explain(finished.output)
            found = [
                [
                    unpack(
                        np.fromfile(
                            folder / s.name, "<u4", frames * s.port.beats * words_per_beat(s.port)
                        ),
                        s.port,
                    )
                    for s in streams
                ]
                for streams in self.outputs
            ]
            completed = [
                np.fromfile(folder / f"layer{index}.cycles", "<u8").astype(np.int64)
                for index in range(len(self.models))
            ]
        return found, [_interval(cycles) for cycles in completed]

    def _in_order(self, index: int, stream: _Stream, values: Integers) -> Integers:
        """Frames (frames, elements) of a tensor in the order of its stream."""
        (node,) = self.models[index].graph.node
        layer, place = getCustomOp(node), list(node.input).index(stream.tensor)
        if not isinstance(layer, KernelOp):
            return values
        tensors = values.reshape(len(values), *stream.shape)
        return layer.stream_order(tensors, place).reshape(len(values), -1)

    def _explain(self, output: str) -> str:
        named = re.findall(r"\blayer(\d+)", output)
        about = describe(self.models[int(named[0])]) if named else ""
        return f"{about}\n{output[-2000:]}"

    def _reference(self, index: int, tensors: Sequence[Integers]) -> list[Integers]:
        model = self.models[index]
        results: list[list[Integers]] = [[] for _ in self.outputs[index]]
        for frame in zip(*tensors, strict=True):
            context = {
                stream.tensor: values.reshape(stream.shape).astype(np.float32)
                for stream, values in zip(self.inputs[index], frame, strict=True)
            }
            produced = execute_onnx(model, context)
            for result, stream in zip(results, self.outputs[index], strict=True):
                result.append(produced[stream.tensor].reshape(-1).astype(np.int64))
        return [np.array(result) for result in results]

    # ------------------------------------------------------------------ the generated program

    def _streams(self) -> list[tuple[_Stream, bool]]:
        found = [(s, True) for streams in self.inputs for s in streams]
        return found + [(s, False) for streams in self.outputs for s in streams]

    def _top(self) -> str:
        ports = ["	input  wire ap_clk", "	input  wire ap_rst_n"]
        for stream, is_input in self._streams():
            there, back = ("input ", "output") if is_input else ("output", "input ")
            ports += [
                f"	{there} wire [{stream.port.padded_width}-1:0] {stream.name}_tdata",
                f"	{there} wire {stream.name}_tvalid",
                f"	{back} wire {stream.name}_tready",
            ]
        layers = []
        for index, (inputs, outputs) in enumerate(zip(self.inputs, self.outputs, strict=True)):
            pins = [".ap_clk(ap_clk)", ".ap_rst_n(ap_rst_n)"]
            for stream in (*inputs, *outputs):
                name = stream.name.removeprefix(f"layer{index}_")
                pins += [
                    f".{name}_V_T{wire.upper()}({stream.name}_t{wire})"
                    for wire in ("data", "valid", "ready")
                ]
            layers.append(
                f"	{self.nodes[index].module} layer{index}_i (\n		"
                + ",\n		".join(pins)
                + "\n	);"
            )
        body = "\n".join(layers)
        return "module top (\n" + ",\n".join(ports) + f"\n);\n{body}\nendmodule\n"

    def _header(self) -> str:
        def ports(streams: Sequence[_Stream]) -> str:
            described = [
                f'{{"{s.name}", {words_per_beat(s.port)}, {s.port.beats}, {s.ahead}}}'
                for s in streams
            ]
            return "{" + ", ".join(described) + "}"

        layers = [
            f'  Layer{{"layer{index}", {ports(inputs)}, {ports(outputs)}}}'
            for index, (inputs, outputs) in enumerate(zip(self.inputs, self.outputs, strict=True))
        ]
        drive, sample = [], []
        for index, streams in enumerate(self.inputs):
            for number, stream in enumerate(streams):
                port, pin = f"layers[{index}].inputs[{number}]", f"top.{stream.name}"
                drive.append(f"from_words({pin}_tdata, {port}.data.data(), {port}.words);")
                drive.append(f"{pin}_tvalid = {port}.valid;")
                sample.append(f"{port}.ready = {pin}_tready;")
        for index, streams in enumerate(self.outputs):
            for number, stream in enumerate(streams):
                port, pin = f"layers[{index}].outputs[{number}]", f"top.{stream.name}"
                drive.append(f"{pin}_tready = {port}.ready;")
                sample.append(f"{port}.valid = {pin}_tvalid;")
                sample.append(f"to_words({pin}_tdata, {port}.data.data(), {port}.words);")
        return "\n".join(
            [
                "std::vector<Layer> layers = {",
                ",\n".join(layers),
                "};",
                "void drive(Vtop &top) {",
                *drive,
                "}",
                "void sample(Vtop &top) {",
                *sample,
                "}",
                "",
            ]
        )


def generate_layer(model: ModelWrapper, folder: Path, board: Board = PYNQ) -> Node:
    """Generate the only layer of a graph into a folder, for a board."""
    (node,) = model.graph.node
    return generate_node(model, node, folder, board.part, board.clock_mhz)


def _netlist(node: Node, folder: Path, board: Board) -> Node:
    """A node whose only source, but for models of cells, is its netlist."""
    of, place = family(board.family), folder / f"{node.name}_synthesis"
    place.mkdir()
    module = Module(node.module, folder, node.files, defines(node, of))
    BACKEND.synthesise(module, of, place, place / "log")
    text = (place / NETLIST).read_text()
    assert not [cell for cell in of.fabric.opaque if re.search(rf"\b{cell}\b", text)]
    (folder / f"{node.name}_netlist.v").write_text(text)
    (folder / CELLS).write_text(cell_models(of))
    return node.model_copy(update={"files": (CELLS, f"{node.name}_netlist.v"), "data": ()})


def describe(model: ModelWrapper) -> str:
    """A layer's type and those of its attributes that were given."""
    (node,) = model.graph.node
    hidden = {"backend", "exec_mode", "code_gen_dir_ipgen", "gen_top_module"}
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name not in hidden}
    return f"{node.name} {node.op_type} {given}"


def _plain(value: Any) -> Any:
    """Python's own numbers in place of numpy's, which ONNX refuses."""
    return np.asarray(value).tolist()


def _is_parameter(model: ModelWrapper, tensor: str) -> bool:
    return model.get_initializer(tensor) is not None


def _stream(model: ModelWrapper, index: int, source: bool) -> _Stream:
    (node,) = model.graph.node
    layer = getCustomOp(node)
    if source:
        tensor, datatype = node.input[index], layer.get_input_datatype(index)
        shape, folded = layer.get_normal_input_shape(index), layer.get_folded_input_shape(index)
        width, padded = layer.get_instream_width(index), layer.get_instream_width_padded(index)
    else:
        tensor, datatype = node.output[index], layer.get_output_datatype(index)
        shape, folded = layer.get_normal_output_shape(index), layer.get_folded_output_shape(index)
        width, padded = layer.get_outstream_width(index), layer.get_outstream_width_padded(index)
    bipolar = datatype == DataType["BIPOLAR"]
    port = Port(
        width=width,
        padded_width=padded,
        beats=math.prod(folded[:-1]),
        element_bits=datatype.bitwidth(),
        elements=folded[-1],
        signed=datatype.signed() and not bipolar,
        bipolar=bipolar,
    )
    name = f"{node.name}_{'in' if source else 'out'}{index}"
    sizes = tuple(int(size) for size in shape)
    ahead = 0 if source else _beats_ahead(layer)
    return _Stream(name, tensor, sizes, int(datatype.min()), int(datatype.max()), port, ahead)


def _beats_ahead(layer: Any) -> int:
    if layer.onnx_node.op_type != "FMPadding_rtl":
        return 0
    top, left, *_ = layer.get_nodeattr("Padding")
    _, _, width, folds, _ = layer.get_folded_output_shape()
    return int((top * width + left) * folds)


def _random_frames(stream: _Stream, frames: int, random: np.random.Generator) -> Integers:
    low, high = max(stream.low, -EXACT), min(stream.high, EXACT)
    size = (frames, math.prod(stream.shape))
    if stream.port.bipolar:
        values = random.choice([low, high], size)
    else:
        values = random.integers(low, high + 1, size)
    values[0], values[1] = low, high
    return values


def _interval(completed: Integers) -> float:
    half = (len(completed) - 1) // 2
    return float((completed[-1] - completed[half]) / (len(completed) - 1 - half))
