"""Synthetic radio signals of 24 modulations: a stand-in for RadioML 2018.01A.

The classes and the form of a sample are those of O'Shea et al. 2018, section 4: 1,024 complex
baseband samples at 8 a symbol, root raised cosine pulses, a carrier that is off in phase and
frequency, and noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, hilbert

Complex = NDArray[np.complex128]
Random = np.random.Generator

LENGTH = 1024
# Samples a symbol, and symbols that a pulse reaches to either side.
SYMBOL, REACH = 8, 8
ROLL_OFF = (0.1, 0.4)
# Signal to noise, in dB; the carrier's offset, in cycles a sample.
NOISE = (10.0, 30.0)
OFFSET = 5e-4
# A code stands for 1/32 of the signal's root mean square.
SCALE = 1 / 32
# Cycles a sample that an analog message reaches up to.
MESSAGE = 0.05


def _amplitudes(levels: int) -> Complex:
    return np.arange(levels).astype(complex)


def _phases(count: int) -> Complex:
    points: Complex = np.exp(2j * np.pi * np.arange(count) / count)
    return points


def _rings(*counts: int) -> Complex:
    """Amplitude and phase shift keying: so many points on each ring, from the innermost."""
    return np.concatenate([(n + 1) * _phases(count) for n, count in enumerate(counts)])


def _square(side: int, corner: int = 0) -> Complex:
    """Quadrature amplitudes on a grid of `side`, without a square of `corner` at each corner."""
    steps = np.arange(side) - (side - 1) / 2
    real, imaginary = np.meshgrid(steps, steps)
    inner = np.minimum(side / 2 - np.abs(real), side / 2 - np.abs(imaginary))
    outer = np.maximum(side / 2 - np.abs(real), side / 2 - np.abs(imaginary))
    keep = (outer > corner) | (inner > corner)
    points: Complex = (real + 1j * imaginary)[keep].ravel()
    return points


_CONSTELLATIONS: dict[str, Complex] = {
    "OOK": _amplitudes(2),
    "4ASK": _amplitudes(4),
    "8ASK": _amplitudes(8),
    "BPSK": _phases(2),
    "QPSK": _phases(4),
    "8PSK": _phases(8),
    "16PSK": _phases(16),
    "32PSK": _phases(32),
    "16APSK": _rings(4, 12),
    "32APSK": _rings(4, 12, 16),
    "64APSK": _rings(4, 12, 20, 28),
    "128APSK": _rings(8, 16, 24, 32, 48),
    "16QAM": _square(4),
    "32QAM": _square(6, 1),
    "64QAM": _square(8),
    "128QAM": _square(12, 2),
    "256QAM": _square(16),
}


def _pulse(roll_off: float) -> NDArray[np.float64]:
    """Root raised cosine (Proakis, Digital Communications, section 9.2)."""
    t = np.arange(-REACH * SYMBOL, REACH * SYMBOL + 1) / SYMBOL
    t = np.where(np.isclose(np.abs(4 * roll_off * t), 1), t + 1e-6, np.where(t == 0, 1e-9, t))
    up = np.sin(np.pi * t * (1 - roll_off))
    up += 4 * roll_off * t * np.cos(np.pi * t * (1 + roll_off))
    return up / (np.pi * t * (1 - (4 * roll_off * t) ** 2))


def _keyed(points: Complex, random: Random) -> Complex:
    """Random symbols of a constellation, shaped, and cut out at any phase of a symbol."""
    count = LENGTH // SYMBOL + 4 * REACH
    impulses = np.zeros(count * SYMBOL, complex)
    impulses[::SYMBOL] = random.choice(points, count)
    shaped = fftconvolve(impulses, _pulse(random.uniform(*ROLL_OFF)), mode="same")
    start = 2 * REACH * SYMBOL + random.integers(SYMBOL)
    cut: Complex = shaped[start : start + LENGTH]
    return cut


def _offset_qpsk(random: Random) -> Complex:
    """QPSK whose imaginary part comes half a symbol later."""
    real, imaginary = (_keyed(_phases(2), random).real for _ in range(2))
    return real + 1j * np.roll(imaginary, SYMBOL // 2)


def _gmsk(random: Random) -> Complex:
    """Minimum shift keying behind a Gaussian filter of BT = 0.3."""
    count = LENGTH // SYMBOL + 8
    t = np.arange(-2 * SYMBOL, 2 * SYMBOL + 1) / SYMBOL
    gauss = np.exp(-2 * (np.pi * 0.3 * t) ** 2 / np.log(2))
    bits = np.repeat(random.choice([-1.0, 1.0], count), SYMBOL)
    frequency = np.convolve(bits, gauss / gauss.sum(), mode="same")
    phase = np.cumsum(frequency) * np.pi / (2 * SYMBOL)
    signal: Complex = np.exp(1j * phase[4 * SYMBOL :][:LENGTH])
    return signal


def _message(random: Random) -> NDArray[np.float64]:
    """An analog message: noise below `MESSAGE`, of greatest magnitude 1."""
    spectrum = np.fft.rfft(random.normal(size=LENGTH))
    spectrum[int(MESSAGE * LENGTH) :] = 0
    spectrum[0] = 0
    message = np.fft.irfft(spectrum, LENGTH)
    normalised: NDArray[np.float64] = message / np.abs(message).max()
    return normalised


def _double_sideband(random: Random, carrier: float) -> Complex:
    return (carrier + _message(random)).astype(complex)


def _single_sideband(random: Random, carrier: float) -> Complex:
    signal: Complex = carrier + hilbert(_message(random))
    return signal


def _fm(random: Random) -> Complex:
    phase = 2 * np.pi * np.cumsum(0.05 * _message(random))
    signal: Complex = np.exp(1j * phase)
    return signal


def _digital(points: Complex) -> Callable[[Random], Complex]:
    return lambda random: _keyed(points, random)


MODULATIONS: dict[str, Callable[[Random], Complex]] = {
    **{name: _digital(points) for name, points in _CONSTELLATIONS.items()},
    "AM-SSB-WC": lambda random: _single_sideband(random, 1.0),
    "AM-SSB-SC": lambda random: _single_sideband(random, 0.0),
    "AM-DSB-WC": lambda random: _double_sideband(random, 1.0),
    "AM-DSB-SC": lambda random: _double_sideband(random, 0.0),
    "FM": _fm,
    "GMSK": _gmsk,
    "OQPSK": _offset_qpsk,
}


def radio_signals(samples: int, seed: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Signals of all modulations in turn.

    Args:
        samples: how many.
        seed: of all that is random.

    Returns:
        Codes (N, 2, 1024), real and imaginary parts in units of `SCALE` of the root mean square,
        and the class (N,), in the order of `MODULATIONS`.
    """
    random = np.random.default_rng([seed, len(MODULATIONS)])
    labels = np.arange(samples) % len(MODULATIONS)
    makers = list(MODULATIONS.values())
    signals = np.stack([_received(makers[label](random), random) for label in labels])
    codes = np.stack([signals.real, signals.imag], axis=1) / SCALE
    return np.clip(np.rint(codes), -128, 127).astype(np.int8), labels.astype(np.int64)


def _received(signal: Complex, random: Random) -> Complex:
    """A signal of unit power through the channel, with noise, of unit power again."""
    signal = signal / np.sqrt(np.mean(np.abs(signal) ** 2))
    turns = random.uniform() + random.uniform(-OFFSET, OFFSET) * np.arange(LENGTH)
    noise = random.normal(size=(2, LENGTH)) * np.sqrt(0.5 * 10 ** (-random.uniform(*NOISE) / 10))
    received = signal * np.exp(2j * np.pi * turns) + noise[0] + 1j * noise[1]
    normalised: Complex = received / np.sqrt(np.mean(np.abs(received) ** 2))
    return normalised
