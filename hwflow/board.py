"""Boards: the FPGA on them, its resources and what can build for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from hwflow.config import shipped
from hwflow.config.yaml_source import check, load_yaml, nearest
from hwflow.errors import RequestError
from hwflow.families import FAMILIES, family, family_of


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Resources(_Section):
    """What a part has."""

    lut: int = Field(ge=0, description="Look-up tables, as large as the family's are.")
    ff: int = Field(ge=0, description="Flip-flops.")
    dsp: int = Field(ge=0, description="DSP blocks, or multipliers where a family has these.")
    bram18: int = Field(ge=0, description="Block RAMs of 18 kbit.")
    uram: int = Field(0, ge=0, description="UltraRAMs of 288 kbit.")


def _names_of_families(schema: dict[str, Any]) -> None:
    schema["enum"] = [member.name for member in FAMILIES]


class Board(_Section):
    """A board, from a file of `boards/`, of an installed package, or of the user's own."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Short name.")
    title: str = Field(description="Name and maker.")
    part: str = Field(description="Full part number, as vendors' tools take it.")
    family: str = Field(
        description="Device family: what the part is made of, and what can build for it.",
        json_schema_extra=_names_of_families,
    )
    clock_mhz: float = Field(gt=0, description="Clock that designs are built for.")
    resources: Resources
    host: Literal["pynq", "uart", "none"] = Field("none", description="How data reaches it.")
    source: str = Field(description="Where the figures come from.")

    @field_validator("family")
    @classmethod
    def _is_the_parts(cls, name: str, others: ValidationInfo) -> str:
        names = [member.name for member in FAMILIES]
        if name not in names:
            expected = ", ".join(f"'{valid}'" for valid in names)
            raise PydanticCustomError("literal_error", "unknown", {"expected": expected})
        of, part = family(name), others.data.get("part")
        if part is not None and (not of.match(part) or family_of(part) is not of):
            begin = ", ".join(of.parts)
            raise ValueError(f"{part} is of another family ({name}'s parts begin with {begin})")
        return name

    @field_validator("clock_mhz")
    @classmethod
    def _is_possible(cls, mhz: float, others: ValidationInfo) -> float:
        name = others.data.get("family")
        problem = family(name).clock.problem(mhz) if name else None
        if problem:
            raise ValueError(f"{name}'s {problem}")
        return mhz


def load_board(name_or_path: str) -> Board:
    """The board of a name, of hwflow or of an installed package, or of a file.

    Raises:
        RequestError: no such board, or a mistake in its file.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return check(Board, load_yaml(path))
    files = shipped.files("boards")
    if name_or_path not in files:
        raise RequestError(
            f"there is no board {name_or_path!r}",
            hint=nearest(name_or_path, files) + "; or give the path of a board file",
        )
    return check(Board, load_yaml(files[name_or_path]))


def load_boards() -> list[Board]:
    """All boards that can be named, by name."""
    return [load_board(name) for name in shipped.files("boards")]
