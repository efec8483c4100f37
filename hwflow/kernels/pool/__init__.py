"""Pool: maximum, sum or average of each channel over a window that slides over the image."""

from hwflow.kernels.pool.op import Pool_rtl

LAYER = Pool_rtl
