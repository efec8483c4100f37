"""FPGA families: what their parts are made of, one file a family.

A family is a module here that has a `FAMILY`, or an entry point of the group `hwflow.families`.
Families of one fabric share its description (`xilinx7.py` for the 7 series).

Everything that depends on an FPGA asks its family. Boards name theirs. Layers know a part number
only, for that is what FINN's interface gives them: `family_of` finds the family whose numbers
begin like it. hwflow gives every layer the board's own part number. FINN's layers read nothing in
it but which DSP block the MVU is written for (DSP48E1 where the third character is 7, else
DSP48E2; Versal parts apart); where a family has neither, its multipliers are described instead
(`HardwareLayer.DESCRIBED`).
"""

from __future__ import annotations

from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError
from hwflow.families.fabric import RESOURCES, Fabric
from hwflow.families.family import Clock, Family
from hwflow.registry import Registry

__all__ = ["FAMILIES", "RESOURCES", "Clock", "Fabric", "Family", "family", "family_of"]

FAMILIES: Registry[Family] = Registry("hwflow.families", "FAMILY", Family)


def family(name: str) -> Family:
    """The family of a name.

    Raises:
        RequestError: there is none; offers the nearest.
    """
    for member in FAMILIES:
        if member.name == name:
            return member
    raise RequestError(
        f"there is no FPGA family {name!r}", hint=nearest(name, [m.name for m in FAMILIES])
    )


def family_of(part: str) -> Family:
    """The family that a part number belongs to: the one that most of its beginning is of.

    Raises:
        RequestError: to none.
    """
    closest = max(FAMILIES, key=lambda member: member.match(part))
    if closest.match(part):
        return closest
    known = ", ".join(f"{prefix}... ({m.name})" for m in FAMILIES for prefix in m.parts)
    raise RequestError(f"no FPGA family has the part {part!r}", hint=f"parts are: {known}")
