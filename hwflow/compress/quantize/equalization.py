"""Cross-layer equalization of a float network, before it is quantized."""

from __future__ import annotations

import copy

import torch
from brevitas.graph.equalize import EqualizeGraph
from torch import nn
from torch.nn import functional

from hwflow.compress.quantize.graph import standard_graph
from hwflow.compress.quantize.tracing import called, is_relu
from hwflow.compress.reparametrized import plain_weights


@torch.no_grad()
def equalize(model: nn.Module) -> nn.Module:
    """A network that computes the same, its channels scaled so that the weights (or batch norms)
    before an activation and the weights behind it span equal ranges.

    relu(s x) = s relu(x) for s > 0, so a channel's scale can be moved through it (Nagel et al.
    2019, section 4.1). Regions that are linked by sums and concatenations share their scales.

    Args:
        model: float network; left as it is.
    """
    traced = standard_graph(model, None)
    for node in traced.graph.nodes:
        if is_relu(traced, node) and called(node) and node.target is not functional.relu6:
            traced.add_submodule(f"{node.name}_relu", nn.ReLU())
            node.op, node.target = "call_module", f"{node.name}_relu"
            node.args, node.kwargs = (node.all_input_nodes[0],), {}
    traced.recompile()
    equal = copy.deepcopy(plain_weights(model))
    values = EqualizeGraph().apply(traced).state_dict()
    # What the graph does not use is not in it.
    equal.load_state_dict(equal.state_dict() | values)
    return equal
