"""Options of plain convolutional networks."""

from __future__ import annotations

from typing import Literal

from hwflow.recipe.network import Network


class Convolutional(Network):
    """Plain convolutional networks of the literature: cnn5 (the student of distillation papers),
    cnv (BNN-PYNQ), vgg10_1d (radio signals)."""

    name: Literal["cnn5", "cnv", "vgg10_1d"]


SCHEMA = Convolutional
