"""Networks of the user's that import what lies beside them, and which files they come from."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hwflow.errors import RequestError
from hwflow.networks.user_files import files_read
from tests.networks.test_networks import build

NET = """
import blocks

def net(shape, classes):
    return blocks.layers(shape, classes)
"""
BLOCKS = """
from torch import nn

WIDTH = {width}

def layers(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], WIDTH), nn.ReLU(),
                         nn.Linear(WIDTH, classes))
"""


def recipe_folder(folder, width=4, net=NET):
    folder.mkdir(exist_ok=True)
    (folder / "net.py").write_text(net)
    (folder / "blocks.py").write_text(BLOCKS.format(width=width))
    return folder


def width(folder, file="net.py"):
    return build(python=f"{file}:net", base=folder)[1].out_features


def test_a_changed_sibling_counts_in_the_same_process(tmp_path):
    folder = recipe_folder(tmp_path, 4)
    assert width(folder) == 4
    recipe_folder(tmp_path, 6)
    assert width(folder) == 6
    assert not list(tmp_path.rglob("__pycache__"))


def test_siblings_of_one_name_do_not_mix(tmp_path):
    one, other = recipe_folder(tmp_path / "one", 4), recipe_folder(tmp_path / "other", 6)
    assert [width(one), width(other), width(one)] == [4, 6, 4]


def test_a_sibling_comes_before_a_module_that_is_loaded_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "blocks", raising=False)
    monkeypatch.syspath_prepend(recipe_folder(tmp_path / "elsewhere", 9))
    import blocks  # type: ignore[import-not-found]

    assert blocks.WIDTH == 9
    assert width(recipe_folder(tmp_path / "recipe", 5)) == 5


def test_the_recipes_folder_is_importable_from_a_file_in_a_folder_of_it(tmp_path):
    recipe_folder(tmp_path, 7)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "deep.py").write_text(NET)
    assert width(tmp_path, "nets/deep.py") == 7


def test_what_forward_imports_is_found_anew(tmp_path):
    lazy = (
        "from torch import nn\n"
        "class Lazy(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        import late\n"
        "        return super().forward(x.flatten(1)) * late.SCALE\n"
        "def net(shape, classes):\n"
        "    return Lazy(shape[0] * shape[1] * shape[2], classes)\n"
    )
    recipe_folder(tmp_path, net=lazy)
    for scale in (2, 3):
        (tmp_path / "late.py").write_text(f"SCALE = {scale}\n")
        with files_read(tmp_path) as files:
            network = build(python="net.py:net", base=tmp_path)
        assert {file.name for file in files} == {"net.py", "late.py"}
        x = torch.ones(1, 784)
        torch.testing.assert_close(
            network(x), scale * torch.nn.functional.linear(x, network.weight, network.bias)
        )


READS = """
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from package import inner
from package.deep.inside import VALUE

HERE = Path(__file__).parent
SIZES = json.loads((HERE / "sizes.json").read_text())

def net(shape, classes):
    (HERE / "written.txt").write_text("no cause")
    open({elsewhere!r}).close()
    scales = np.load("scales.npy")
    weights = torch.load(HERE / "weights.pt")
    layer = nn.Linear(shape[0] * shape[1] * shape[2], classes)
    return nn.Sequential(nn.Flatten(), layer)
"""


def test_all_files_that_a_network_comes_from_are_known(tmp_path, monkeypatch):
    folder = tmp_path / "recipe"
    (folder / "package/deep").mkdir(parents=True)
    (folder / "package/__init__.py").write_text("")
    (folder / "package/inner.py").write_text("")
    (folder / "package/deep/inside.py").write_text("VALUE = 1\n")  # A namespace: no __init__.
    (folder / "unread.py").write_text("")
    (folder / "venv/lib/site-packages").mkdir(parents=True)
    (folder / "venv/lib/site-packages/other.py").write_text("")
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("not under the folder")
    (folder / "net.py").write_text(
        f"import sys\nsys.path.append({str(folder / 'venv/lib/site-packages')!r})\nimport other\n"
        + READS.format(elsewhere=str(elsewhere))
    )
    (folder / "sizes.json").write_text(json.dumps([1]))
    np.save(folder / "scales.npy", np.ones(3))
    torch.save({"w": torch.ones(2)}, folder / "weights.pt")
    monkeypatch.chdir(folder)
    expected = {
        *("net.py", "package/__init__.py", "package/inner.py", "package/deep/inside.py"),
        *("sizes.json", "scales.npy", "weights.pt"),
    }
    for _ in range(2):
        with files_read(folder) as files:
            build(python="net.py:net", base=folder)
        assert files == {folder / name for name in expected}


def test_of_two_networks_the_files_of_both_are_known(tmp_path):
    one, other = recipe_folder(tmp_path / "one", 4), recipe_folder(tmp_path / "other", 6)
    with files_read(tmp_path) as files:
        width(one)
        width(other)
    assert files == {folder / name for folder in (one, other) for name in ("net.py", "blocks.py")}


def test_a_file_outside_the_recipes_folder_counts_with_its_siblings(tmp_path):
    (tmp_path / "recipe").mkdir()
    shared = recipe_folder(tmp_path / "shared", 4)
    with files_read(tmp_path / "recipe") as files:
        assert width(tmp_path / "recipe", "../shared/net.py") == 4
    assert files == {shared / "net.py", shared / "blocks.py"}


def test_a_named_network_comes_from_no_file(tmp_path):
    recipe_folder(tmp_path)
    width(tmp_path)
    with files_read(tmp_path) as files:
        build(name="tfc", base=tmp_path)
    assert files == set()


def paths_of_others(folder):
    """Entries of `sys.path` that no test put there."""
    return [entry for entry in sys.path if not entry.startswith(str(folder.parent))]


@pytest.mark.parametrize(
    ("blocks", "says", "hint"),
    [
        ("import sys\nsys.exit(3)\n", r"blocks\.py:2: SystemExit: 3", "is called as"),
        ("\n1 / 0\n", r"blocks\.py:2: ZeroDivisionError", "is called as"),
        ("def (:\n", r"blocks\.py:1: SyntaxError", "is called as"),
        ("import nothing_so\n", r"blocks\.py:1: ModuleNotFoundError", "install it, or put it into"),
    ],
)
def test_an_error_in_a_sibling_is_of_its_file_and_line(tmp_path, blocks, says, hint):
    folder = recipe_folder(tmp_path)
    (folder / "blocks.py").write_text(blocks)
    entries, flag = paths_of_others(tmp_path), sys.dont_write_bytecode
    with pytest.raises(RequestError, match=says) as caught:
        width(folder)
    assert hint in caught.value.hint
    assert paths_of_others(tmp_path) == entries
    assert str(folder) in sys.path[len(entries) :]
    assert sys.dont_write_bytecode == flag


def test_an_exit_in_forward_is_an_error(tmp_path):
    exits = (
        "import sys\nfrom torch import nn\n"
        "class Exits(nn.Module):\n"
        "    def forward(self, x):\n"
        "        sys.exit(1)\n"
        "def net(shape, classes):\n"
        "    return Exits()\n"
    )
    with pytest.raises(RequestError, match="SystemExit"):
        width(recipe_folder(tmp_path, net=exits))


def test_weights_of_safetensors_are_followed(tmp_path):
    save_file({"1.weight": torch.ones(10, 784), "1.bias": torch.zeros(10)}, tmp_path / "pre.sft")
    text = """
from pathlib import Path

import safetensors.torch
from torch import nn

def net(shape, classes):
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, classes))
    network.load_state_dict(safetensors.torch.load_file(Path(__file__).parent / "pre.sft"))
    return network
"""
    (tmp_path / "net.py").write_text(text)
    with files_read(tmp_path) as files:
        build(python="net.py:net", base=tmp_path)
    assert files == {tmp_path / "net.py", tmp_path / "pre.sft"}
