"""Simulation of the complete accelerator in Verilator, cycle by cycle."""

from hwflow.simulate.compile import compile_model
from hwflow.simulate.run import SimulationResult, Simulator, StreamStatistics, Waveform

__all__ = ["SimulationResult", "Simulator", "StreamStatistics", "Waveform", "compile_model"]
