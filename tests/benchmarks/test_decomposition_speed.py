"""Seconds to decompose all convolutions of ResNet-50 by Tucker-2 at VBMF ranks, two ways:

    pytest tests/benchmarks -s

hwflow, the search of ranks included, and tensorly's partial_tucker layer by layer at the same ranks
(the faster of its NumPy and PyTorch backends), side by side. Prints times, their ratio and both
errors; passes whatever the times are.
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
from hwflow.compress.decompose.tucker import tucker2
from hwflow.compress.decompose.vbmf import vbmf_rank

MINIMUM = 8


def by_hwflow(weight):
    kernel = Kernel(weight)
    size = kernel.size
    rank_in = vbmf_rank(kernel.inputs.values, size.inputs, size.outputs * size.taps)
    rank_out = vbmf_rank(kernel.outputs.values, size.outputs, size.inputs * size.taps)
    rank_in = min(max(rank_in, MINIMUM), size.inputs)
    rank_out = min(max(rank_out, MINIMUM), size.outputs)
    return (rank_out, rank_in), tucker2(kernel, rank_in, rank_out)


def relative_error(weight, core, outer, inner):
    """Of a core (R_out, R_in, taps) between two bases, in float64."""
    made = torch.einsum("oa,abk,ib->oik", outer.double(), core.double(), inner.double())
    weight = weight.flatten(2).double()
    return float(torch.linalg.norm(weight - made) / torch.linalg.norm(weight))


def test_tucker2_of_resnet50_against_tensorly(capsys):
    torch.manual_seed(0)
    network = torchvision.models.resnet50()
    weights = [m.weight.detach() for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(weights) == 53
    list(in_parallel(by_hwflow, weights[:4]))

    start = time.perf_counter()
    ours = list(in_parallel(by_hwflow, weights))
    seconds = time.perf_counter() - start

    theirs, found = {}, {}
    for backend in ("pytorch", "numpy"):
        tensorly.set_backend(backend)
        tensors = weights if backend == "pytorch" else [w.numpy() for w in weights]
        start = time.perf_counter()
        found[backend] = [
            partial_tucker(tensor, rank=list(ranks), modes=[0, 1])[0]
            for tensor, (ranks, _) in zip(tensors, ours, strict=True)
        ]
        theirs[backend] = time.perf_counter() - start
    tensorly.set_backend("numpy")

    our_errors, their_errors = [], []
    for weight, (_, factors), (core, (outer, inner)) in zip(
        weights, ours, found["pytorch"], strict=True
    ):
        first, middle, last = factors.weights
        our_errors.append(relative_error(weight, middle, last[:, :, 0], first[:, :, 0].T))
        their_errors.append(relative_error(weight, core.flatten(2), outer, inner))
    # Where both are the same decomposition, tensorly's float32 rounds either way.
    assert all(own <= other + 1e-6 for own, other in zip(our_errors, their_errors, strict=True))
    assert np.mean(our_errors) <= np.mean(their_errors)
    with capsys.disabled():
        print(f"\n{torch.get_num_threads()} threads; hwflow {seconds:.2f} s with ranks; tensorly")
        print(", ".join(f"{name} {taken:.2f} s" for name, taken in theirs.items()))
        print(f"{min(theirs.values()) / seconds:.1f} times tensorly's speed")
        print(f"mean error {np.mean(our_errors):.6f}, tensorly's {np.mean(their_errors):.6f}")
