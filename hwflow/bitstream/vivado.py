"""AMD Vivado, for all of AMD's families."""

from __future__ import annotations

from hwflow.bitstream.backend import BitstreamBackend
from hwflow.processes.tools import Program


class Vivado(BitstreamBackend):
    """AMD Vivado; hwflow does not run it yet."""

    name = "vivado"
    programs = (
        Program("vivado", ("-version",), "install AMD Vivado and source its settings64.sh"),
    )


BACKEND = Vivado()
