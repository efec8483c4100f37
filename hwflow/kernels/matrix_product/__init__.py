"""What the layers share that multiply vectors and a matrix."""

from hwflow.kernels.matrix_product.op import MatrixProduct

__all__ = ["MatrixProduct"]
