"""Options of MobileNet."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwflow.recipe.network import Network


class MobileNet(Network):
    """MobileNet v1: depthwise separable convolutions (Howard et al. 2017)."""

    name: Literal["mobilenet_v1"]
    width: float = Field(
        1.0, gt=0, le=4, description="Channels, as a multiple of the published ones."
    )


SCHEMA = MobileNet
