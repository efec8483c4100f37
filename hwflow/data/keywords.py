"""Synthetic spoken keywords: a stand-in for Google's Speech Commands (Warden 2018).

A sample has the features that keyword spotters take (Zhang et al. 2017, section 2.2): 10 mel
frequency cepstral coefficients of 49 frames, one every 20 ms. They come from a model of speech, not
from recordings: each word is a row of phonemes, a phoneme is its formants (Peterson & Barney 1952,
table 2) or a band of noise, and speakers differ in the length of their vocal tract and in tempo.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

Float = NDArray[np.float64]
Random = np.random.Generator

FRAMES, COEFFICIENTS, BANDS = 49, 10, 40
# Hz: ends of the mel scale, and width of a formant.
LOW, HIGH, WIDTH = 20.0, 8000.0, 120.0
# Frames that a word lasts; relative change of formants between speakers; floor of the energies.
LENGTHS, SPEAKERS, FLOOR = (18, 36), 0.06, 1e-3
# What a code stands for, of a coefficient's unit.
SCALE = 0.15


@dataclass(frozen=True)
class Phoneme:
    """A sound: formants in Hz, or the middle and width of a band of noise; loudness; duration."""

    formants: tuple[float, ...] = ()
    noise: tuple[float, float] | None = None
    loudness: float = 1.0
    duration: float = 1.0


PHONEMES = {
    "IY": Phoneme((270, 2290, 3010), duration=2),
    "IH": Phoneme((390, 1990, 2550), duration=1.5),
    "EH": Phoneme((530, 1840, 2480), duration=2),
    "AH": Phoneme((640, 1190, 2390), duration=2),
    "AA": Phoneme((730, 1090, 2440), duration=2),
    "AO": Phoneme((570, 840, 2410), duration=2),
    "UH": Phoneme((440, 1020, 2240), duration=1.5),
    "UW": Phoneme((300, 870, 2240), duration=1.5),
    "Y": Phoneme((270, 2290, 3010), loudness=0.4),
    "L": Phoneme((360, 1300, 2700), loudness=0.4),
    "R": Phoneme((310, 1060, 1380), loudness=0.4),
    "N": Phoneme((250, 1700, 2600), loudness=0.25),
    "S": Phoneme(noise=(6000, 1200), loudness=0.3, duration=1.5),
    "F": Phoneme(noise=(4500, 3000), loudness=0.1, duration=1.2),
    "T": Phoneme(noise=(4000, 1500), loudness=0.3, duration=0.5),
    "D": Phoneme(noise=(3300, 1500), loudness=0.2, duration=0.5),
    "P": Phoneme(noise=(900, 900), loudness=0.2, duration=0.5),
    "G": Phoneme(noise=(2000, 900), loudness=0.2, duration=0.5),
    "-": Phoneme(loudness=0.0, duration=0.6),
}
WORDS = {
    "yes": "Y EH S",
    "no": "N AO UW",
    "up": "AH - P",
    "down": "- D AA UH N",
    "left": "L EH F - T",
    "right": "R AA IH - T",
    "on": "AA N",
    "off": "AO F",
    "stop": "S - T AA - P",
    "go": "- G AO UW",
}
CLASSES = (*WORDS, "unknown", "silence")


def spoken_keywords(samples: int, seed: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Features of all classes in turn: ten words, other words, and silence.

    Args:
        samples: how many.
        seed: of all that is random.

    Returns:
        Codes (N, 490), frame by frame, in units of `SCALE`, and the class (N,), in the order of
        `CLASSES`.
    """
    random = np.random.default_rng([seed, len(CLASSES)])
    labels = np.arange(samples) % len(CLASSES)
    energies = np.stack([_energies(CLASSES[label], random) for label in labels])
    coefficients = dct(np.log(energies), axis=-1, norm="ortho")[..., :COEFFICIENTS]
    # The first is the loudness of all bands: its mean over frames says nothing of the word.
    coefficients[..., 0] -= coefficients[..., 0].mean(axis=1, keepdims=True)
    codes = np.clip(np.rint(coefficients / SCALE), -128, 127).astype(np.int8)
    return codes.reshape(samples, -1), labels.astype(np.int64)


def _energies(name: str, random: Random) -> Float:
    """Mel band energies (FRAMES, BANDS) of a spoken word in a quiet or a noisy room."""
    room = FLOOR * 10 ** random.uniform(0, 1.5) * random.lognormal(0, 0.3, BANDS)
    energies = np.tile(room, (FRAMES, 1))
    if name != "silence":
        spoken = _spoken(_phonemes(name, random), random)
        start = random.integers(FRAMES - len(spoken) + 1)
        energies[start : start + len(spoken)] += spoken
    return energies * random.lognormal(0, 0.25, energies.shape)


def _phonemes(name: str, random: Random) -> list[Phoneme]:
    if name in WORDS:
        return [PHONEMES[sound] for sound in WORDS[name].split()]
    sounds = list(PHONEMES)
    while True:
        word = " ".join(random.choice(sounds, random.integers(3, 6)))
        if word not in WORDS.values() and any(PHONEMES[s].formants for s in word.split()):
            return [PHONEMES[sound] for sound in word.split()]


def _spoken(phonemes: list[Phoneme], random: Random) -> Float:
    """Band energies (frames, BANDS); sounds glide into each other."""
    durations = np.array([p.duration for p in phonemes])
    durations = durations * random.lognormal(0, 0.15, len(phonemes))
    frames = int(random.integers(*LENGTHS))
    ends = np.cumsum(durations) / durations.sum() * frames
    middles = ends - np.diff(ends, prepend=0) / 2
    tract, loud = 1 + random.normal(0, SPEAKERS), 10 ** random.uniform(-0.5, 0.5)
    spectra = np.stack([_spectrum(p, tract) for p in phonemes])
    places = np.interp(np.arange(frames) + 0.5, middles, np.arange(len(middles)))
    before = np.minimum(places.astype(int), max(len(middles) - 2, 0))
    share = (places - before)[:, None]
    log = np.log(spectra + FLOOR)
    after = np.minimum(before + 1, len(middles) - 1)
    energies: Float = loud * np.exp((1 - share) * log[before] + share * log[after])
    return energies


def _spectrum(phoneme: Phoneme, tract: float) -> Float:
    """Band energies (BANDS,) of a sound from a vocal tract of some relative shortness."""
    frequencies = _band_frequencies()
    if phoneme.noise is not None:
        middle, width = phoneme.noise
        return phoneme.loudness * np.exp(-(((frequencies - middle) / width) ** 2))
    total = np.zeros(BANDS)
    for number, formant in enumerate(phoneme.formants):
        total += 0.5**number / (1 + ((frequencies - tract * formant) / WIDTH) ** 2)
    return phoneme.loudness * total


@cache
def _band_frequencies() -> Float:
    """Middles in Hz of bands that are equally wide in mel (O'Shaughnessy 1987, section 4.2)."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (LOW, HIGH))
    mel = np.linspace(low, high, BANDS + 2)[1:-1]
    return 700 * (10 ** (mel / 2595) - 1)
