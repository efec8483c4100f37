"""Attention with any number of heads, and where heads lie in a network's parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hwflow.compress.prune.groups import Group, Index, Member, Parameter

# Names that transformers' networks have for the projections, the output projection (seen from the
# attention, or from the module around it) and the number of heads.
_PROJECTIONS = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
)
_OUTPUTS = ("o_proj", "out_proj", "out_lin", "dense")
_OUTPUTS_AROUND = ("output.dense",)
_HEADS = ("num_attention_heads", "num_heads", "n_heads")


class HeadAttention(nn.Module):
    """`nn.MultiheadAttention` whose heads need not fill its embedding.

    torch's own wants `num_heads` x `head_dim` = `embed_dim`, so that no head could go without the
    features around it. This one has the same parameters by the same names, the same arguments, and
    the same results; only their number of rows differs.

    Args:
        attention: torch's, or one of these.
        heads: how many of its heads there are to be; all values are left zero.
    """

    in_proj_weight: torch.Tensor
    q_proj_weight: torch.Tensor
    k_proj_weight: torch.Tensor
    v_proj_weight: torch.Tensor
    in_proj_bias: torch.Tensor | None

    def __init__(self, attention: nn.MultiheadAttention | HeadAttention, heads: int) -> None:
        super().__init__()
        self.embed_dim: int = attention.embed_dim
        self.head_dim: int = attention.head_dim
        self.num_heads = heads
        self.dropout: float = attention.dropout
        self.batch_first: bool = attention.batch_first
        # torch's encoder layers ask this: a fused kernel of theirs takes only full embeddings.
        self._qkv_same_embed_dim = False
        rows = heads * self.head_dim
        for name in input_weights(attention):
            old = getattr(attention, name)
            count = 3 * rows if name == "in_proj_weight" else rows
            setattr(self, name, _zeros(old, (count, old.shape[1])))
        bias = attention.in_proj_bias
        self.register_parameter("in_proj_bias", None if bias is None else _zeros(bias, (3 * rows,)))
        out: nn.Linear = attention.out_proj
        without_values: Any = nn.utils.skip_init
        self.out_proj: nn.Linear = without_values(
            nn.Linear, rows, self.embed_dim, out.bias is not None, dtype=out.weight.dtype
        )
        self.out_proj.weight = _zeros(out.weight, (self.embed_dim, rows))
        if out.bias is not None:
            self.out_proj.bias = _zeros(out.bias, (self.embed_dim,))

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: torch.Tensor | None = None,
        need_weights: bool = True,
        attn_mask: torch.Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As of `nn.MultiheadAttention`: (L, N, E), (N, L, E) with `batch_first`, or (L, E)."""
        batched = query.dim() == 3
        inputs = [
            x.unsqueeze(0) if not batched else x if self.batch_first else x.transpose(0, 1)
            for x in (query, key, value)
        ]
        q, k, v = (self._split(x) for x in self._project(inputs))
        mask = self._mask(attn_mask, key_padding_mask, q)
        scores = q @ k.transpose(-2, -1) * self.head_dim**-0.5
        if mask is not None:
            scores = scores + mask
        weights = functional.dropout(torch.softmax(scores, -1), self.dropout, self.training)
        out = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        if average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            out, weights = out.squeeze(0), weights.squeeze(0)
        elif not self.batch_first:
            out = out.transpose(0, 1)
        return out, weights if need_weights else None

    def _project(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        if hasattr(self, "in_proj_weight"):
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return [functional.linear(*args) for args in zip(inputs, weights, biases, strict=True)]

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(N, L, heads x head_dim) to (N, heads, L, head_dim)."""
        by_head = x.reshape(*x.shape[:2], self.num_heads, self.head_dim)
        return by_head.transpose(1, 2)

    def _mask(
        self, mask: torch.Tensor | None, padding: torch.Tensor | None, query: torch.Tensor
    ) -> torch.Tensor | None:
        """What to add to scores, for (N, heads, L, S); `True` in a mask means: not allowed."""
        parts = []
        if mask is not None:
            # Of three dimensions, it has one for each sample and head.
            heads = mask if mask.dim() == 2 else mask.reshape(query.shape[0], -1, *mask.shape[1:])
            parts.append(_additive(heads, query))
        if padding is not None:
            padding = padding.unsqueeze(0) if padding.dim() == 1 else padding
            parts.append(_additive(padding, query)[:, None, None, :])
        return sum(parts[1:], parts[0]) if parts else None


def _additive(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))


def _zeros(old: torch.Tensor, shape: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(old.new_zeros(shape), requires_grad=old.requires_grad)


def input_weights(attention: nn.Module) -> list[Parameter]:
    """The parameters of torch's attention that project queries, keys and values."""
    names: tuple[Parameter, ...] = (
        "in_proj_weight",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
    )
    return [name for name in names if getattr(attention, name, None) is not None]


# ------------------------------------------------------------------------------ heads of networks


@dataclass(frozen=True)
class Projections:
    """Where the heads of transformers' attention lie.

    Attributes:
        attention: name of the module that knows how many heads there are.
        inputs: names of the layers that make queries, keys and values.
        output: name of the layer that reads the heads.
        width: their outputs.
        heads: how many.
        counter: the attribute that says so; None where the attention takes what its layers make.
    """

    attention: str
    inputs: tuple[str, str, str]
    output: str
    width: int
    heads: int
    counter: str | None


def head_groups(model: nn.Module) -> list[Group]:
    """A group for each attention in a network, of its heads."""
    groups = []
    for name, module in model.named_modules():
        if name and isinstance(module, nn.MultiheadAttention | HeadAttention):
            # Keys and values that torch appends to every sequence belong to no row.
            appended = getattr(module, "add_zero_attn", False)
            if not appended and getattr(module, "bias_k", None) is None:
                groups.append(_torch_group(name, module))
    for layers in projections(model):
        index = _blocks(layers.heads, layers.width // layers.heads)
        members = [m for layer in layers.inputs for m in _rows(model, layer, index)]
        members.append(Member(layers.output, "weight", 1, index))
        groups.append(Group(layers.inputs[0], layers.heads, "head", tuple(members)))
    return groups


def projections(model: nn.Module) -> Iterator[Projections]:
    """The attentions that are written as transformers writes them: BERT's kin, ViT, Llama's kin.

    Those whose keys have fewer heads than their queries are left out.
    """
    names = {name for name, _ in model.named_modules()}
    for name, module in model.named_modules():
        counter = next((key for key in _HEADS if isinstance(getattr(module, key, None), int)), None)
        size = getattr(module, "head_dim", 0)
        if counter is None and not size:
            continue
        around = name.rpartition(".")[0]
        outputs = [_joined(name, tail) for tail in _OUTPUTS]
        outputs += [_joined(around, tail) for tail in _OUTPUTS_AROUND]
        output = next((candidate for candidate in outputs if candidate in names), None)
        for triple in _PROJECTIONS:
            q, k, v = (_joined(name, tail) for tail in triple)
            if output is None or not {q, k, v} <= names:
                continue
            widths = {_outputs(model, layer) for layer in (q, k, v)}
            width = widths.pop()
            heads = width // size if counter is None else getattr(module, counter)
            if not widths and width and width % heads == 0:
                yield Projections(name, (q, k, v), output, width, heads, counter)


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _outputs(model: nn.Module, layer: str) -> int:
    module = model.get_submodule(layer)
    return module.out_features if isinstance(module, nn.Linear) else 0


def _rows(model: nn.Module, layer: str, index: Index) -> list[Member]:
    members = [Member(layer, "weight", 0, index)]
    if getattr(model.get_submodule(layer), "bias", None) is not None:
        members.append(Member(layer, "bias", 0, index))
    return members


def _blocks(count: int, size: int) -> Index:
    return tuple(tuple(range(i * size, (i + 1) * size)) for i in range(count))


def _torch_group(name: str, attention: nn.MultiheadAttention | HeadAttention) -> Group:
    heads, size = attention.num_heads, attention.head_dim
    blocks = _blocks(heads, size)
    # Rows of queries, keys and values lie one after the other.
    tripled = tuple(
        tuple(row + part * heads * size for part in range(3) for row in block) for block in blocks
    )
    members = [
        Member(name, weight, 0, tripled if weight == "in_proj_weight" else blocks)
        for weight in input_weights(attention)
    ]
    if attention.in_proj_bias is not None:
        members.append(Member(name, "in_proj_bias", 0, tripled))
    output = _joined(name, "out_proj")
    return Group(name, heads, "head", (*members, Member(output, "weight", 1, blocks)))
