"""Data sets: digits (embedded), MNIST, Fashion-MNIST, CIFAR-10, image folders, .npz files, and
synthetic ones."""

from hwflow.data.dataset import Dataset, Encoding, Split
from hwflow.data.load import load

__all__ = ["Dataset", "Encoding", "Split", "load"]
