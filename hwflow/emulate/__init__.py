"""The bit-exact integer emulator of the hardware graph, batched."""

from hwflow.emulate.emulator import Emulator

__all__ = ["Emulator"]
