"""Variational Bayes finds planted ranks exactly, and nothing in noise."""

import pytest
import torch

from hwflow.compress.decompose.basis import Basis
from hwflow.compress.decompose.vbmf import vbmf_rank

SHAPES = [(64, 576), (128, 64), (16, 144), (96, 96)]


def noise(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) / max(shape) ** 0.5


def planted(shape, rank, seed):
    generator = torch.Generator().manual_seed(seed)
    left, right = (torch.linalg.qr(torch.randn(n, rank, generator=generator)).Q for n in shape)
    return (left * torch.linspace(1, 2, rank)) @ right.T


def found(matrix):
    return vbmf_rank(Basis(matrix.double()).values, *matrix.shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", [0.1, 1e-2, 1e-4, 0.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_planted_rank_is_found_exactly(shape, level, seed):
    for rank in (1, 3, min(shape) // 4):
        assert found(planted(shape, rank, seed) + level * noise(shape, seed)) == rank


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_nothing_stands_out_of_noise_whatever_its_size(shape, seed):
    assert found(noise(shape, seed)) == 0
    assert found(1e4 * noise(shape, seed)) == 0


def test_zeros_have_no_rank():
    assert found(torch.zeros(8, 20)) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_what_stands_out_does_so_from_the_noise_level(shape):
    """Components of squared size tau sigma^2 stand out, tau = 2.5129 sqrt(ratio of the sides)."""
    weakest = 0.1 * (2.5129 * (min(shape) / max(shape)) ** 0.5) ** 0.5
    left, _, right = torch.linalg.svd(planted(shape, 2, 0), full_matrices=False)
    for factor, rank in ((0.7, 0), (1.4, 2)):
        component = left[:, :2] @ right[:2] * weakest * factor
        assert found(component + 0.1 * noise(shape, 1)) == rank
