"""FINN's padding and sliding windows in Verilator against its own execution, under stalls.

The cycles of a frame are compared too: `node_cycles` must be exact.
"""

import numpy as np
import pytest

from hwflow.costs import divisors
from tests.support.bench import Bench
from tests.support.layers import padding, windows

CASES = 40


def test_padding_adds_zeros_on_each_side(finn, models, tmp_path):
    random = np.random.default_rng(1)
    layers = [padding((1, 5), 2, (0, 2, 0, 2), 2), padding((1, 1), 1, (1, 1, 1, 1), 1)]
    while len(layers) < CASES:
        channels = int(random.integers(1, 9))
        pads = random.integers(0, 4, 4).tolist()
        simd = int(random.choice(divisors(channels)))
        datatype = f"{random.choice(['INT', 'UINT'])}{random.integers(2, 9)}"
        layers.append(padding(random.integers(1, 7, 2).tolist(), channels, pads, simd, datatype))
    Bench(layers, tmp_path, models).check()


def random_windows(random, parallel):
    one_dimensional = random.random() < 0.25
    while True:
        image = random.integers(2, 12, 2)
        kernel, stride = random.integers(1, 5, 2), random.integers(1, 4, 2)
        dilation = random.integers(1, 3, 2)
        if one_dimensional:
            image[0] = kernel[0] = stride[0] = dilation[0] = 1
        reach = (kernel - 1) * dilation + 1
        # FINN's buffer jumps no further than it is long, and two windows are not parallel.
        if (
            np.all(reach <= image)
            and np.all(stride <= kernel)
            and np.any(kernel > 1)
            and np.any((image - reach) // stride > 1)
        ):
            break
    channels = int(random.integers(1, 9))
    return windows(
        image.tolist(),
        channels,
        kernel.tolist(),
        int(random.choice(divisors(channels))),
        f"{random.choice(['INT', 'UINT'])}{random.integers(2, 9)}",
        stride=stride.tolist(),
        dilation=dilation.tolist(),
        depthwise=bool(random.integers(2)),
        parallel=parallel,
    )


@pytest.mark.parametrize("parallel", [False, True])
def test_windows_hold_what_lies_under_the_kernel(finn, models, tmp_path, parallel):
    random = np.random.default_rng(2 + parallel)
    layers = [random_windows(random, parallel) for _ in range(CASES)]
    Bench(layers, tmp_path, models).check()
