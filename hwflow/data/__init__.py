"""Data sets: digits (embedded), MNIST, Fashion-MNIST, CIFAR-10, image folders and .npz files."""

from hwflow.data.dataset import Dataset, Encoding, Split
from hwflow.data.load import load

# What `hwflow datasets` lists: name and a line about it.
DATASETS = {
    "digits": "scikit-learn's 1,797 digits of 8 x 8 pixels, embedded",
    "mnist": "60,000 + 10,000 digits of 28 x 28 pixels (torchvision)",
    "fashion_mnist": "60,000 + 10,000 garments of 28 x 28 pixels (torchvision)",
    "cifar10": "50,000 + 10,000 colour images of 32 x 32 pixels (torchvision)",
    "image_folder": "images in root/train/<class>/ and root/test/<class>/",
    "npz": "arrays x, y (and x_test, y_test) of a NumPy file",
}

__all__ = ["DATASETS", "Dataset", "Encoding", "Split", "load"]
