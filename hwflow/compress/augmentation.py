"""Random changes of training images that leave their class as it is."""

from __future__ import annotations

import torch

# Pixels that an image is shifted by at the most, each way (He et al. 2016, section 4.2).
SHIFT = 4
_PLACES = 2 * SHIFT + 1


def augmented(
    images: torch.Tensor, kind: str, generator: torch.Generator | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change images at random.

    Args:
        images: (B, C, H, W), or anything where `kind` is `none`.
        kind: `none`, `flip` (mirrored left to right, or not), or `crop_flip` (also shifted by up
            to `SHIFT` pixels each way; zeros move in).
        generator: of the choices.

    Returns:
        The images, and (B,) which variant each is: equal variants of a sample are equal images,
        and 0 is the image itself.
    """
    count = len(images)
    if kind == "none":
        return images, torch.zeros(count, dtype=torch.int64)
    mirrored = torch.randint(2, (count,), generator=generator)
    down = right = torch.zeros(count, dtype=torch.int64)
    if kind == "crop_flip":
        down, right = torch.randint(-SHIFT, SHIFT + 1, (2, count), generator=generator)
    variant = mirrored + 2 * ((down % _PLACES) * _PLACES + right % _PLACES)
    height, width = images.shape[-2:]
    columns = torch.arange(width)
    columns = torch.where(mirrored[:, None] == 1, width - 1 - columns, columns)
    padded = torch.nn.functional.pad(images, (SHIFT, SHIFT, SHIFT, SHIFT))
    rows = torch.arange(height) + SHIFT + down[:, None]
    columns = columns + SHIFT + right[:, None]
    batch = torch.arange(count)[:, None, None]
    changed = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    return changed.permute(0, 3, 1, 2).contiguous(), variant
