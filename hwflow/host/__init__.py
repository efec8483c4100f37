"""The host part: what lies before and behind the accelerator, as ONNX files that onnxruntime runs,
in verification and on the board's processor."""

from hwflow.host.division import Division, divide
from hwflow.host.software import Software

__all__ = ["Division", "Software", "divide"]
