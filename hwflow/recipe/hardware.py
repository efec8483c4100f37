"""What accelerator to build, and how far to verify it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hwflow.recipe.section import Section

MvauChoice = Literal["auto", "dsp", "lut"]


class Hardware(Section):
    """What accelerator to build."""

    clock_mhz: float | None = Field(None, gt=0, description="Clock; default: the board's.")
    target_fps: float | None = Field(
        None, gt=0, description="Frames a second that the folding must reach; default: minimal."
    )
    folding: str | None = Field(
        None,
        description="YAML file with `layer: {pe: N, simd: N}`, relative to the recipe, "
        "instead of target_fps.",
    )
    mvau: MvauChoice | dict[str, MvauChoice] = Field(
        "auto",
        description="What multiplies: DSP blocks, LUTs, or what uses the board least (auto); for "
        "all layers, or `layer: choice` by patterns of their names.",
    )
    top_k: int | None = Field(
        None,
        ge=1,
        description="Classes that the accelerator puts out a frame, that of the greatest logit "
        "first, of equal ones the lowest; default: as many as the TopK that ends a model file, "
        "else 1.",
    )
    synthesis: bool = Field(True, description="Synthesise each layer with Yosys (resources).")

    @model_validator(mode="after")
    def _one_folding(self) -> Hardware:
        if self.target_fps is not None and self.folding is not None:
            raise ValueError(
                "a folding file leaves nothing to target_fps: leave one out, or set it to null"
            )
        return self


class Stall(Section):
    """Random stalls: chance, in percent, that a side is not ready in a cycle."""

    source: int = Field(0, ge=0, le=95, description="Chance that the input is not valid, in %.")
    sink: int = Field(0, ge=0, le=95, description="Chance that the output is not ready, in %.")


class Verify(Section):
    """How far the RTL is simulated (the emulator always sees the whole test split)."""

    rtl_frames: int | Literal["all"] = Field(
        512, description="Test frames that the RTL simulation sees, under every stall pattern."
    )
    stalls: tuple[Stall, ...] = Field(
        (Stall(), Stall(source=30, sink=50), Stall(source=0, sink=80)),
        min_length=1,
        description="Stall patterns, simulated one after the other.",
    )
    netlist: bool = Field(
        False, description="Simulate the synthesised netlist against the RTL (needs synthesis)."
    )
