"""The integers that an accelerator takes: what they mean, and those of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.data import Dataset, Split
from hwflow.dataflow.integers import InputCode
from hwflow.host.software import Software

Codes = NDArray[np.int64]


def input_code(data: Dataset) -> InputCode | None:
    """What a data set's integers mean; None where its inputs are real values."""
    code = data.encoding
    return None if code is None else InputCode(code.scale, code.offset, code.minimum, code.maximum)


def accelerator_input(
    data: Dataset, split: Split, software: Software, model: ModelWrapper
) -> Codes:
    """The integers that the accelerator takes for samples of a data set, (N, elements), in the
    order in which it takes them: the host's where the network has a head, else the data's own.

    Args:
        data: the data set.
        split: some of it.
        software: the network.
        model: the hardware graph.
    """
    codes = software.codes(data, split)
    if codes is not None:
        return codes
    shape = model.get_tensor_shape(model.graph.input[0].name)
    return hardware_order(split.inputs.astype(np.int64), shape)


def hardware_order(codes: Codes, shape: Sequence[int]) -> Codes:
    """Integers of a tensor of the network, as the hardware's tensor has them, (N, elements).

    Args:
        codes: (N, C, H, W), (N, C, L) or (N, F).
        shape: of the hardware's tensor: of an image (1, H, W, C), channels last, whether or not
            the network has flattened it.
    """
    if len(shape) == 4:
        images = codes.reshape(len(codes), shape[3], shape[1], shape[2])
        codes = np.moveaxis(images, 1, -1)
    return codes.reshape(len(codes), -1)
