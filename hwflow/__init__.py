"""hwflow: from a PyTorch network and a board to a verified FPGA accelerator."""

__version__ = "0.1.0"
