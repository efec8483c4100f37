"""Data sets: splits are disjoint and fixed, damaged files are named."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from hwflow.data import load
from hwflow.errors import RequestError
from hwflow.recipe import DataSpec


def spec(**fields):
    return TypeAdapter(DataSpec).validate_python(fields)


def rows(split):
    return {inputs.tobytes() for inputs in split.inputs}


def parts(data):
    return data.train, data.validation, data.test


def test_digits_are_divided_into_disjoint_parts_that_are_all_of_it():
    data = load(spec(name="digits"), seed=3)
    assert sum(map(len, parts(data))) == 1797
    assert (data.shape, data.classes) == ((1, 8, 8), 10)
    seen = [rows(part) for part in parts(data)]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_the_seed_and_nothing_else_decides_the_splits():
    first, again, other = (load(spec(name="digits"), seed) for seed in (3, 3, 4))
    for a, b in zip(parts(first), parts(again), strict=True):
        assert np.array_equal(a.inputs, b.inputs)
        assert np.array_equal(a.labels, b.labels)
    assert not np.array_equal(first.test.inputs, other.test.inputs)


def test_fractions_are_taken():
    data = load(spec(name="digits", test=0.5, validation=0.25), seed=0)
    assert [len(part) for part in parts(data)] == [674, 225, 898]


# ---------------------------------------------------------------------------------------- mnist


def idx(values):
    """A file of MNIST's format (LeCun): magic number, sizes, bytes."""
    head = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


@pytest.fixture
def mnist(tmp_path):
    """A folder as torchvision leaves it, with 60 + 20 images of noise."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, count in (("train", 60), ("t10k", 20)):
        images = random.integers(0, 256, (count, 28, 28))
        (raw / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(idx(np.arange(count) % 10))
    return tmp_path


def test_mnist_keeps_its_own_test_split(mnist):
    data = load(spec(name="mnist", root=str(mnist)), seed=1)
    assert [len(part) for part in parts(data)] == [54, 6, 20]
    assert data.test.inputs.dtype == np.uint8
    assert data.shape == (1, 28, 28)
    assert data.floats(data.test).max() <= 1.0


def test_the_environment_names_the_default_folder(mnist, monkeypatch):
    monkeypatch.setenv("HWFLOW_DATA", str(mnist))
    assert load(spec(name="mnist"), seed=1).classes == 10


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_missing_files_are_named_with_what_to_do(tmp_path, name):
    with pytest.raises(RequestError) as caught:
        load(spec(name=name, root=str(tmp_path)), seed=0)
    assert str(tmp_path) in str(caught.value)
    assert "data.download=true" in str(caught.value)


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_file_cut_short_is_named(mnist, file):
    path = mnist / "MNIST" / "raw" / file
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(RequestError, match="damaged or cut short"):
        load(spec(name="mnist", root=str(mnist)), seed=0)


def test_a_damaged_archive_is_named(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    packed = gzip.compress(idx(np.zeros((60, 28, 28), np.uint8)))
    (raw / "train-images-idx3-ubyte.gz").write_bytes(packed[:20])
    with pytest.raises(RequestError, match="mnist"):
        load(spec(name="mnist", root=str(tmp_path)), seed=0)


# ---------------------------------------------------------------------------------- image_folder


@pytest.fixture
def images(tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for kind in ("cat", "dog"):
            folder = tmp_path / part / kind
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (6, 5, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path


def test_images_are_read_as_they_are_resized_or_made_grey(images):
    plain = load(spec(name="image_folder", root=str(images)), seed=0)
    assert plain.shape == (3, 6, 5)
    assert [len(part) for part in parts(plain)] == [22, 2, 8]
    small = load(spec(name="image_folder", root=str(images), size=[4, 4], grey=True), seed=0)
    assert small.shape == (1, 4, 4)


def test_images_of_different_sizes_need_a_size(images):
    Image.new("RGB", (9, 9)).save(images / "train" / "cat" / "odd.png")
    with pytest.raises(RequestError, match=r"data\.size"):
        load(spec(name="image_folder", root=str(images)), seed=0)


def test_an_unreadable_image_is_named(images):
    (images / "test" / "dog" / "1.png").write_bytes(b"no image")
    with pytest.raises(RequestError, match=r"1\.png"):
        load(spec(name="image_folder", root=str(images)), seed=0)


def test_a_folder_without_images_is_named(tmp_path):
    with pytest.raises(RequestError, match="train"):
        load(spec(name="image_folder", root=str(tmp_path)), seed=0)


# ------------------------------------------------------------------------------------------- npz


def save(path, **arrays):
    np.savez(path, **arrays)
    return load(spec(name="npz", file=path.name), 0, path.parent)


def test_an_npz_of_integers_keeps_them(tmp_path):
    x = np.arange(400).reshape(100, 4) % 7
    data = save(tmp_path / "a.npz", x=x, y=np.arange(100) % 3)
    assert (data.encoding.minimum, data.encoding.maximum) == (0, 6)
    assert [len(part) for part in parts(data)] == [72, 8, 20]


def test_an_npz_of_real_numbers_has_no_encoding(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 4))
    data = save(tmp_path / "a.npz", x=x, y=np.arange(50) % 2, x_test=x[:5], y_test=np.ones(5, int))
    assert data.encoding is None
    assert len(data.test) == 5


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": np.zeros((4, 2))}, "no array 'y'"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3, int)}, "has shape"),
        ({"x": np.zeros((9, 2)), "y": np.full(9, 0.5)}, "no class numbers"),
        ({"x": np.full((9, 2), np.nan), "y": np.zeros(9, int)}, "not finite"),
        ({"x": np.zeros((1, 2)), "y": np.zeros(1, int)}, "can't be divided"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, arrays, says):
    with pytest.raises(RequestError, match=says):
        save(tmp_path / "a.npz", **arrays)


def test_a_missing_or_cut_npz_is_named(tmp_path):
    with pytest.raises(RequestError, match="no such file"):
        load(spec(name="npz", file="none.npz"), 0, tmp_path)
    np.savez(tmp_path / "a.npz", x=np.zeros((9, 2)), y=np.zeros(9, int))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RequestError, match=r"no whole \.npz"):
        load(spec(name="npz", file="a.npz"), 0, tmp_path)
