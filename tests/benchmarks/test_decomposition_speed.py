"""Seconds to decompose all convolutions of ResNet-50 by Tucker-2 at VBMF ranks, two ways:

    pytest tests/benchmarks -s

hwflow, the search of ranks included, and tensorly's partial_tucker layer by layer at the same ranks
(the faster of its NumPy and PyTorch backends), side by side. Prints times, their ratio and both
errors; passes whatever the times are. On a busy machine, the processor's time says more.
"""

import time

import numpy as np
import tensorly
import torch
import torchvision
from tensorly.decomposition import partial_tucker
from torch import nn

from hwflow.compress.decompose.kernel import Kernel
from hwflow.compress.decompose.plan import in_parallel
from hwflow.compress.decompose.ranks import noise_ranks
from hwflow.compress.decompose.tucker import tucker2

MINIMUM = 8


def by_hwflow(weight):
    kernel = Kernel(weight)
    limits = kernel.size.inputs, kernel.size.outputs
    rank_in, rank_out = (
        min(max(rank, MINIMUM), limit)
        for rank, limit in zip(noise_ranks(kernel), limits, strict=True)
    )
    return (rank_out, rank_in), tucker2(kernel, rank_in, rank_out)


def relative_error(weight, core, outer, inner):
    """Of a core (R_out, R_in, taps) between two bases, in float64."""
    made = torch.einsum("oa,abk,ib->oik", outer.double(), core.double(), inner.double())
    weight = weight.flatten(2).double()
    return float(torch.linalg.norm(weight - made) / torch.linalg.norm(weight))


def timed(function):
    """What a function returns, its seconds, and those of the processor."""
    start = time.perf_counter(), time.process_time()
    result = function()
    return result, (time.perf_counter() - start[0], time.process_time() - start[1])


def by_tensorly(backend, weights, ranks):
    tensorly.set_backend(backend)
    tensors = weights if backend == "pytorch" else [w.numpy() for w in weights]
    result = timed(
        lambda: [
            partial_tucker(tensor, rank=list(pair), modes=[0, 1])[0]
            for tensor, pair in zip(tensors, ranks, strict=True)
        ]
    )
    tensorly.set_backend("numpy")
    return result


def test_tucker2_of_resnet50_against_tensorly(capsys):
    torch.manual_seed(0)
    network = torchvision.models.resnet50()
    weights = [m.weight.detach() for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(weights) == 53
    list(in_parallel(by_hwflow, weights[:4], torch.numel))

    ours, seconds = timed(lambda: list(in_parallel(by_hwflow, weights, torch.numel)))
    ranks = [pair for pair, _ in ours]
    found, by_torch = by_tensorly("pytorch", weights, ranks)
    _, by_numpy = by_tensorly("numpy", weights, ranks)

    our_errors, their_errors = [], []
    for weight, (_, factors), (core, (outer, inner)) in zip(weights, ours, found, strict=True):
        first, middle, last = factors.weights
        our_errors.append(relative_error(weight, middle, last[:, :, 0], first[:, :, 0].T))
        their_errors.append(relative_error(weight, core.flatten(2), outer, inner))
    # Where both are the same decomposition, tensorly's float32 rounds either way.
    assert all(own <= other + 1e-6 for own, other in zip(our_errors, their_errors, strict=True))
    assert np.mean(our_errors) <= np.mean(their_errors)
    with capsys.disabled():
        print(f"\n{torch.get_num_threads()} threads; seconds, and those of the processor:")
        print("hwflow, with the search of ranks {:.2f} {:.2f}".format(*seconds))
        print("tensorly on PyTorch {:.2f} {:.2f}".format(*by_torch), end=", ")
        print("on NumPy {:.2f} {:.2f}".format(*by_numpy))
        ratios = [min(pair) / own for *pair, own in zip(by_torch, by_numpy, seconds, strict=True)]
        print("{:.1f} times as fast, by the processor {:.1f}".format(*ratios))
        print(f"mean error {np.mean(our_errors):.6f}, tensorly's {np.mean(their_errors):.6f}")
