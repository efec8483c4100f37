"""Augmentation: images move and mirror, and a variant's number says which image it is."""

import pytest
import torch

from hwflow.compress.augmentation import SHIFT, augmented


def generator():
    return torch.Generator().manual_seed(0)


def test_equal_variants_are_equal_images_and_zero_is_the_image_itself():
    image = torch.rand(1, 2, 12, 9)
    changed, variant = augmented(image.expand(2000, -1, -1, -1), "crop_flip", generator())
    assert len(variant.unique()) == 2 * (2 * SHIFT + 1) ** 2
    for number in variant.unique():
        group = changed[variant == number]
        assert torch.equal(group, group[:1].expand_as(group))
    assert torch.equal(changed[variant == 0][0], image[0])
    assert len(changed.flatten(1).unique(dim=0)) == len(variant.unique())


@pytest.mark.parametrize(("kind", "count"), [("none", 1), ("flip", 2)])
def test_flips_alone_give_two_images(kind, count):
    image = torch.rand(1, 1, 6, 6)
    changed, variant = augmented(image.expand(50, -1, -1, -1), kind, generator())
    assert len(variant.unique()) == count
    assert torch.equal(changed[variant == 0][0], image[0])
    if kind == "flip":
        assert torch.equal(changed[variant == 1][0], image[0].flip(-1))


def test_a_shift_moves_pixels_and_lets_zeros_in():
    image = torch.ones(1, 1, 12, 12)
    changed, _ = augmented(image.expand(500, -1, -1, -1), "crop_flip", generator())
    assert changed.flatten(1).sum(1).min() == (12 - SHIFT) ** 2
    assert set(changed.unique().tolist()) == {0.0, 1.0}
