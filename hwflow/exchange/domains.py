"""Domains of ONNX operations, and their versions."""

from __future__ import annotations

import onnx

# What ONNX's own operations are imported as.
STANDARD = frozenset({"", "ai.onnx"})
QONNX = "qonnx.custom_op.general"


def domain_of(node: onnx.NodeProto) -> str:
    """A node's domain; ONNX's own is empty."""
    return "" if node.domain in STANDARD else str(node.domain)


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operations that a model uses."""
    return next((o.version for o in model.opset_import if o.domain in STANDARD), 1)
