"""Operations that give an activation other axes: Transpose, Reshape, Flatten, Squeeze, Unsqueeze;
and Shape, which is a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwflow.errors import HwflowError
from hwflow.exchange.operations.operation import EACH, Batching, Frames, Operation
from hwflow.exchange.translation.constants import Constant, Constants, narrowest
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized, Value, real


def transpose(t: Translation, node: Node) -> Activation:
    """Transpose: not made, but remembered."""
    tensor = t.tensor(node)
    rank = len(tensor.shape)
    perm = [int(n) for n in node.attributes.get("perm", reversed(range(rank)))]
    if perm[0] != 0 or tensor.order is not None:
        raise node.refusal(
            f"a transposition by {perm} is not supported", "leave the batch dimension first"
        )
    return replace(tensor, axes=tuple(tensor.axes[axis] for axis in perm))


def flatten(t: Translation, node: Node) -> Activation:
    """Flatten to (1, features)."""
    tensor = t.tensor(node)
    rank = len(tensor.shape)
    if int(node.attributes.get("axis", 1)) % rank != 1:
        raise node.refusal("Flatten of other axes than all but the first", "use axis=1")
    return _reshaped(t, node, (1, int(np.prod(tensor.shape))))


def reshape(t: Translation, node: Node) -> Activation:
    """Reshape to a constant shape."""
    tensor = t.tensor(node)
    if len(node.inputs) > 1:
        if node.inputs[1] not in t.constants:
            raise node.refusal("the new shape is computed from the input", "use a constant shape")
        target = t.constants.integers(node.inputs[1])
    else:  # Until opset 4.
        target = [int(n) for n in node.attributes["shape"]]
    file_shape = tensor.file_shape
    if not node.attributes.get("allowzero", 0):
        target = [file_shape[axis] if size == 0 else size for axis, size in enumerate(target)]
    total = int(np.prod(file_shape))
    known = int(np.prod([size for size in target if size != -1]))
    # A first dimension that is written in numbers is the batch of the file, which is one frame now.
    shape = [total // known if size == -1 else size for size in target]
    if known and -1 not in target[1:] and int(np.prod(shape)) != total:
        shape = [1, *shape[1:]]
    if not shape or shape[0] != 1 or int(np.prod(shape)) != total:
        raise node.refusal(
            f"a reshape of {file_shape} to {target} is not supported",
            "leave the batch dimension first, of one frame",
        )
    return _reshaped(t, node, shape)


def squeeze(t: Translation, node: Node) -> Activation:
    """Squeeze of axes of size 1."""
    shape = list(t.tensor(node).file_shape)
    axes = _axes(t, node, len(shape))
    if axes is None:
        axes = [axis for axis, size in enumerate(shape) if size == 1 and axis]
    if 0 in axes:
        raise node.refusal("a squeeze of the batch dimension is not supported", "leave it")
    return _reshaped(t, node, [size for axis, size in enumerate(shape) if axis not in axes])


def unsqueeze(t: Translation, node: Node) -> Activation:
    """Unsqueeze: axes of size 1."""
    shape = list(t.tensor(node).file_shape)
    axes = _axes(t, node, None) or []
    rank = len(shape) + len(axes)
    positions = sorted(axis % rank for axis in axes)
    if 0 in positions:
        raise node.refusal("an axis in front of the batch dimension is not supported", "leave it")
    for position in positions:
        shape.insert(position, 1)
    return _reshaped(t, node, shape)


def _axes(t: Translation, node: Node, rank: int | None) -> list[int] | None:
    """The axes of Squeeze and Unsqueeze: an operand since opset 13, an attribute before."""
    if node.has(1):
        axes = t.constants.integers(node.inputs[1])
    elif "axes" in node.attributes:
        axes = [int(n) for n in node.attributes["axes"]]
    else:
        return None
    return [axis % rank for axis in axes] if rank else axes


def _reshaped(t: Translation, node: Node, shape: Sequence[int]) -> Activation:
    """The file's tensor in another shape."""
    tensor = t.plain(node, t.tensor(node))
    shape = tuple(shape)
    if shape == tensor.file_shape:
        return tensor
    output = node.output
    affine = tensor.affine
    if affine is not None and max(affine.factor.size, affine.offset.size) > 1:
        affine = None
    unpadded = replace(tensor, affine=affine, pads=())
    if len(shape) == 2 and tensor.order is None:
        name = t.graph.add("Flatten", [tensor.name], shape, name=node.name, output=output, axis=1)
        places = np.arange(shape[1]).reshape(tensor.shape).transpose(tensor.axes).reshape(-1)
        moved = bool(np.any(places != np.arange(shape[1])))
        return replace(
            unpadded, name=name, shape=shape, axes=(0, 1), order=places if moved else None
        )
    if tensor.order is not None:
        raise node.refusal(
            "a vector of flattened images, channels last, is made an image again",
            "export the model with channels first",
        )
    tensor = t.graph.channels_first(unpadded, node.name)
    name = t.graph.reshape(tensor.name, shape, node.name)
    return replace(tensor, name=name, shape=shape, axes=tuple(range(len(shape))), affine=affine)


def shape(t: Translation, node: Node) -> Activation:
    """Shape: a constant, for the network takes one frame."""
    tensor = t.tensor(node)
    start, end = int(node.attributes.get("start", 0)), node.attributes.get("end")
    t.constants.values[node.output] = np.asarray(tensor.file_shape, np.int64)[start:end]
    return tensor


def moved(constants: Constants, node: Node) -> Constant:
    """The same integers and scales elsewhere."""
    x = constants.operands(node)[0]
    if not isinstance(x, Quantized):
        return constants.computed(node)[0]
    rest = [constants.real(name) for name in node.inputs[1:]]
    codes = constants.results(node, [x.codes, *rest])[0]
    scale = constants.results(node, [np.broadcast_to(x.scale, x.codes.shape), *rest])[0]
    return Quantized(codes, narrowest(scale), x.minimum, x.maximum, x.bipolar)


# ------------------------------------------------------------------------------------ reference


def transposed(x: Value, perm: Sequence[int] | None) -> Value:
    """A value with its axes in another order."""
    if not isinstance(x, Quantized):
        return np.transpose(x, perm)
    scale = np.transpose(x.scale, perm) if x.scale.ndim > 1 else x.scale
    return Quantized(np.transpose(x.codes, perm), scale, x.minimum, x.maximum, x.bipolar)


def _transpose(operands: list[Value], node: Node) -> Value:
    return transposed(operands[0], node.attributes.get("perm"))


def _flatten(operands: list[Value], node: Node) -> Value:
    if node.attributes.get("axis", 1) != 1:
        raise HwflowError("Flatten of other axes than all but the first is not supported")
    return _of_shape(operands[0], (-1,))


def _reshape(operands: list[Value], node: Node) -> Value:
    x, target = operands
    sizes = [int(size) for size in real(target)[1:]]
    sample = real(x).shape[1:]
    return _of_shape(x, tuple(size or sample[axis] for axis, size in enumerate(sizes)))


def _of_shape(x: Value, sample: tuple[int, ...]) -> Value:
    """`x` with samples of another shape."""
    if not isinstance(x, Quantized):
        return x.reshape(len(x), *sample)
    codes = x.codes.reshape(len(x.codes), *sample)
    scale = x.scale
    if scale.size > 1:
        scale = np.broadcast_to(scale, (1, *x.codes.shape[1:])).reshape(1, *codes.shape[1:])
    return Quantized(codes, scale, x.minimum, x.maximum, x.bipolar)


def _keeps_frames(node: Node, frames: Frames) -> bool:
    """Whether a Reshape's first dimension is that of frames."""
    shape = frames.initializer(node.inputs[1]) if node.has(1) else None
    return shape is not None and shape[0] in (-1, 0, 1)


OPERATIONS = (
    Operation(
        ("Transpose",),
        reads=frozenset({"perm"}),
        translate=transpose,
        fold=moved,
        evaluate=_transpose,
        batching=Batching(lambda node, frames: node.attributes.get("perm", [1])[0] == 0),
        exact=True,
    ),
    Operation(
        ("Flatten",),
        reads=frozenset({"axis"}),
        translate=flatten,
        fold=moved,
        evaluate=_flatten,
        lowering="reshaping",
        batching=EACH,
        exact=True,
    ),
    Operation(
        ("Reshape",),
        reads=frozenset({"shape", "allowzero"}),
        idle=frozenset({"consumed_inputs"}),
        normal={"allowzero": 0},
        translate=reshape,
        fold=moved,
        evaluate=_reshape,
        lowering="reshaping",
        batching=Batching(_keeps_frames, shape=1),
        exact=True,
    ),
    Operation(("Squeeze",), reads=frozenset({"axes"}), translate=squeeze, fold=moved),
    Operation(("Unsqueeze",), reads=frozenset({"axes"}), translate=unsqueeze, fold=moved),
    Operation(("Shape",), reads=frozenset({"start", "end"}), translate=shape),
)
