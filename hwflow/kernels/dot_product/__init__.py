"""The sums of products without multipliers that LutMVAU and VVAU are made of."""

from pathlib import Path

SOURCE = Path(__file__).with_name("dot_product.sv")
