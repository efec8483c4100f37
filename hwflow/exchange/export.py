"""Export of a quantized network: QONNX, and QCDQ where that can express it."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from hwflow.costs.layers import example_input
from hwflow.errors import HwflowError
from hwflow.exchange.domains import QONNX
from hwflow.exchange.operations import by_name, operation_of
from hwflow.exchange.translation.nodes import read_node

OPSET = 13
# Characters of an exporter's message that are passed on.
SHOWN = 300


@dataclass(frozen=True)
class Exported:
    """The files of an export; each is None where its format can't express the network, and why."""

    qonnx: Path | None
    qonnx_skipped: str | None
    qcdq: Path | None
    qcdq_skipped: str | None


def export(model: nn.Module, shape: tuple[int, ...], folder: Path) -> Exported:
    """Write a quantized network for one frame, (1, *shape) to (1, classes).

    Nodes of the QONNX file have the names of the network's layers, see `naming`. Recurrent layers
    are unrolled over the length of the frame's sequence. Weights that were trained for an
    accumulator are written as what they are.

    Args:
        model: Brevitas network; exported as a copy, for exporters change what they export.
        shape: of one sample.
        folder: written to: model.qonnx.onnx, cleaned, and model.qcdq.onnx.

    Raises:
        HwflowError: the network can be exported to neither.
    """
    folder.mkdir(parents=True, exist_ok=True)
    qonnx, qcdq = folder / "model.qonnx.onnx", folder / "model.qcdq.onnx"
    example = example_input(model, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        no_qonnx = _to_qonnx(_prepared(model, shape), example, qonnx)
        reason = _inexpressible(onnx.load(str(qonnx))) if no_qonnx is None else None
        no_qcdq = reason or _to_qcdq(_prepared(model, shape), example, qcdq)
    if no_qonnx is not None and no_qcdq is not None:
        raise HwflowError(
            f"the network can be exported neither to QONNX ({no_qonnx}) nor to QCDQ ({no_qcdq})",
            hint="its forward must be exportable to ONNX",
        )
    return Exported(
        qonnx if no_qonnx is None else None,
        no_qonnx,
        qcdq if no_qcdq is None else None,
        no_qcdq,
    )


def export_qonnx(model: nn.Module, shape: tuple[int, ...], folder: Path) -> Path:
    """Write a quantized network's QONNX file alone.

    Args:
        model, shape, folder: see `export`.

    Raises:
        HwflowError: the network can't be exported.
    """
    file = folder / "model.qonnx.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reason = _to_qonnx(_prepared(model, shape), example_input(model, shape), file)
    if reason is not None:
        raise HwflowError(
            f"the network can't be exported to QONNX: {reason}",
            hint="its forward must be exportable to ONNX",
        )
    return file


def _prepared(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """A copy that exporters take."""
    from hwflow.compress.quantize.accumulator import without_bounds
    from hwflow.exchange.unrolled import unroll

    return unroll(without_bounds(copy.deepcopy(model).eval(), shape))


def _to_qonnx(model: nn.Module, example: torch.Tensor, file: Path) -> str | None:
    """Write a QONNX file; returns why it can't be done."""
    from brevitas.export import export_qonnx
    from qonnx.util.cleanup import cleanup

    from hwflow.exchange.naming import name_nodes, note_calls, with_numbered_calls
    from hwflow.exchange.unrolled import Unrolled

    try:
        if any(isinstance(module, Unrolled) for module in model.modules()):
            export_qonnx(model, example, str(file), opset_version=OPSET, dynamo=False)
            _set_domains(file)
            return None
        model, names = with_numbered_calls(model)
        export_qonnx(model, example, str(file), opset_version=OPSET, dynamo=False)
        exported = onnx.load(str(file))
        note_calls(exported)
        onnx.save(exported, str(file))
        cleanup(str(file), out_file=str(file))
        cleaned = onnx.load(str(file))
        _rename_repeated(exported, cleaned)
        name_nodes(cleaned, names)
        onnx.save(cleaned, str(file))
    except OSError:  # It is the disk that refuses.
        raise
    except Exception as error:  # Exporters raise whatever they run into.
        file.unlink(missing_ok=True)
        return _said(error)
    return None


def _rename_repeated(exported: onnx.ModelProto, cleaned: onnx.ModelProto) -> None:
    """Give operands that a node has twice, as in x + x, one name again: qonnx's clean-up renames
    the first of them only."""
    known = {value.name for value in cleaned.graph.input}
    known |= {tensor.name for tensor in cleaned.graph.initializer}
    known |= {name for node in cleaned.graph.node for name in node.output}
    for node in cleaned.graph.node:
        for index, name in enumerate(node.input):
            if name and name not in known:
                before = next(list(n.input) for n in exported.graph.node if name in n.input[1:])
                node.input[index] = node.input[before.index(name)]


def _said(error: Exception) -> str:
    """What an exporter raised, without the graphs that some list."""
    text = " ".join(str(error).split())
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return f"Brevitas can't export it: {type(error).__name__}: {short}"


def _set_domains(file: Path) -> None:
    """What is left of qonnx's clean-up for unrolled layers: the rest takes minutes for thousands of
    nodes, and folds the transpose of weights that several nodes read as if only one did."""
    model = onnx.load(str(file))
    for node in model.graph.node:
        if (QONNX, node.op_type) in by_name():
            node.domain = QONNX
    onnx.save(model, str(file))


def _to_qcdq(model: nn.Module, example: torch.Tensor, file: Path) -> str | None:
    """Write a QCDQ file; returns why it can't be done."""
    from brevitas.export import export_onnx_qcdq

    try:
        export_onnx_qcdq(model, example, str(file), opset_version=OPSET, dynamo=False)
    except OSError:  # It is the disk that refuses.
        raise
    except Exception as error:  # Exporters raise whatever they run into.
        file.unlink(missing_ok=True)
        return _said(error)
    return None


def _inexpressible(model: onnx.ModelProto) -> str | None:
    """Why QCDQ, whose numbers are 8-bit integers clipped to fewer, and 32-bit ones of biases, can't
    express a network."""
    values = {t.name: np.asarray(numpy_helper.to_array(t)) for t in model.graph.initializer}
    for node in model.graph.node:
        why = operation_of(node).not_in_qcdq
        reason = None if why is None else why(read_node(node), values)
        if reason is not None:
            return reason
    return None
