"""XnorMVAU: linear layers of binary weights and binary activations, by XNOR and popcount."""

from hwflow.kernels.xnor_mvau.op import XnorMVAU_rtl

__all__ = ["XnorMVAU_rtl"]
