"""The export of a trained network."""

from hwflow.facts import Facts


class ExportFacts(Facts):
    """How far the exported files agree with the trained network.

    Attributes:
        samples, undecided, qonnx_max_abs, qcdq_max_abs, reference_max_abs: see
            `exchange.agreement.Agreement`.
        qonnx_skipped, qcdq_skipped: why there is no such file.
        ends: why the network does not go on to hardware.
    """

    samples: int
    undecided: int
    qonnx_max_abs: float | None
    qonnx_skipped: str | None
    qcdq_max_abs: float | None
    qcdq_skipped: str | None
    reference_max_abs: float | None
    ends: str | None = None
