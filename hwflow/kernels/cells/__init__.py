"""Small modules that kernels are made of, each in a file of its name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.sv")))


def needed_by(sources: Iterable[Path]) -> list[Path]:
    """The cells that SystemVerilog files instantiate, by themselves or in other cells.

    Args:
        sources: files of a kernel.

    Returns:
        Files, sorted; a cell that nothing instantiates would be a second top of a design.
    """
    texts = [source.read_text() for source in sources]
    needed: list[Path] = []
    for text in texts:
        used = [cell for cell in SOURCES if re.search(rf"^\s*{cell.stem}\s*(#|\w)", text, re.M)]
        new = [cell for cell in used if cell not in needed]
        needed += new
        texts += [cell.read_text() for cell in new]
    return sorted(needed)
