"""GlobalAccPool: the sum of each channel over all pixels of a frame."""

from hwflow.kernels.global_acc_pool.op import GlobalAccPool_rtl

LAYER = GlobalAccPool_rtl
