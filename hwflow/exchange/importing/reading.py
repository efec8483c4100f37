"""Reading an ONNX file: whole, of one input and one output, and of a known size."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, external_data_helper, helper

from hwflow.errors import RequestError
from hwflow.exchange.domains import QONNX, STANDARD, domain_of, opset
from hwflow.exchange.operations import by_name

ELEMENTS = {
    TensorProto.FLOAT: "float32",
    TensorProto.UINT8: "uint8",
    TensorProto.INT8: "int8",
}
# First byte of a serialised model: the tag of its field ir_version.
FIRST_BYTE = b"\x08"


def read_model(path: Path) -> onnx.ModelProto:
    """Read a file with its external data; functions are put in their places.

    Raises:
        RequestError: no such file, no ONNX, cut short, external data missing, an opset that the
            installed onnx and onnxruntime do not know, several inputs or outputs.
    """
    model = _parsed(path)
    _load_external_data(model, path)
    return prepared(model, str(path))


def prepared(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """A model as the translation takes it: functions are put in their places, QONNX's operations
    have one domain, and there are one input and one output.

    Args:
        model: whole; it may be changed.
        name: of it, for messages.

    Raises:
        RequestError: see `read_model`.
    """
    _check_opset(model, name)
    if model.functions:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
    _set_domains(model)
    _check_ends(model, name)
    return model


def _parsed(path: Path) -> onnx.ModelProto:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise RequestError(f"{path}: no such file", hint="check the path of the model") from error
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}", hint="give an ONNX file") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        if content.startswith(FIRST_BYTE):
            text = f"is an ONNX file that is damaged or cut short after {len(content):,} bytes"
        else:
            text = "is not an ONNX file"
        raise RequestError(f"{path}: {text}", hint="export the model again") from error
    if not model.graph.node or not model.opset_import:
        raise RequestError(
            f"{path}: holds no ONNX graph of operations", hint="export the model again"
        )
    return model


def _load_external_data(model: onnx.ModelProto, path: Path) -> None:
    for tensor in external_data_helper._get_all_tensors(model):
        if not external_data_helper.uses_external_data(tensor):
            continue
        info = external_data_helper.ExternalDataInfo(tensor)
        file = path.parent / info.location
        size = file.stat().st_size if file.is_file() else -1
        if size < 0 or size < (info.offset or 0) + (info.length or 0):
            what = "is not there" if size < 0 else f"is cut short after {size:,} bytes"
            raise RequestError(
                f"{path}: the values of {tensor.name} are in {info.location}, which {what}",
                hint=f"put {info.location} beside the model, or export it with its weights inside",
            )
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
        except Exception as error:  # onnx refuses links and paths out of the folder.
            raise RequestError(
                f"{path}: the values of {tensor.name} can't be read: {error}",
                hint="export the model with its weights inside",
            ) from error
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def external_files(path: Path) -> list[Path]:
    """The files beside a model that hold its values; none where it can't be read."""
    try:
        model = _parsed(path)
    except RequestError:  # The import says so.
        return []
    tensors = external_data_helper._get_all_tensors(model)
    used = [t for t in tensors if external_data_helper.uses_external_data(t)]
    locations = {external_data_helper.ExternalDataInfo(t).location for t in used}
    return [path.parent / location for location in sorted(locations)]


def _check_opset(model: onnx.ModelProto, name: str) -> None:
    newest = newest_opset()
    if opset(model) > newest:
        raise RequestError(
            f"{name}: uses opset {opset(model)}, but the installed onnx and onnxruntime know"
            f" opsets up to {newest}",
            hint=f"export with opset_version={newest} or less, or update onnx and onnxruntime",
        )


@cache
def newest_opset() -> int:
    """The newest opset that both onnx and onnxruntime, as installed, can run."""
    import onnxruntime

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
    graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", ends[:1], ends[1:])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    for version in range(onnx.defs.onnx_opset_version(), 0, -1):
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
        model.ir_version = 8
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), options)
        except Exception:  # Whatever it raises of a version that it does not know.
            continue
        return version
    raise AssertionError("onnxruntime runs no opset")


def _set_domains(model: onnx.ModelProto) -> None:
    """Give QONNX's operations the domain that they have now, in place: exporters have called it by
    many names. It has version 2 if a Trunc has the six operands of that."""
    known = by_name()
    for node in model.graph.node:
        if (domain_of(node), node.op_type) not in known and (QONNX, node.op_type) in known:
            node.domain = QONNX
    domains = {node.domain for node in model.graph.node if (domain_of(node), node.op_type) in known}
    for other in list(model.opset_import):
        if other.domain not in STANDARD and (other.domain == QONNX or other.domain not in domains):
            model.opset_import.remove(other)
    truncs = [len(node.input) for node in model.graph.node if node.op_type == "Trunc"]
    model.opset_import.append(helper.make_opsetid(QONNX, 2 if 6 in truncs else 1))


def _check_ends(model: onnx.ModelProto, name: str) -> None:
    values = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in values]
    for what, ends in (("inputs", inputs), ("outputs", list(model.graph.output))):
        if len(ends) != 1:
            names = ", ".join(value.name for value in ends) or "none"
            raise RequestError(
                f"{name}: has {len(ends)} {what} ({names}), but an accelerator has one",
                hint=f"export a model with one of the {what}",
            )
    # Some exporters list the initializers among the inputs.
    del model.graph.input[:]
    model.graph.input.append(inputs[0])
    kind = inputs[0].type.tensor_type.elem_type
    if kind not in ELEMENTS:
        raise RequestError(
            f"{name}: the input {inputs[0].name} has elements of type"
            f" {TensorProto.DataType.Name(kind)}",
            hint="an accelerator takes float32, uint8 or int8 numbers",
        )


def element_type(model: onnx.ModelProto) -> str:
    """NumPy's name of the type of the input's elements."""
    return ELEMENTS[model.graph.input[0].type.tensor_type.elem_type]


def sample_shape(
    model: onnx.ModelProto, name: str, shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    """The shape of one sample, without the batch dimension, and that of the input is set to it.

    Args:
        model: of one input; the first dimension of its input becomes 1.
        name: of the file, for messages.
        shape: what the recipe says of it.

    Raises:
        RequestError: the file does not say it, it is not what the recipe says, there is no batch
            dimension, or it is of 3-D images.
    """
    value = model.graph.input[0]
    known = value.type.tensor_type.HasField("shape")
    sizes = [d.dim_value for d in value.type.tensor_type.shape.dim] if known else None
    if sizes is None and shape is None:
        raise _no_shape(name, value.name, "has no shape")
    sizes = sizes if sizes is not None else [1, *(shape or ())]
    if len(sizes) < 2:
        raise RequestError(
            f"{name}: the input {value.name} has the shape {_times(sizes)}, without a batch"
            " dimension",
            hint="export with inputs of the shape (1, ...)",
        )
    sample = tuple(sizes[1:])
    if shape is not None:
        fits = len(shape) == len(sample)
        fits = fits and all(a in (0, b) for a, b in zip(sample, shape, strict=True))
        if not fits:
            raise RequestError(
                f"{name}: model.shape is {_times(shape)}, but the file says {_times(sample)}",
                hint="leave model.shape out, or give a shape that fits",
            )
        sample = tuple(shape)
    if any(size < 1 for size in sample):
        raise _no_shape(name, value.name, f"has the shape {_times(sizes)}")
    if len(sample) > 3:
        raise RequestError(
            f"{name}: the input {value.name} has the shape {_times(sizes)}: 3-D images are not"
            " supported",
            hint="hardware takes vectors, signals (C, L) and images (C, H, W)",
        )
    set_batch(model, 1, sample)
    return sample


def set_batch(model: onnx.ModelProto, batch: int, sample: tuple[int, ...]) -> None:
    """Give the input a size, in place, and forget what was known of the sizes of other tensors."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    del dims[:]
    for size in (batch, *sample):
        dims.add().dim_value = size
    del model.graph.value_info[:]
    output = model.graph.output[0].type.tensor_type
    if output.shape.dim:
        output.shape.dim[0].Clear()
        output.shape.dim[0].dim_value = batch


def _no_shape(file: str, name: str, what: str) -> RequestError:
    return RequestError(
        f"{file}: the input {name} {what}, so the sizes of its layers are not known",
        hint="say it: --set 'model.shape=[3, 32, 32]', or export with a fixed shape",
    )


def _times(sizes: Iterable[int | None]) -> str:
    return " x ".join(str(size or "?") for size in sizes)
