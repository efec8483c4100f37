"""What a check found: the accelerator that a build would make."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

# What estimates are of, in words.
INCLUDED = "each layer's own estimate, with width converters, without FIFOs"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimates(_Part):
    """Resources, estimated: look-up tables, DSP blocks, RAMs of 18 kbit, UltraRAMs."""

    lut: int
    dsp: int
    bram18: int
    uram: int


class CheckedLayer(_Part):
    """A hardware layer.

    Attributes:
        name: in the user's network; of what belongs to a layer with a suffix, as in
            `block.conv1_windows`. Folding files are written in these names.
        rtl: name of its RTL module.
        kernel: what implements it.
        folding: what it folds by (`pe`, `simd`, `parallel_window`), as it is chosen.
        choices: what each of these can be, ascending; of windows `pe` and `simd` follow from the
            layer that they are for unless a folding file says otherwise.
        cycles: that a frame takes in it.
        estimates: resources.
    """

    name: str
    rtl: str
    kernel: str
    folding: dict[str, int]
    choices: dict[str, tuple[int, ...]]
    cycles: int
    estimates: Estimates


class HostPart(_Part):
    """Operations that the host computes.

    Attributes:
        place: before or behind the accelerator.
        operations: name and type of each, in order.
        reason: why hardware does not take them.
    """

    place: Literal["before", "behind"]
    operations: tuple[tuple[str, str], ...]
    reason: str


class Check(_Part):
    """What a build would be.

    Attributes:
        recipe, board: names.
        assumptions: what is not known before training, and what was taken for it.
        may_shrink: whether training decides how much of the network is left, so that it may become
            smaller than was checked.
        ends: why the build ends after its export, or after its stages; None: it goes on.
        clock_mhz: clock of the accelerator.
        bound_cycles: cycles a frame of the slowest layer; None where the build ends.
        layers: hardware layers in the order of computation, width converters among them.
        estimates: of all layers together.
        included: what the estimates are of, in words.
        available: what the board has.
        host: what the host computes.
    """

    recipe: str
    board: str
    assumptions: tuple[str, ...] = ()
    may_shrink: bool = False
    ends: str | None = None
    clock_mhz: float
    bound_cycles: int | None = None
    layers: tuple[CheckedLayer, ...] = ()
    estimates: Estimates | None = None
    included: str = INCLUDED
    available: Estimates
    host: tuple[HostPart, ...] = ()

    @property
    def frames_per_second(self) -> float | None:
        """What the bound allows at the clock; None where the build ends."""
        return None if self.bound_cycles is None else self.clock_mhz * 1e6 / self.bound_cycles
