"""Export of a quantized network: QONNX, and QCDQ where that can express it."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import nn

from hwflow.errors import HwflowError

OPSET = 13


@dataclass(frozen=True)
class Exported:
    """The files of an export; `qcdq` is None where QCDQ can't express the network, and why."""

    qonnx: Path
    qcdq: Path | None
    qcdq_skipped: str | None


def export(model: nn.Module, shape: tuple[int, ...], folder: Path) -> Exported:
    """Write a quantized network for one frame, (1, *shape) to (1, classes).

    Args:
        model: Brevitas network; exported as a copy, for exporters change what they export.
        shape: of one sample.
        folder: written to: model.qonnx.onnx, cleaned, and model.qcdq.onnx.

    Raises:
        HwflowError: the network can't be exported to QONNX.
    """
    from brevitas.export import export_onnx_qcdq, export_qonnx
    from qonnx.util.cleanup import cleanup

    folder.mkdir(parents=True, exist_ok=True)
    qonnx, qcdq = folder / "model.qonnx.onnx", folder / "model.qcdq.onnx"
    example = torch.zeros(1, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            export_qonnx(_copy(model), example, str(qonnx), opset_version=OPSET, dynamo=False)
            cleanup(str(qonnx), out_file=str(qonnx))
        except Exception as error:
            raise HwflowError(
                f"the network can't be exported to QONNX: {type(error).__name__}: {error}",
                hint="its forward must be exportable to ONNX",
            ) from error
        reason = _inexpressible(onnx.load(str(qonnx)))
        if reason is None:
            try:
                export_onnx_qcdq(
                    _copy(model), example, str(qcdq), opset_version=OPSET, dynamo=False
                )
            except Exception as error:
                reason = f"Brevitas can't export it: {error}"
    if reason is not None:
        qcdq.unlink(missing_ok=True)
    return Exported(qonnx, qcdq if reason is None else None, reason)


def _copy(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).eval()


def _inexpressible(model: onnx.ModelProto) -> str | None:
    """Why QCDQ, whose numbers are 8-bit integers clipped to fewer, can't express a network."""
    for node in model.graph.node:
        if node.op_type == "BipolarQuant":
            return "QCDQ has no binary numbers (-1 and +1)"
    return None
