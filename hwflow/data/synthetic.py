"""Data that are made."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from hwflow.data import keywords, radio
from hwflow.data.dataset import Encoding, Split
from hwflow.data.loader import Loader, Samples
from hwflow.recipe import Synthetic


def load_synthetic(spec: Synthetic, seed: int, base: Path | None) -> Samples:
    """Spoken keywords, or radio signals."""
    everything, scale = _synthesized(spec.name, spec.samples, seed)
    return Samples(everything, None, Encoding(scale, 0.0, -128, 127))


# Steps of a build load the data again; making them takes longer than reading files.
@lru_cache(maxsize=1)
def _synthesized(name: str, samples: int, seed: int) -> tuple[Split, float]:
    if name == "synthetic_radio":
        return Split(*radio.radio_signals(samples, seed)), radio.SCALE
    return Split(*keywords.spoken_keywords(samples, seed)), keywords.SCALE


LOADER = Loader(Synthetic, load_synthetic)
