"""Operations that move an activation's numbers about: Transpose, Reshape, Flatten, Pad, Concat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwflow.exchange.importing.graph import Tensor
from hwflow.exchange.importing.nodes import Node, Value
from hwflow.exchange.importing.normal import Translator


def transpose(t: Translator, node: Node) -> Value:
    """Transpose: not made, but remembered."""
    tensor = t.tensor(node)
    rank = len(tensor.shape)
    perm = [int(n) for n in node.attributes.get("perm", reversed(range(rank)))]
    if perm[0] != 0 or tensor.order is not None:
        raise node.refusal(
            f"a transposition by {perm} is not supported", "leave the batch dimension first"
        )
    return replace(tensor, axes=tuple(tensor.axes[axis] for axis in perm))


def flatten(t: Translator, node: Node) -> Value:
    """Flatten to (1, features)."""
    tensor = t.tensor(node)
    rank = len(tensor.shape)
    if int(node.attributes.get("axis", 1)) % rank != 1:
        raise node.refusal("Flatten of other axes than all but the first", "use axis=1")
    return _reshaped(t, node, (1, int(np.prod(tensor.shape))))


def reshape(t: Translator, node: Node) -> Value:
    """Reshape to a constant shape."""
    tensor = t.tensor(node)
    if len(node.inputs) > 1:
        if node.inputs[1] not in t.constants:
            raise node.refusal("the new shape is computed from the input", "use a constant shape")
        target = t.constants.integers(node.inputs[1])
    else:  # Until opset 4.
        target = [int(n) for n in node.attributes["shape"]]
    given = tensor.file_shape
    if not node.attributes.get("allowzero", 0):
        target = [given[axis] if size == 0 else size for axis, size in enumerate(target)]
    total = int(np.prod(given))
    known = int(np.prod([size for size in target if size != -1]))
    # A first dimension that is written in numbers is the batch of the file, which is one frame now.
    shape = [total // known if size == -1 else size for size in target]
    if known and -1 not in target[1:] and int(np.prod(shape)) != total:
        shape = [1, *shape[1:]]
    if not shape or shape[0] != 1 or int(np.prod(shape)) != total:
        raise node.refusal(
            f"a reshape of {given} to {target} is not supported",
            "leave the batch dimension first, of one frame",
        )
    return _reshaped(t, node, shape)


def squeeze(t: Translator, node: Node) -> Value:
    """Squeeze of axes of size 1."""
    shape = list(t.tensor(node).file_shape)
    axes = _axes(t, node, len(shape))
    if axes is None:
        axes = [axis for axis, size in enumerate(shape) if size == 1 and axis]
    if 0 in axes:
        raise node.refusal("a squeeze of the batch dimension is not supported", "leave it")
    return _reshaped(t, node, [size for axis, size in enumerate(shape) if axis not in axes])


def unsqueeze(t: Translator, node: Node) -> Value:
    """Unsqueeze: axes of size 1."""
    shape = list(t.tensor(node).file_shape)
    axes = _axes(t, node, None) or []
    rank = len(shape) + len(axes)
    places = sorted(axis % rank for axis in axes)
    if 0 in places:
        raise node.refusal("an axis in front of the batch dimension is not supported", "leave it")
    for place in places:
        shape.insert(place, 1)
    return _reshaped(t, node, shape)


def _axes(t: Translator, node: Node, rank: int | None) -> list[int] | None:
    """The axes of Squeeze and Unsqueeze: an operand since opset 13, an attribute before."""
    if len(node.inputs) > 1 and node.inputs[1]:
        found = t.constants.integers(node.inputs[1])
    elif "axes" in node.attributes:
        found = [int(n) for n in node.attributes["axes"]]
    else:
        return None
    return [axis % rank for axis in found] if rank else found


def _reshaped(t: Translator, node: Node, shape: Sequence[int]) -> Value:
    """The file's tensor in another shape."""
    tensor = t.plain(node, t.tensor(node))
    shape = tuple(shape)
    if shape == tensor.file_shape:
        return tensor
    output = node.proto.output[0]
    affine = tensor.affine
    if affine is not None and max(affine.factor.size, affine.offset.size) > 1:
        affine = None
    kept = replace(tensor, affine=affine, pads=())
    if len(shape) == 2 and tensor.order is None:
        made = t.graph.add("Flatten", [tensor.name], shape, name=node.name, output=output, axis=1)
        places = np.arange(shape[1]).reshape(tensor.shape).transpose(tensor.axes).reshape(-1)
        moved = bool(np.any(places != np.arange(shape[1])))
        return replace(kept, name=made, shape=shape, axes=(0, 1), order=places if moved else None)
    if tensor.order is not None:
        raise node.refusal(
            "a vector of flattened images, channels last, is made an image again",
            "export the model with channels first",
        )
    tensor = t.graph.channels_first(kept, node.name)
    made = t.graph.reshape(tensor.name, shape, node.name)
    return replace(tensor, name=made, shape=shape, axes=tuple(range(len(shape))), affine=affine)


def pad(t: Translator, node: Node) -> Value:
    """Pad with zeros: remembered, for a convolution to take over."""
    tensor = t.tensor(node)
    rank = len(tensor.shape)
    if bytes(node.attributes.get("mode", b"constant")) != b"constant":
        raise node.refusal("only padding with zeros is supported", "pad with zeros")
    value = float(node.attributes.get("value", 0.0))
    if len(node.inputs) > 2 and node.inputs[2]:
        value = float(t.constants.real(node.inputs[2]).item())
    if value:
        raise node.refusal(f"padding with {value:g} is not supported", "pad with zeros")
    if len(node.inputs) > 1:
        given = t.constants.integers(node.inputs[1])
    else:
        given = [int(n) for n in node.attributes.get("pads", node.attributes.get("paddings", ()))]
    if len(node.inputs) > 3 and node.inputs[3]:
        raise node.refusal("Pad of named axes is not supported", "give the padding of all axes")
    if any(n < 0 for n in given):
        raise node.refusal("negative padding is not supported", "pad with zeros")
    added = [0] * 2 * rank
    for place, axis in enumerate(tensor.axes):
        added[axis], added[rank + axis] = given[place], given[rank + place]
    before = tensor.pads or (0,) * 2 * rank
    total = tuple(a + b for a, b in zip(before, added, strict=True))
    return replace(tensor, pads=total) if any(total) else tensor


def concat(t: Translator, node: Node) -> Value:
    """Concat of activations along the channels."""
    tensors = [t.plain(node, t.tensor(node, place)) for place in range(len(node.inputs))]
    tensors = [t.quantized_input(node, tensor) for tensor in tensors]
    axes = tensors[0].axes
    if any(tensor.axes != axes or tensor.order is not None for tensor in tensors):
        tensors = [t.graph.channels_first(tensor, node.name) for tensor in tensors]
        axes = tensors[0].axes
    if any(tensor.order is not None for tensor in tensors):
        raise node.refusal(
            "vectors of flattened images, channels last, are concatenated",
            "export the model with channels first",
        )
    if axes[int(node.attributes["axis"]) % len(axes)] != 1:
        raise node.refusal("only channels are concatenated", "concatenate along the channels")
    shape = list(tensors[0].shape)
    shape[1] = sum(tensor.shape[1] for tensor in tensors)
    made = t.graph.add(
        "Concat",
        [tensor.name for tensor in tensors],
        shape,
        name=node.name,
        output=node.proto.output[0],
        axis=1,
    )
    return Tensor(made, tuple(shape), axes, quantized=all(x.quantized for x in tensors))


def resize(t: Translator, node: Node) -> Value:
    """Resize and Upsample to the nearest pixel by whole factors."""
    tensor = t.plain(node, t.tensor(node))
    file_shape = tensor.file_shape
    operands = [t.constants.real(name) for name in node.inputs[1:] if name]
    given = [float(n) for n in operands[-1].reshape(-1)] if operands else []
    if len(node.inputs) > 3 and node.inputs[3]:  # Sizes.
        given = [size / known for size, known in zip(given, file_shape, strict=True)]
    elif "scales" in node.attributes:
        given = [float(n) for n in node.attributes["scales"]]
    factors = [0.0] * len(file_shape)
    for place, axis in enumerate(tensor.axes):
        factors[axis] = given[place] if place < len(given) else 0.0
    whole = all(factor >= 1 and factor == int(factor) for factor in factors)
    if not whole or factors[:2] != [1, 1] or not _repeats(node):
        raise node.refusal(
            "a resize that is no repetition of pixels is not supported",
            "use nearest upsampling by whole factors",
        )
    shape = [size * int(factor) for size, factor in zip(tensor.shape, factors, strict=True)]
    scales = t.graph.parameter(f"{node.name}_scales", factors)
    made = t.graph.add(
        "Resize",
        [tensor.name, "", scales],
        shape,
        name=node.name,
        output=node.proto.output[0],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return replace(tensor, name=made, shape=tuple(shape), affine=None)


def _repeats(node: Node) -> bool:
    """Whether each pixel is repeated, and none drawn from its neighbours."""
    if bytes(node.attributes.get("mode", b"nearest")) != b"nearest":
        return False
    if node.kind == "Upsample":
        return True
    place = bytes(node.attributes.get("coordinate_transformation_mode", b"half_pixel"))
    rounds = bytes(node.attributes.get("nearest_mode", b"round_prefer_floor"))
    if place == b"asymmetric":
        return rounds == b"floor"
    return place in (b"half_pixel", b"pytorch_half_pixel") and rounds.startswith(b"round")
