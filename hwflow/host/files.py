"""The host's ONNX files, of plain ONNX operations.

`head.onnx` takes the real values of samples and gives the accelerator's input integers, in the
order in which the accelerator takes them (images channels last). `tail.onnx` takes its output
integers in the order in which they come, and gives the logits. Quantizers are written out, in
float64: division, rounding and clipping come out as in the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwflow.dataflow.graph import Shape
from hwflow.dataflow.outputs import OutputCode
from hwflow.errors import HwflowError
from hwflow.exchange.activations import Activations
from hwflow.exchange.batches import any_batch, fits_batches
from hwflow.exchange.domains import STANDARD, domain_of
from hwflow.exchange.operations import operation_of
from hwflow.exchange.translation.nodes import Node, read_node

# Inputs and outputs of head and tail.
INPUTS, CODES, INTEGERS, LOGITS = ENDS = "inputs", "codes", "integers", "logits"
# ir_version of ONNX files that onnxruntime has read for years.
IR_VERSION = 8
# Name, type and shape of a file's input or output.
End = tuple[str, int, Sequence[int]]


def head_file(network: Activations, begin: int, shape: Shape) -> onnx.ModelProto:
    """What the host does before the accelerator.

    Args:
        network: the whole network, QONNX.
        begin: number of the quantizer whose codes the accelerator takes.
        shape: of the accelerator's input, (1, H, W, C) or (1, F).

    Raises:
        HwflowError: a quantizer that plain ONNX does not express.
    """
    nodes = network.nodes[: begin + 1]
    file = _File(network, nodes)
    source = network.model.graph.input[0]
    file.values[source.name] = file.cast(INPUTS, file.element)
    file.copy(nodes[:-1])
    codes = file.codes(nodes[-1])
    image = len(shape) == 4
    sizes = [d.dim_value for d in _value(network.model, nodes[-1].output[0])]
    if image:  # Channels last.
        codes = file.add("Transpose", [codes], perm=[0, *range(2, len(sizes)), 1])
    if not image or len(sizes) != 4:
        codes = file.add("Reshape", [codes, file.constant([0, *shape[1:]], np.int64)])
    file.cast(codes, TensorProto.INT32, output=CODES)
    dims = [d.dim_value for d in source.type.tensor_type.shape.dim]
    output = (CODES, TensorProto.INT32, shape)
    return file.model("head", (INPUTS, TensorProto.FLOAT, dims), output)


def tail_file(network: Activations, end: int, shape: Shape, meaning: OutputCode) -> onnx.ModelProto:
    """What the host does behind the accelerator.

    Args:
        network: the whole network, QONNX.
        end: number of the operation whose output the accelerator computes.
        shape: of the accelerator's output, (1, H, W, C) or (1, F).
        meaning: of its integers.

    Raises:
        HwflowError: a quantizer that plain ONNX does not express.
    """
    nodes = network.nodes[end + 1 :]
    file = _File(network, nodes)
    x = file.add("Reshape", [INTEGERS, file.constant([0, -1], np.int64)])
    if np.any(np.diff(meaning.places) != 1):
        x = file.add("Gather", [x, file.constant(meaning.places, np.int64)], axis=1)
    x = file.cast(x, TensorProto.DOUBLE)
    x = file.add("Reshape", [x, file.constant([0, *meaning.shape], np.int64)])
    x = file.add("Mul", [x, file.constant(meaning.scale, np.float64)])
    x = file.add("Add", [x, file.constant(meaning.zero, np.float64)])
    tensor = network.nodes[end].output[0]
    file.values[tensor] = file.cast(x, file.element)
    file.copy(nodes)
    output = network.model.graph.output[0].name
    file.cast(file.values[output], TensorProto.FLOAT, output=LOGITS)
    logits = (LOGITS, TensorProto.FLOAT, [d.dim_value for d in _value(network.model, output)])
    return file.model("tail", (INTEGERS, TensorProto.INT32, shape), logits)


def _value(model: onnx.ModelProto, name: str) -> Any:
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    return next(v.type.tensor_type.shape.dim for v in values if v.name == name)


class _File:
    """A file as it grows.

    Args:
        network: what it is a part of.
        nodes: the part, which decides whether it is computed in float64.

    Attributes:
        element: type of the real values in it.
        values: for tensors of the network those of the file that hold them.
    """

    def __init__(self, network: Activations, nodes: Sequence[onnx.NodeProto]) -> None:
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values: dict[str, str] = {}
        self.initializers = {t.name: t for t in network.model.graph.initializer}
        operands = [name for node in nodes for name in node.input if name in network.constants]
        constant_nodes = network.constant_nodes(operands)
        # A file of operations alone that onnxruntime computes in float64, too, is as exact as the
        # reference.
        exact = all(operation_of(node).exact for node in (*nodes, *constant_nodes))
        self.element = TensorProto.DOUBLE if exact else TensorProto.FLOAT
        self.copy(constant_nodes)

    # ------------------------------------------------------------------------------- pieces

    def constant(self, values: Any, kind: Any, name: str = "") -> str:
        """A constant; returns its name."""
        name = name or f"host.constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        output: str = "",
        name: str = "",
        **attributes: Any,
    ) -> str:
        """An operation on tensors of the file; returns what it makes."""
        output = output or f"host.{kind.lower()}{len(self.nodes)}"
        node = helper.make_node(kind, inputs, [output], name=name or output, **attributes)
        self.nodes.append(node)
        return output

    def cast(self, tensor: str, element: int, *, output: str = "") -> str:
        """Another type of number."""
        return self.add("Cast", [tensor], output=output, to=element)

    def operand(self, name: str) -> str:
        """The file's tensor that holds one of the network's."""
        if not name or name in self.values:
            return self.values.get(name, "")
        array = numpy_helper.to_array(self.initializers[name])
        real = array.dtype == np.float32 and self.element == TensorProto.DOUBLE
        kind = np.float64 if real else array.dtype
        self.values[name] = self.constant(array, kind, _own(name))
        return self.values[name]

    # ------------------------------------------- what an operation writes itself by: see Plain

    def number(self, values: Any) -> str:
        """A constant in float64."""
        return self.constant(values, np.float64)

    def exact(self, name: str) -> str:
        """A tensor of the network in float64."""
        operand = self.operand(name)
        if self.element == TensorProto.DOUBLE:
            return operand
        return self.add("Cast", [operand], to=TensorProto.DOUBLE)

    def parameter(self, node: Node, index: int, what: str) -> NDArray[np.float64]:
        """An operand that decides how a node is written."""
        name = node.inputs[index]
        if name not in self.initializers:
            raise HwflowError(
                f"{node.name}: the {what} of the quantizer is computed, which the host does not"
                " express",
                hint="export the model again, with constants folded",
            )
        return np.asarray(numpy_helper.to_array(self.initializers[name]), np.float64)

    # --------------------------------------------------------------------------- operations

    def copy(self, nodes: Sequence[onnx.NodeProto]) -> None:
        """Operations of the network.

        Raises:
            HwflowError: ONNX does not express one.
        """
        for node in nodes:
            write = operation_of(node).write
            if write is not None:
                real = write(self, read_node(node))
                if self.element != TensorProto.DOUBLE:
                    real = self.add("Cast", [real], to=self.element)
                self.values[node.output[0]] = real
                continue
            if domain_of(node):
                raise HwflowError(
                    f"{node.name}: the host can't run {node.op_type} of {node.domain}",
                    hint="use operations of ONNX",
                )
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            del copied.input[:]
            copied.input.extend(self.operand(name) for name in node.input)
            self.values.update({name: _own(name) for name in node.output if name})
            del copied.output[:]
            copied.output.extend(self.values.get(name, "") for name in node.output)
            self.nodes.append(copied)

    def codes(self, node: onnx.NodeProto) -> str:
        """The integers of a quantizer, float64.

        Raises:
            HwflowError: ONNX does not express it.
        """
        write = operation_of(node).write_codes
        assert write is not None, f"{node.op_type} is no border of an accelerator"
        return write(self, read_node(node))

    # --------------------------------------------------------------------------------- model

    def model(self, name: str, source: End, output: End) -> onnx.ModelProto:
        """The file, of any number of frames where its operations treat each by itself."""
        ends = [
            helper.make_tensor_value_info(tensor, element, [1, *shape[1:]])
            for tensor, element, shape in (source, output)
        ]
        graph = helper.make_graph(self.nodes, name, ends[:1], ends[1:], initializer=self.constants)
        versions = [o for o in self.network.model.opset_import if o.domain in STANDARD]
        model = helper.make_model(graph, opset_imports=versions, producer_name="hwflow")
        model.ir_version = IR_VERSION
        return any_batch(model) if fits_batches(model) else model


def _own(name: str) -> str:
    """The name in a file of a tensor of the network's."""
    return f"network.{name}" if name in ENDS else name
