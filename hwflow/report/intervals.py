"""What several seeds say of a stage."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from hwflow.report.schema import Seeds

CONFIDENCE = 0.95


def seeds(values: Sequence[float]) -> Seeds:
    """Mean and confidence interval of a metric that several seeds gave.

    The interval is Student's (1908), for means of few values of a normal distribution whose
    variance is not known: mean -+ t(n - 1) s / sqrt(n).

    Args:
        values: two or more.
    """
    from scipy.special import stdtrit

    count, mean = len(values), statistics.fmean(values)
    quantile = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
    half = quantile * statistics.stdev(values) / math.sqrt(count)
    return Seeds(values=list(values), mean=mean, low=mean - half, high=mean + half)
