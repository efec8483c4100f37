"""Eigenvectors by the routines called through ctypes, against NumPy's."""

import numpy as np
import pytest

from hwflow.compress.decompose.lapack import Tridiagonal, gram
from hwflow.errors import HwflowError


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 5), (6, 40), (70, 33)])
def test_gram_is_the_lower_triangle(order, shape):
    matrix = np.asarray(np.random.default_rng(0).normal(size=shape), order=order)
    found = gram(matrix)
    assert found.flags.f_contiguous
    np.testing.assert_allclose(found, np.tril(matrix @ matrix.T), atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 65, 130])
def test_values_and_vectors_are_those_of_numpy(size):
    matrix = np.random.default_rng(size).normal(size=(size, size + 3))
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    found = Tridiagonal(gram(matrix))
    np.testing.assert_allclose(found.values(), values, rtol=1e-10, atol=1e-12)
    for count in {1, (size + 1) // 2, size}:
        some = found.vectors(count)
        assert some.shape == (size, count)
        np.testing.assert_allclose(some.T @ some, np.eye(count), atol=1e-10)
        same = np.abs((some * vectors[:, size - count :]).sum(0))
        np.testing.assert_allclose(same, 1, atol=1e-8)


def test_values_of_multiplicity_have_orthonormal_vectors():
    found = Tridiagonal(gram(np.repeat(np.eye(12), 2, axis=1)))
    np.testing.assert_allclose(found.values(), 2)
    vectors = found.vectors(5)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(5), atol=1e-12)


def test_a_matrix_that_is_not_finite_is_refused():
    found = Tridiagonal(gram(np.full((4, 6), np.nan)))
    with pytest.raises(HwflowError, match="LAPACK's dsterf ended with info") as caught:
        found.values()
    assert caught.value.hint
