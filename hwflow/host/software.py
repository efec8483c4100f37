"""A divided network in software: its head and tail by onnxruntime, between them the float64
reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwflow.data import Dataset, Split
from hwflow.dataflow.outputs import OutputCode
from hwflow.errors import RequestError
from hwflow.exchange.reference import Reference, Trace, real
from hwflow.host.division import FOLDER, HEAD, NETWORK, OUTPUT, TAIL

Codes = NDArray[np.int64]
# Frames at a time, where a file takes any number.
BATCH = 500


class HostFile:
    """One of the host's files, run by onnxruntime.

    Args:
        file: as `files` writes it.
    """

    def __init__(self, file: Path | onnx.ModelProto) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # What the file says, not what onnxruntime makes of it.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        content = file.read_bytes() if isinstance(file, Path) else file.SerializeToString()
        self.session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        session_input = self.session.get_inputs()[0]
        self.input, self.shape = session_input.name, tuple(session_input.shape[1:])
        self.batch = 1 if session_input.shape[0] == 1 else BATCH

    def run(self, inputs: NDArray[Any]) -> NDArray[Any]:
        """What comes out for frames (N, ...) of the type that the file takes."""
        frames = inputs.reshape(-1, *self.shape)
        parts = [
            self.session.run(None, {self.input: frames[start : start + self.batch]})[0]
            for start in range(0, len(frames), self.batch)
        ]
        return np.concatenate(parts)


@dataclass(frozen=True)
class Outcome:
    """What software computes of frames.

    Attributes:
        trace: of the part that the accelerator computes.
        integers: the accelerator's output in front of a tail, (N, elements); None: there is no
            tail, and it gives classes.
        logits: of the whole network, (N, classes).
    """

    trace: Trace
    integers: Codes | None
    logits: NDArray[Any]

    def output(self, width: int) -> Codes:
        """The accelerator's output, (N, width): integers, or classes in order."""
        return self.trace.classes(width) if self.integers is None else self.integers


class Software:
    """A divided network.

    Args:
        folder: that `Division.save` wrote to.

    Raises:
        RequestError: an older version of hwflow wrote it, which left no such files.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / NETWORK).exists():
            raise RequestError(f"{folder} holds no {NETWORK}", hint="build it again")
        self.network = Reference(folder / NETWORK)
        head, tail = folder / FOLDER / HEAD, folder / FOLDER / TAIL
        self.head = HostFile(head) if head.exists() else None
        self.tail = HostFile(tail) if tail.exists() else None
        self.meaning: OutputCode | None = None
        if self.tail is not None:
            with np.load(folder / FOLDER / OUTPUT) as arrays:
                shape = tuple(int(n) for n in arrays["shape"])
                self.meaning = OutputCode(shape, *(arrays[n] for n in ("places", "scale", "zero")))

    def codes(self, data: Dataset, split: Split) -> Codes | None:
        """The accelerator's input integers by the head, (N, elements), in the accelerator's order;
        None: there is no head, and it takes the data's own."""
        if self.head is None:
            return None
        codes = self.head.run(data.floats(split))
        return codes.reshape(len(codes), -1).astype(np.int64)

    def run(self, data: Dataset, split: Split, codes: Codes) -> Outcome:
        """Compute samples.

        Args:
            data, split: the samples.
            codes: the accelerator's input integers for them, where there is a head.
        """
        inputs = data.floats(split, np.float64) if self.head is None else self._entered(codes)
        trace = self.network.run(inputs)
        if self.meaning is None:
            return Outcome(trace, None, trace.logits)
        values = trace.logits.reshape(-1, *self.meaning.shape)
        output = self.meaning.integers(values)
        return Outcome(trace, output, self.logits(output))

    def _entered(self, codes: Codes) -> NDArray[np.float64]:
        """The real values of the head's codes, as the network between the parts takes them."""
        assert self.head is not None
        frames = codes.reshape(len(codes), *self.head.session.get_outputs()[0].shape[1:])
        dims = self.network.model.graph.input[0].type.tensor_type.shape.dim
        if frames.ndim == 4:
            frames = np.moveaxis(frames, -1, 1)
        scale = real(self.network.parameters[self.network.nodes[0].input[1]])
        return frames.reshape(-1, *(d.dim_value for d in dims[1:])) * scale

    def logits(self, output: Codes) -> NDArray[Any]:
        """What the tail makes of the accelerator's output integers, (N, classes)."""
        assert self.tail is not None
        logits = self.tail.run(output.astype(np.int32))
        return logits.reshape(len(logits), -1)

    def classes(self, output: Codes) -> Codes:
        """The classes, (N,), that the accelerator's output integers, (N, elements), lead to."""
        if self.tail is None:
            return output[:, 0]
        classes: Codes = np.argmax(self.logits(output), axis=1)
        return classes
