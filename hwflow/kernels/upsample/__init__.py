"""UpsampleNearestNeighbour: every pixel repeated, in its row and by rows."""

from hwflow.kernels.upsample.op import UpsampleNearestNeighbour_rtl

__all__ = ["UpsampleNearestNeighbour_rtl"]
