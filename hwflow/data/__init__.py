"""Data sets, a module each kind: digits (embedded), MNIST, Fashion-MNIST, CIFAR-10, image folders,
.npz files, synthetic ones, and those of installed packages."""

from hwflow.data.dataset import Dataset, Encoding, Split
from hwflow.data.load import load
from hwflow.data.loader import LOADERS, Loader, Samples

__all__ = ["LOADERS", "Dataset", "Encoding", "Loader", "Samples", "Split", "load"]
