"""Singular values and vectors by the Gram matrix, against NumPy's."""

import numpy as np
import pytest
import torch

from hwflow.compress.decompose.basis import Basis, Spectrum
from hwflow.errors import HwflowError


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 5), (6, 40), (70, 33), (130, 133)])
def test_values_and_vectors_are_those_of_numpy(order, shape):
    matrix = np.asarray(np.random.default_rng(0).normal(size=shape), order=order)
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    basis = Basis(torch.from_numpy(matrix))
    np.testing.assert_allclose(basis.values, values, rtol=1e-10, atol=1e-7)
    for count in {1, (len(values) + 1) // 2, len(values)}:
        some = basis.first(count).numpy()
        assert some.shape == (shape[0], count)
        np.testing.assert_allclose(some.T @ some, np.eye(count), atol=1e-8)
        same = np.abs((some * left[:, :count]).sum(0))
        np.testing.assert_allclose(same, 1, atol=1e-6)


def test_more_vectors_than_values_complete_an_orthonormal_basis():
    matrix = torch.from_numpy(np.random.default_rng(1).normal(size=(9, 4)))
    vectors = Basis(matrix).first(7)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(7, dtype=torch.float64))


def test_values_of_multiplicity_have_orthonormal_vectors():
    spectrum = Spectrum(torch.from_numpy(np.repeat(np.eye(12), 2, axis=1)))
    torch.testing.assert_close(spectrum.values, torch.full((12,), 2.0).double().sqrt())
    vectors = spectrum.vectors(5)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(5, dtype=torch.float64))


def test_a_matrix_whose_squares_are_not_finite_is_refused():
    with pytest.raises(HwflowError, match="eigenvectors") as caught:
        _ = Spectrum(torch.full((4, 6), 1e200, dtype=torch.float64)).values
    assert caught.value.hint
