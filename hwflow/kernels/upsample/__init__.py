"""UpsampleNearestNeighbour: every pixel repeated, in its row and by rows."""

from hwflow.kernels.upsample.op import UpsampleNearestNeighbour_rtl

LAYER = UpsampleNearestNeighbour_rtl
