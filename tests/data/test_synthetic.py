"""Synthetic stand-ins: fixed by the seed, balanced, and what they claim to be."""

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.linear_model import RidgeClassifier

from hwflow.data import load
from hwflow.data.keywords import CLASSES, spoken_keywords
from hwflow.data.radio import _CONSTELLATIONS, LENGTH, MODULATIONS, SCALE, radio_signals
from hwflow.recipe import DataSpec


def spec(**fields):
    return TypeAdapter(DataSpec).validate_python(fields)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("synthetic_keywords", (490,), 12), ("synthetic_radio", (2, 1024), 24)],
)
def test_splits_are_disjoint_and_fixed_by_the_seed(name, shape, classes):
    first, again, other = (load(spec(name=name, samples=240), seed) for seed in (3, 3, 4))
    assert (first.name, first.shape, first.classes) == (name, shape, classes)
    assert np.array_equal(first.test.inputs, again.test.inputs)
    assert not np.array_equal(first.test.inputs, other.test.inputs)
    parts = [{x.tobytes() for x in s.inputs} for s in (first.train, first.validation, first.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 240
    assert first.encoding.minimum == -128
    assert first.encoding.maximum == 127


def test_keywords_can_be_told_apart_but_not_by_loudness_alone():
    x, y = spoken_keywords(2400, 1)
    assert np.bincount(y).tolist() == [200] * len(CLASSES)
    features = x.reshape(len(x), 49, 10) / 40
    scores = []
    for part in (features[..., :1], features):
        flat = part.reshape(len(part), -1)
        model = RidgeClassifier(alpha=10).fit(flat[:1800], y[:1800])
        scores.append(model.score(flat[1800:], y[1800:]))
    assert scores[1] > 0.75
    assert scores[0] < scores[1] - 0.2


def test_constellations_have_as_many_points_as_their_names_say():
    for name, points in _CONSTELLATIONS.items():
        digits = "".join(c for c in name if c.isdigit())
        wanted = int(digits) if digits else {"OOK": 2, "BPSK": 2, "QPSK": 4}[name]
        assert len(np.unique(np.round(points, 9))) == len(points) == wanted


def test_signals_have_unit_power_and_the_band_of_their_modulation():
    codes, labels = radio_signals(10 * len(MODULATIONS), 1)
    signals = (codes[:, 0] + 1j * codes[:, 1]) * SCALE
    assert np.allclose((np.abs(signals) ** 2).mean(axis=1), 1, atol=0.02)
    spectra = np.abs(np.fft.fft(signals, axis=1)) ** 2
    frequencies = np.abs(np.fft.fftfreq(LENGTH))
    # Pulses of a root raised cosine reach to (1 + roll-off) / 2 symbols' rate, 1/8 a sample.
    inside = spectra[:, frequencies < 0.09].sum(axis=1) / spectra.sum(axis=1)
    names = list(MODULATIONS)
    for label in range(len(MODULATIONS)):
        assert np.median(inside[labels == label]) > 0.9, names[label]


def test_phase_keying_has_one_amplitude_and_quadrature_many():
    """At the symbols' middles, behind the matched filter's half that the sender has."""
    codes, labels = radio_signals(20 * len(MODULATIONS), 2)
    power = (codes.astype(float) ** 2).sum(axis=1)
    spread = power.std(axis=1) / power.mean(axis=1)
    names = list(MODULATIONS)
    means = {name: spread[labels == names.index(name)].mean() for name in names}
    assert means["GMSK"] < means["QPSK"] < means["256QAM"]
    assert means["FM"] < 0.3 < means["OOK"]
