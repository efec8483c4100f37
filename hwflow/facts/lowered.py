"""The lowering of a network, and its division between accelerator and host."""

from hwflow.facts import Facts


class HostOperation(Facts):
    """An operation that the host computes: its name in the QONNX file, its type."""

    name: str
    op: str


class HostPart(Facts):
    """What the host computes at one end of the network: an ONNX file in the run directory."""

    file: str
    operations: tuple[HostOperation, ...]


class HostFacts(Facts):
    """The host's head and tail; and, where that is more than to quantize the input, how far the
    divided network agrees with the whole one."""

    head: HostPart | None
    tail: HostPart | None
    samples: int | None = None
    undecided: int | None = None
    max_abs: float | None = None


class LoweringFacts(Facts):
    """A network as a folded graph of hardware layers.

    Attributes:
        quantizers: see `dataflow.lower.Lowered`.
        bound_cycles: cycles a frame of the slowest layer.
        top_k: classes that the accelerator gives.
        host: what is left to the host; None: nothing.
    """

    quantizers: dict[str, str]
    bound_cycles: int
    top_k: int
    host: HostFacts | None
