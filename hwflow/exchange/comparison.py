"""Whether two computations of one network agree, but for what float32 can't decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from hwflow.errors import HwflowError

# Logits may differ by this much.
TOLERANCE = 1e-4
# A sample with an activation this near to a rounding step (in steps) may come out on either side
# in float32, and its logits with it: such samples count as undecided where they differ.
UNDECIDED = 1e-4

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Difference:
    """Two results of the same samples.

    Attributes:
        wrong: (N,) whether they differ by more than they may.
        apart: (N,) greatest difference of a number.
        details: what the two are in a sample, for messages.
    """

    wrong: NDArray[np.bool_]
    apart: NDArray[np.floating]
    details: Callable[[int], str]


@dataclass(frozen=True)
class Comparison:
    """Several results against one.

    Attributes:
        samples: how many were compared.
        undecided: of them, how many differ where float32 can't decide; left out of what follows.
        max_abs: greatest difference of a number, by result.
    """

    samples: int
    undecided: int
    max_abs: dict[str, float]


def of_logits(wanted: Floats, got: Floats, tolerance: float | Floats = TOLERANCE) -> Difference:
    """Where a logit differs by more than the tolerance, or the class does (but for ties).

    Args:
        wanted, got: (N, classes).
        tolerance: for all, or (N,).
    """
    rows = np.arange(len(wanted))
    apart = np.abs(wanted - got).max(axis=1)
    behind = wanted.max(axis=1) - wanted[rows, got.argmax(axis=1)]

    def details(n: int) -> str:
        return (
            f"classes {got[n].argmax()} and {wanted[n].argmax()}, logits up to {apart[n]:.3g} apart"
        )

    return Difference((apart > tolerance) | (behind > tolerance), apart, details)


def of_classes(wanted: NDArray[np.int64], got: NDArray[np.int64]) -> Difference:
    """Where one of the classes in order, (N, k), is another."""
    wrong = np.any(wanted != got, axis=1)
    return Difference(wrong, np.zeros(len(wanted)), lambda n: f"classes {got[n]} and {wanted[n]}")


def relative(wanted: Floats) -> Floats:
    """(N,) the tolerance for samples whose logits may be large."""
    bound: Floats = TOLERANCE * np.maximum(1.0, np.abs(wanted).max(axis=1))
    return bound


def put_out(logits: Floats, head: str | None) -> Floats:
    """Logits, (N, classes), as a network puts them out that ends with Softmax or LogSoftmax."""
    if head == "Softmax":
        return np.asarray(softmax(logits, axis=1))
    return np.asarray(log_softmax(logits, axis=1)) if head == "LogSoftmax" else logits


def judged(
    results: Mapping[str, Difference], other: str, near: NDArray[np.bool_], hint: str
) -> Comparison:
    """Hold results against another one.

    Args:
        results: how each differs from it, by name.
        other: its name.
        near: (N,) whether a sample lies so near to a rounding step that float32 can't decide it.
        hint: for the error.

    Raises:
        HwflowError: one differs; names the result and the first such sample.
    """
    undecided = near & np.any([difference.wrong for difference in results.values()], axis=0)
    for what, difference in results.items():
        wrong = np.flatnonzero(difference.wrong & ~undecided)
        if len(wrong):
            raise HwflowError(
                f"{what} and {other} differ in {len(wrong)} of {len(near)} samples: in sample"
                f" {wrong[0]}, {difference.details(int(wrong[0]))}",
                hint=hint,
            )
    greatest = {
        what: float(difference.apart[~undecided].max(initial=0.0))
        for what, difference in results.items()
    }
    return Comparison(len(near), int(undecided.sum()), greatest)
