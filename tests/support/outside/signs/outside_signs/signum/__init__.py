"""Signs of numbers: a hardware layer, and how it is made of the operation Sign."""

from .op import Signum_rtl

LAYER = Signum_rtl
