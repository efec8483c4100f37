"""Least-squares refit of factors on data, and new statistics for batch norms.

The refit makes a layer's output what it was in the network before, from what the layers ahead of it
give now: X. Zhang, J. Zou, K. He, J. Sun: Accelerating very deep convolutional networks for
classification and detection, PAMI 38 (2016), section 3.3 (asymmetric reconstruction).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn
from torch.nn import functional

from hwflow.compress.decompose.candidates import Layer
from hwflow.networks import TensorNorm

# Samples that run at a time: few where their patches are laid out, enough for a variance.
BATCH, NORM_BATCH = 32, 128
# Share of the mean of the normal equations' diagonal that is added to it. It holds the weights at
# their values where data say little.
RIDGE = 1e-3


class _Reached(Exception):  # noqa: N818 (ends a forward pass, and is no error)
    """A forward pass came as far as was asked for."""


def refit(
    model: nn.Module,
    original: nn.Module,
    counts: Mapping[str, int],
    inputs: torch.Tensor,
    note: Callable[[str, float | None], None] = lambda text, fraction: None,
) -> None:
    """Fit the last factor of each decomposed layer, in order, so that errors ahead are made up for.

    Args:
        model: decomposed network, changed in place.
        original: the network before.
        counts: how often a frame uses each decomposed layer, in order of first use.
        inputs: (N, *shape) calibration samples.
        note: told how far it is.
    """
    model.eval()
    original.eval()
    for number, (name, count) in enumerate(counts.items()):
        note(f"refitting {name}", number / len(counts))
        last = model.get_submodule(name)[-1]  # type: ignore[index]
        _fit(last, _pairs(model, original, name, count, inputs))


@torch.no_grad()
def _pairs(
    model: nn.Module, original: nn.Module, name: str, count: int, inputs: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What the last factor of a layer is given now, and what the layer made before."""
    last = model.get_submodule(name)[-1]  # type: ignore[index]
    wanted = original.get_submodule(name)
    for batch in torch.split(inputs, BATCH):
        now, before = _calls(model, last, count, batch), _calls(original, wanted, count, batch)
        for (factor_input, _), (_, layer_output) in zip(now, before, strict=True):
            yield factor_input, layer_output


def _calls(
    model: nn.Module, layer: nn.Module, count: int, batch: torch.Tensor
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Input and output of each use of a layer; the forward pass ends with the last of them."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def record(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        # Copies, for what follows may change a tensor in place.
        seen.append((args[0].clone(), output.clone()))
        if len(seen) == count:
            raise _Reached

    hook = layer.register_forward_hook(record)
    try:
        model(batch)
    except _Reached:
        pass
    finally:
        hook.remove()
    return seen


@torch.no_grad()
def _fit(layer: Layer, pairs: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Weights (and bias) of least squared error, by normal equations in float64.

    Ridge regression towards the weights that are there.
    """
    now = layer.weight.flatten(1).double()
    if layer.bias is not None:
        now = torch.cat([now, layer.bias.double()[:, None]], 1)
    gram, moment = now.new_zeros(now.shape[1], now.shape[1]), now.new_zeros(now.shape)
    for inputs, wanted in pairs:
        rows = _rows(layer, inputs)
        gram += rows.T @ rows
        moment += (_as_rows(layer, wanted) - rows @ now.T).T @ rows
    ridge = RIDGE * gram.diagonal().mean()
    if ridge == 0:
        return
    gram += ridge * torch.eye(len(gram), dtype=gram.dtype)
    fitted = now + torch.cholesky_solve(moment.T, torch.linalg.cholesky(gram)).T
    if layer.bias is not None:
        layer.bias.copy_(fitted[:, -1])
        fitted = fitted[:, :-1]
    layer.weight.copy_(fitted.reshape(layer.weight.shape))


def _as_rows(layer: Layer, output: torch.Tensor) -> torch.Tensor:
    """(positions, channels), float64."""
    channels_last = output if isinstance(layer, nn.Linear) else output.movedim(1, -1)
    return channels_last.flatten(0, -2).double()


def _rows(layer: Layer, inputs: torch.Tensor) -> torch.Tensor:
    """(positions, inputs of a neuron), float64: what each output is a product with, and 1."""
    rows = inputs.flatten(0, -2) if isinstance(layer, nn.Linear) else _patches(layer, inputs)
    rows = rows.double()
    return rows if layer.bias is None else functional.pad(rows, (0, 1), value=1.0)


def _patches(layer: nn.Conv1d | nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
    """(positions, channels taps) of what a convolution is given."""
    ways = len(layer.kernel_size)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = functional.pad(inputs, _padding(layer), mode=mode)
    taps = layer.kernel_size
    stride, dilation = layer.stride, layer.dilation
    if ways == 1:  # unfold knows images only
        padded = padded[:, :, None]
        taps, stride, dilation = (1, *taps), (1, *stride), (1, *dilation)
    columns = functional.unfold(padded, taps, dilation=dilation, stride=stride)
    return columns.transpose(1, 2).flatten(0, 1)


def _padding(layer: nn.Conv1d | nn.Conv2d) -> list[int]:
    """Before and after each way, the last way first, as `functional.pad` wants it."""
    if layer.padding == "valid":
        return [0] * (2 * len(layer.kernel_size))
    sides: list[int] = []
    for way in reversed(range(len(layer.kernel_size))):
        if isinstance(layer.padding, str):
            whole = layer.dilation[way] * (layer.kernel_size[way] - 1)
            sides += [whole // 2, whole - whole // 2]
        else:
            sides += [layer.padding[way]] * 2
    return sides


# ----------------------------------------------------------------------------------- batch norms


@torch.no_grad()
def recalibrate(model: nn.Module, inputs: torch.Tensor) -> None:
    """Estimate the statistics of batch norms anew: averages over batches of equal weight.

    Args:
        model: network, changed in place and left in eval mode; what else differs between training
            and eval mode (dropout) is as in eval.
        inputs: (N, *shape) training samples.
    """
    norms = [
        m
        for m in model.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm | TensorNorm)
        and m.running_mean is not None
    ]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
    try:
        # Batches of one size: the last would else be small, and count as much as the others.
        for number, batch in enumerate(inputs.tensor_split(max(1, len(inputs) // NORM_BATCH))):
            for norm in norms:
                norm.momentum = 1 / (number + 1)
            model(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()
