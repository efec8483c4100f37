"""Thresholds as memory files that `$readmemh` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_thresholds(
    folder: Path, name: str, thresholds: NDArray[np.floating], pe: int, bits: int
) -> None:
    """Write the memories of a layer of thresholds, `<name>_threshs_<pe>_<stage>.dat`.

    The layer searches among N thresholds of a channel, seen as 2^M - 1 of which those from N on
    are never reached, in M = ceil(log2(N + 1)) stages: stage s holds, channel fold by channel
    fold, the 2^s thresholds that halve what the stages before have left. FINN's own files take M
    from the type of what comes out, which has more bits where not all of its numbers occur.

    Args:
        folder: written to.
        name: of the layer.
        thresholds: integers (channels, N) ascending, or (1, N) for all channels.
        pe: folding, dividing the channels.
        bits: of a threshold, two's complement.
    """
    channels = thresholds.astype(np.int64)
    if len(channels) == 1:
        channels = np.repeat(channels, pe, axis=0)
    stages = channels.shape[1].bit_length()
    full = np.pad(channels, ((0, 0), (0, 2**stages - 1 - channels.shape[1])))
    words = full & (2**bits - 1)
    for stage in range(stages):
        step = 2 ** (stages - stage)
        taken = words[:, step // 2 - 1 :: step]
        for number in range(pe):
            lines = [f"{word:0{-(-bits // 4)}x}\n" for word in taken[number::pe].reshape(-1)]
            (folder / f"{name}_threshs_{number}_{stage}.dat").write_text("".join(lines))
