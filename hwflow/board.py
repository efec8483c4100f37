"""Boards: the FPGA on them, its resources and what can build for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hwflow.config import shipped
from hwflow.config.yaml_source import check, load_yaml, nearest
from hwflow.errors import RequestError

Family = Literal["zynq-7000", "zynq-ultrascale+", "ecp5"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Resources(_Section):
    """What a part has."""

    lut: int = Field(ge=0, description="Look-up tables (LUT6; LUT4 on ECP5).")
    ff: int = Field(ge=0, description="Flip-flops.")
    dsp: int = Field(ge=0, description="DSP blocks (18 x 18 multipliers on ECP5).")
    bram18: int = Field(ge=0, description="Block RAMs of 18 kbit.")
    uram: int = Field(0, ge=0, description="UltraRAMs of 288 kbit.")


class Board(_Section):
    """A board, from a file of `boards/` or of the user's own."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Short name.")
    title: str = Field(description="Name and maker.")
    part: str = Field(description="Full part number, as vendors' tools take it.")
    family: Family = Field(description="Device family; decides the synthesis back end.")
    clock_mhz: float = Field(gt=0, le=1000, description="Clock that designs are built for.")
    resources: Resources
    host: Literal["pynq", "uart", "none"] = Field("none", description="How data reaches it.")
    source: str = Field(description="Where the figures come from.")


def load_board(name_or_path: str) -> Board:
    """The board of a shipped name, or of a file.

    Raises:
        RequestError: no such board, or a mistake in its file.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return check(Board, load_yaml(path))
    names = shipped.names("boards")
    if name_or_path not in names:
        raise RequestError(
            f"there is no board {name_or_path!r}",
            hint=nearest(name_or_path, names) + "; or give the path of a board file",
        )
    return check(Board, load_yaml(shipped.folder("boards") / f"{name_or_path}.yaml"))


def load_boards() -> list[Board]:
    """All shipped boards, by name."""
    return [load_board(name) for name in shipped.names("boards")]
