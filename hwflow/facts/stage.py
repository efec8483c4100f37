"""A compression stage."""

from hwflow.costs.layers import LayerShape
from hwflow.facts import Facts


class Teacher(Facts):
    """A network that a stage learned from; accuracies in [0, 1]."""

    teacher: str
    validation_accuracy: float
    test_accuracy: float


class StageFacts(Facts):
    """What a stage measured of the network that it left.

    Attributes:
        metrics: of the stage's own; `validation_accuracy` and `test_accuracy` are always there.
        params, macs, bops, weight_bits: see `costs.Costs`.
        layers: its linear layers.
        teachers: that it learned from.
    """

    metrics: dict[str, float]
    params: int
    macs: int
    bops: int
    weight_bits: int
    layers: tuple[LayerShape, ...]
    teachers: tuple[Teacher, ...] = ()

    @property
    def test_accuracy(self) -> float:
        """Share of the test samples that the network classifies rightly."""
        return self.metrics["test_accuracy"]
