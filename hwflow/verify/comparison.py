"""Where two executions part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwflow.facts.verified import Difference

Codes = NDArray[np.int64]
# Values of a differing layer that a message shows.
SHOWN = 6


@dataclass(frozen=True)
class Pair:
    """A layer's integers in two executions, each (N, elements)."""

    layer: str
    expected: Codes
    got: Codes


def mismatches(pairs: Sequence[Pair]) -> int:
    """The number of samples that differ in any layer."""
    differing = [np.any(pair.expected != pair.got, axis=1) for pair in pairs]
    return int(np.any(differing, axis=0).sum())


def first_difference(pairs: Sequence[Pair], start: int = 0) -> Difference | None:
    """The first sample that differs in the first layer that does.

    Args:
        pairs: in order of computation.
        start: number of the first sample.
    """
    for pair in pairs:
        wrong = np.flatnonzero(np.any(pair.expected != pair.got, axis=1))
        if len(wrong):
            sample = int(wrong[0])
            places = np.flatnonzero(pair.expected[sample] != pair.got[sample])[:SHOWN]
            return Difference(
                layer=pair.layer,
                sample=start + sample,
                expected=tuple(pair.expected[sample, places].tolist()),
                got=tuple(pair.got[sample, places].tolist()),
            )
    return None


def accuracy(classes: Codes, labels: Codes | None) -> float | None:
    """The share of right classes; None where the right ones are not known."""
    return None if labels is None else float(np.mean(classes == labels))
