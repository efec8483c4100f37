"""The memory of weights that the matrix-vector and depthwise units have inside."""

from pathlib import Path

SOURCE = Path(__file__).with_name("weight_memory.sv")
