"""Windows that slide over an image: how many there are, what they read, how long it takes.

FINN's formula for their cycles is an estimate, and the windows of one frame do not overlap with
those of the next: so their controller is followed step by step (finn-rtllib/swg).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

# Rows of windows that are followed: each row takes as long as the one before long before these.
ROWS = 6


@dataclass(frozen=True)
class Windows:
    """Windows that are read from a buffer word by word.

    Attributes:
        image: height and width.
        kernel, stride, dilation: of each axis.
        folds: words of a pixel.
        depthwise: a window is read fold by fold, not position by position.
    """

    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    folds: int
    depthwise: bool

    @property
    def reach(self) -> tuple[int, int]:
        """Pixels that a window extends over, in each axis."""
        high, wide = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return high, wide

    @property
    def count(self) -> tuple[int, int]:
        """Windows in each axis."""
        rows, columns = (
            (n - r) // s + 1 for n, r, s in zip(self.image, self.reach, self.stride, strict=True)
        )
        return rows, columns

    @property
    def words(self) -> int:
        """Words of a frame."""
        return self.image[0] * self.image[1] * self.folds

    @property
    def unused(self) -> int:
        """Words after the last that a window holds."""
        (row, column), (high, wide) = (
            tuple((c - 1) * s for c, s in zip(self.count, self.stride, strict=True)),
            self.reach,
        )
        last = (row + high - 1) * self.image[1] + column + wide
        return self.words - last * self.folds

    @property
    def buffer(self) -> int:
        """Words of the buffer: as many as FINN chooses, or as many as the window skips at once,
        for its address wraps around no more than once at a time."""
        width, (high, wide) = self.image[1], self.reach
        positions = self.kernel[0] * self.kernel[1]
        spare = max(0, self.stride[1] - 1 - positions)
        spare += max(0, (self.stride[0] - 1) * width - positions)
        window = (high - 1) * width + wide
        unread = width - (self.count[1] - 1) * self.stride[1]
        to_right = abs((self.stride[1] - window) * self.folds + 1)
        to_below = abs((unread + (self.stride[0] - 1) * width - window) * self.folds + 1)
        return max((window + spare) * self.folds, to_right, to_below)

    def steps(self) -> Iterator[tuple[int, int]]:
        """For each word read: its place in the frame, and below which all may be overwritten."""
        width, folds = self.image[1], self.folds
        rows, columns = self.count
        offsets = [
            (y * self.dilation[0] * width + x * self.dilation[1]) * folds
            for y in range(self.kernel[0])
            for x in range(self.kernel[1])
        ]
        groups = (
            [[offset + fold for offset in offsets] for fold in range(folds)]
            if self.depthwise and folds > 1
            else [[offset + fold for offset in offsets for fold in range(folds)]]
        )
        free = 0
        for row in range(rows):
            for column in range(columns):
                start = (row * self.stride[0] * width + column * self.stride[1]) * folds
                for number, group in enumerate(groups):
                    for step, offset in enumerate(group):
                        yield start + offset, free
                        if step:
                            continue
                        if number < len(groups) - 1:
                            free += 1
                        else:
                            free = self._next_start(row, column)

    def _next_start(self, row: int, column: int) -> int:
        rows, columns = self.count
        width, folds = self.image[1], self.folds
        if column < columns - 1:
            return (row * self.stride[0] * width + (column + 1) * self.stride[1]) * folds
        if row < rows - 1:
            return (row + 1) * self.stride[0] * width * folds
        return self.words


@lru_cache(maxsize=4096)
def cycles_of_windows(windows: Windows) -> int:
    """Cycles from the first word of a frame to the first of the next."""
    rows, _ = windows.count
    if rows <= ROWS + 1:
        return _follow(windows)
    height, width = windows.image
    few, more = (
        _follow(replace(windows, image=(height - (rows - n) * windows.stride[0], width)))
        for n in (ROWS, ROWS + 1)
    )
    return more + (rows - ROWS - 1) * (more - few)


def _follow(windows: Windows) -> int:
    words, buffer = windows.words, windows.buffer
    now, taken = 0, 0  # the cycle, and words taken
    for word, free in windows.steps():
        while True:
            fetch = word < taken
            # A word may be taken when what it replaces is needed no more.
            if taken < words and taken - buffer < free and taken - buffer < word:
                taken += 1
            now += 1
            if fetch:
                break
    wrote = now  # the word fetched last goes out one cycle later
    read = now + words - taken - 1
    return max(wrote, read) + 1
