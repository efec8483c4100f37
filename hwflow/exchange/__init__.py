"""Exchange: QONNX and QCDQ files, and the float64 reference that a QONNX file defines."""

from hwflow.exchange.agreement import Agreement, check_agreement
from hwflow.exchange.export import Exported, export
from hwflow.exchange.reference import Reference, Trace

__all__ = ["Agreement", "Exported", "Reference", "Trace", "check_agreement", "export"]
