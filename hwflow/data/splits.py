"""Dividing samples into disjoint splits, fixed by a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from hwflow.data.dataset import Split
from hwflow.errors import RequestError


def divide(samples: Split, fraction: float, seed: int, what: str) -> tuple[Split, Split]:
    """Split off a fraction of samples, each class in proportion where classes are large enough.

    Args:
        samples: all samples.
        fraction: share of the second part, in (0, 1).
        seed: decides which samples.
        what: name of the second part, for messages.

    Returns:
        The rest and the part, disjoint, together all samples.

    Raises:
        RequestError: too few samples to have both.
    """
    labels = samples.labels
    counts = np.unique(labels, return_counts=True)[1]
    part = round(len(samples) * fraction)
    if part < 1 or part >= len(samples):
        raise RequestError(
            f"{len(samples)} samples can't be divided with {fraction:g} of them for {what}",
            hint=f"change data.{what}, or give more samples",
        )
    stratify = (
        labels if counts.min() > 1 and min(part, len(samples) - part) >= len(counts) else None
    )
    rest, taken = train_test_split(
        np.arange(len(samples)), test_size=part, random_state=seed, stratify=stratify
    )
    return _take(samples, np.sort(rest)), _take(samples, np.sort(taken))


def _take(samples: Split, index: NDArray[np.intp]) -> Split:
    return Split(samples.inputs[index], samples.labels[index])
