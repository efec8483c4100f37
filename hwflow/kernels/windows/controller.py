"""The constants of the controller of FINN's sliding windows (finn-rtllib/swg).

The controller is a nest of five loops over the words of a frame: over rows of windows (H), windows
of a row (W), and inside a window over KH, KW and SIMD. Each of its states adds a number to the
address: the step of its loop, less what the loops inside it have gone.

FINN computes these constants too. It takes the logarithm of the most steps of a counter, which is 0
where only two words are ever chosen, and what is left of a row modulo what windows reach, which is
wrong where that goes into the row twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwflow.kernels.windows.geometry import Windows


@dataclass(frozen=True)
class _Loop:
    """Times that a loop is gone through, and words from one to the next."""

    count: int
    step: int

    @property
    def span(self) -> int:
        return (self.count - 1) * self.step


def controller(windows: Windows) -> dict[str, int | str]:
    """Constants of the controller that reads windows from a buffer word by word.

    Returns:
        The values of the places in FINN's template, by their names.
    """
    folds, width = windows.folds, windows.image[1]
    rows, columns = _outer(windows)
    high = _Loop(windows.kernel[0], windows.dilation[0] * width * folds)
    wide = _Loop(windows.kernel[1], windows.dilation[1] * folds)
    fold = _Loop(folds, 1)
    inner = [fold, high, wide] if windows.depthwise else [high, wide, fold]
    nest = [rows, columns, *inner]
    steps = {id(loop): _increment(nest, level) for level, loop in enumerate(nest)}
    by_channel = windows.depthwise and folds > 1
    states = [rows, columns, *([fold, high, wide] if by_channel else [high, wide, fold])]
    heads = [steps[id(loop)] for loop in states]
    window = high.span + wide.span + folds
    group = folds if by_channel else 1
    tails = [heads[1] + window - group, heads[0] + window - group, window - 1]
    taps = math.prod(windows.kernel)
    return {
        "BUF_ELEM_TOTAL": windows.buffer,
        "ELEM_PER_WINDOW": taps if by_channel else taps * folds,
        "IS_DEPTHWISE": int(by_channel),
        **_ends(windows),
        **_counters([loop.count for loop in states], least="KH"),
        **_increments(heads, tails),
    }


def parallel_controller(windows: Windows) -> dict[str, int | str]:
    """Constants of the controller that puts out all of a window at a time.

    Returns:
        See `controller`.
    """
    rows, columns = _outer(windows)
    fold = _Loop(windows.folds, 1)
    nest = [rows, columns, fold]
    heads = [_increment(nest, level) for level in range(3)]
    high, wide = windows.reach
    window = ((high - 1) * windows.image[1] + wide - 1) * windows.folds + 1
    return {
        "BUF_ELEM_TOTAL": window + 1,
        "FIRST_WRITE_ELEM": window - 1,
        "IS_DEPTHWISE": 0,
        **_ends(windows),
        **_counters([*(loop.count for loop in nest), 1, 1], least="H"),
        **_increments([*heads, 1, 1], [0, 0, 0]),
    }


def _outer(windows: Windows) -> tuple[_Loop, _Loop]:
    """The loops over rows of windows, and over windows of a row."""
    (rows, columns), (down, right) = windows.count, windows.stride
    row = windows.image[1] * windows.folds
    return _Loop(rows, down * row), _Loop(columns, right * windows.folds)


def _increment(nest: list[_Loop], level: int) -> int:
    return nest[level].step - sum(loop.span for loop in nest[level + 1 :])


def _ends(windows: Windows) -> dict[str, int | str]:
    """The last words that are taken, and put out."""
    return {
        "LAST_READ_ELEM": windows.words - 1,
        "LAST_WRITE_ELEM": windows.words - windows.unused - 1,
    }


def _counters(counts: list[int], least: str) -> dict[str, int | str]:
    """The loops' counters: they run below 0, and that of the innermost loop that goes through more
    than one word starts one later, for its state is the first.

    Args:
        counts: of the loops H, W, KH, KW, SIMD.
        least: the loop that is innermost where no loop in it goes through more.
    """
    names = ["H", "W", "KH", "KW", "SIMD"]
    inner = [name for name, count in zip(names, counts, strict=True) if count > 1]
    state = max([least, *inner], key=names.index)
    times = [n - (name == state) for name, n in zip(names, counts, strict=True)]
    return {
        "INNERMOST_STATE": f"STATE_LOOP_{state}",
        "CNTR_BITWIDTH": math.ceil(math.log2(max(1, *(n - 1 for n in times)))),
        **{f"LOOP_{name}_ITERATIONS": n - 2 for name, n in zip(names, times, strict=True)},
    }


def _increments(heads: list[int], tails: list[int]) -> dict[str, int | str]:
    """What each state adds to the address of what is read, and of what is needed no more."""
    bits = 1 + math.ceil(math.log2(max(abs(step) + 1 for step in (*heads, *tails))))
    names = ("HEAD_INCR_H", "HEAD_INCR_W", "HEAD_INCR_KH", "HEAD_INCR_KW", "HEAD_INCR_SIMD")
    places = (*names, "TAIL_INCR_W", "TAIL_INCR_H", "TAIL_INCR_LAST")
    return {"INCR_BITWIDTH": bits, **dict(zip(places, (*heads, *tails), strict=True))}
