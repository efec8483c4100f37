"""What a generated RTL folder says about itself: `design.json` beside `top.sv`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Port(_Part):
    """A stream as numbers: what a beat carries and how many beats make a frame.

    Element 0 of a beat lies in its least significant bits; elements are two's complement when
    `signed`, and a `bipolar` element is one bit, 0 for -1 and 1 for +1. A beat is padded to a
    multiple of 8 bits.
    """

    width: int
    padded_width: int
    beats: int
    element_bits: int
    elements: int
    signed: bool
    bipolar: bool = False


class Fifo(_Part):
    """Size of a FIFO: words, and bits of each."""

    depth: int
    width: int


class Node(_Part):
    """A hardware layer, converter or FIFO: one module with streams in and streams out.

    Its ports are called as FINN calls them: in0_V, in1_V, ..., out0_V, out1_V, ... `layer` is the
    layer of the user's network that it belongs to, and `path` its name there: the layer's, with
    the suffix that `name` has. `kernel` is whose RTL it is and which; `role` what it is to who
    reads a report; `begins_early` whether it puts out something before its first input comes.
    """

    name: str
    op: str
    module: str
    layer: str
    path: str
    files: tuple[str, ...]
    data: tuple[str, ...]
    pe: int
    simd: int
    cycles: int
    kernel: str
    role: str
    begins_early: bool
    fifo: Fifo | None = None


class Stream(Port):
    """A connection between two nodes; in top.sv the nets `<name>_tdata`, `_tvalid`, `_tready`.

    `s_axis` produces the accelerator's input, `m_axis` consumes its output. `out` and `into` say
    which of its producer's outputs, and of its consumer's inputs, it is.
    """

    name: str
    producer: str
    out: int
    consumer: str
    into: int
    tensor: str


class Design(_Part):
    """A complete accelerator: `top.sv` and what it is made of, from input to output.

    The first stream is the accelerator's input, the last one its output; a node comes after
    the nodes that feed it.
    """

    top: str
    input: Port
    output: Port
    bound_cycles: int
    nodes: tuple[Node, ...]
    streams: tuple[Stream, ...]


def load_design(rtl: Path) -> Design:
    """Read the description of an RTL folder."""
    return Design.model_validate_json((rtl / "design.json").read_text())
