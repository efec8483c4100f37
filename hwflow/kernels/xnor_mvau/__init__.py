"""XnorMVAU: linear layers of binary weights and binary activations, by XNOR and popcount."""

from hwflow.kernels.xnor_mvau.op import XnorMVAU_rtl

LAYER = XnorMVAU_rtl
