"""The RTL's signals, recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.data import Dataset, Split
from hwflow.host import Software
from hwflow.host.input_codes import accelerator_input
from hwflow.simulate import Simulator, Waveform


def record(
    simulator: Simulator, data: Dataset, software: Software, rtl: Path, waveform: Waveform
) -> None:
    """Simulate as many test frames as a waveform's window needs, and record it.

    Args:
        simulator: made with `trace`.
        data: whose test split is run.
        software: the divided network.
        rtl: RTL folder, with hardware.onnx.
        waveform: its file and window.
    """
    frames = 2 + (waveform.first + waveform.cycles) // simulator.design.bound_cycles
    test = data.test
    split = Split(
        np.resize(test.inputs, (frames, *test.inputs.shape[1:])), np.resize(test.labels, frames)
    )
    model = ModelWrapper(str(rtl / "hardware.onnx"))
    codes = accelerator_input(data, split, software, model)
    simulator.run(codes, waveform=waveform)
