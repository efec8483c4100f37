"""The graph in normal form as it grows, and what is known of each of its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwflow.exchange.domains import QONNX

OPSET = 13
Order = NDArray[np.intp]


@dataclass(frozen=True)
class InputGrid:
    """The input's integers: real value = scale * code + offset."""

    scale: float
    offset: float
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Affine:
    """A tensor that is the network's input times `factor` plus `offset`."""

    factor: NDArray[np.float64]
    offset: NDArray[np.float64]


@dataclass(frozen=True)
class Tensor:
    """An activation of the file and the tensor of the new graph that holds it.

    Attributes:
        name: in the new graph.
        shape: there, channels first, of one frame: (1, ...).
        axes: the file's tensor is that one, transposed so.
        order: the file's feature i is feature order[i] there; None: the same. Of vectors only.
        pads: zeros around it in the file that the new graph does not hold yet, as in Pad.
        affine: how it follows from the network's input, if it is that or that scaled.
        quantized: whether it holds integers times a scale.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    order: Order | None = None
    pads: tuple[int, ...] = ()
    affine: Affine | None = None
    quantized: bool = False

    @property
    def file_shape(self) -> tuple[int, ...]:
        """The file's shape of it."""
        padded = list(self.shape)
        if self.pads:
            half = len(self.pads) // 2
            padded = [n + self.pads[i] + self.pads[half + i] for i, n in enumerate(padded)]
        return tuple(padded[axis] for axis in self.axes)

    @property
    def transposed(self) -> bool:
        """Whether the file's order of axes is another."""
        return self.axes != tuple(range(len(self.axes)))


def inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes a transposition."""
    return tuple(int(i) for i in np.argsort(axes))


class Graph:
    """Collects nodes, parameters and shapes.

    Args:
        name: of the input.
        shape: of the input, (1, ...).
        versions: of other operations than ONNX's own, by domain.
    """

    def __init__(self, name: str, shape: tuple[int, ...], versions: Mapping[str, int]) -> None:
        self.input = name
        self.shapes: dict[str, tuple[int, ...]] = {name: shape}
        self.nodes: list[onnx.NodeProto] = []
        self.parameters: dict[str, onnx.TensorProto] = {}
        self.versions = versions
        self.opset = OPSET
        self.elements: dict[str, int] = {}  # types of tensors that are no floats

    def state(self) -> tuple[int, set[str], set[str]]:
        """How far it is, for `restore`."""
        return len(self.nodes), set(self.shapes), set(self.parameters)

    def restore(self, state: tuple[int, set[str], set[str]]) -> None:
        """Take back all that has been added since."""
        count, shapes, parameters = state
        del self.nodes[count:]
        self.shapes = {name: shape for name, shape in self.shapes.items() if name in shapes}
        self.parameters = {n: value for n, value in self.parameters.items() if n in parameters}

    def tag(self, state: tuple[int, set[str], set[str]], proto: onnx.NodeProto) -> None:
        """Give all nodes that were added since what a node of the file says of itself beside what
        it computes, such as the layer that it comes from."""
        for node in self.nodes[state[0] :]:
            if not node.metadata_props:
                node.metadata_props.extend(proto.metadata_props)

    def parameter(self, name: str, values: Any, kind: type = np.float32) -> str:
        """An initializer; its name is made unique."""
        unique, number = name, 1
        while unique in self.parameters or unique in self.shapes:
            number += 1
            unique = f"{name}_{number}"
        self.parameters[unique] = numpy_helper.from_array(np.asarray(values, kind), unique)
        return unique

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        *,
        name: str,
        output: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """A node; returns its output's name: `output`, or its own name.

        Names that are taken get a number.
        """
        output = self.free(output or name)
        self.nodes.append(
            helper.make_node(kind, inputs, [output], name=name, domain=domain, **attributes)
        )
        self.shapes[output] = tuple(int(size) for size in shape)
        return output

    def free(self, name: str) -> str:
        """The name, or where that is taken one with a number."""
        unique, number = name, 1
        while unique in self.shapes or unique in self.parameters:
            number += 1
            unique = f"{name}_{number}"
        return unique

    def keep(
        self, nodes: Sequence[onnx.NodeProto], output: str, shape: Sequence[int], element: int
    ) -> None:
        """Nodes of the file, and shape and type of what they make."""
        self.nodes += nodes
        self.shapes[output] = tuple(int(size) for size in shape)
        if element != TensorProto.FLOAT:
            self.elements[output] = element

    def element(self, name: str) -> int:
        """The type of a tensor's numbers."""
        return self.elements.get(name, int(TensorProto.FLOAT))

    def zeros(self, name: str) -> NDArray[Any]:
        """A tensor's value, were it zeros."""
        return np.zeros(self.shapes[name], helper.tensor_dtype_to_np_dtype(self.element(name)))

    def as_in_file(self, tensor: Tensor, name: str) -> Tensor:
        """The tensor as the file has it: order of axes and of features, padding."""
        tensor = self.channels_first(tensor, name)
        output, shape = tensor.name, tensor.shape
        if tensor.order is not None:
            order = self.parameter(f"{name}_order", tensor.order, np.int64)
            output = self.add("Gather", [output, order], shape, name=f"{name}_gather", axis=1)
        if any(tensor.pads):
            shape = tensor.file_shape
            pads = self.parameter(f"{name}_pads", tensor.pads, np.int64)
            output = self.add("Pad", [output, pads], shape, name=f"{name}_pad")
        return Tensor(output, shape, tuple(range(len(shape))))

    def channels_first(self, tensor: Tensor, name: str) -> Tensor:
        """The tensor with the file's axes in the order in which the file has them."""
        if not tensor.transposed:
            return tensor
        axes = [axis for axis in tensor.axes if tensor.shape[axis] > 1]
        shape = tuple(tensor.shape[axis] for axis in tensor.axes)
        if axes == sorted(axes):  # Only axes of size 1 move.
            output = self.reshape(tensor.name, shape, name)
        else:
            output = self.add(
                "Transpose", [tensor.name], shape, name=f"{name}_transpose", perm=tensor.axes
            )
        pads = tensor.pads
        if pads:
            half = len(pads) // 2
            pads = tuple(pads[side * half + axis] for side in (0, 1) for axis in tensor.axes)
        return replace(
            tensor, name=output, shape=shape, axes=tuple(range(len(shape))), pads=pads, affine=None
        )

    def reshape(self, name: str, shape: Sequence[int], node: str) -> str:
        """A Reshape to (1, ...)."""
        target = self.parameter(f"{node}_shape", [0, *shape[1:]], np.int64)
        return self.add("Reshape", [name, target], shape, name=f"{node}_reshape")

    def model(self, output: str) -> onnx.ModelProto:
        """The model: opset 13, or the file's if operations of that are kept; shapes on every
        tensor."""

        def info(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, self.element(name), self.shapes[name])

        used = {name for node in self.nodes for name in node.input}
        graph = helper.make_graph(
            self.nodes,
            "imported",
            [info(self.input)],
            [info(output)],
            initializer=[t for name, t in self.parameters.items() if name in used],
            value_info=[info(n) for n in self.shapes if n not in (self.input, output)],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        domains = {QONNX, *(node.domain for node in self.nodes if node.domain)}
        opsets += [helper.make_opsetid(d, self.versions.get(d, 1)) for d in sorted(domains)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="hwflow")
        model.ir_version = 8
        return model
