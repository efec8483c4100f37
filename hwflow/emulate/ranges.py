"""What range the integers of each channel of a hardware graph can have.

Intervals are propagated from the input's type: a tighter range than a tensor's type gives, for
weights and thresholds are known. A tensor's range is (C,), of its last axis.
"""

from __future__ import annotations

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.catalogue import realised
from hwflow.kernels.layer import Range


def channel_ranges(model: ModelWrapper) -> dict[str, Range]:
    """Least and greatest integer of each channel, by tensor."""
    name = model.graph.input[0].name
    datatype, channels = model.get_tensor_datatype(name), model.get_tensor_shape(name)[-1]
    ends = (int(datatype.min()), int(datatype.max()))
    ranges: dict[str, Range] = {name: (np.full(channels, ends[0]), np.full(channels, ends[1]))}
    for node in model.graph.node:
        inputs = [ranges[name] for name in node.input if name in ranges]
        output_range = realised(model, node).output_range(model, inputs)
        ranges.update(dict.fromkeys(node.output, output_range))
    return ranges
