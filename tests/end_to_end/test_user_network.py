"""A network of the user's in files beside the recipe, by the command line from elsewhere."""

from tests.networks.test_user_files import recipe_folder
from tests.support.command import run

RECIPE = """\
data: {name: digits}
network: {python: "net.py:net"}
stages:
  - {kind: train, epochs: 1, batch_size: 100}
"""


def test_a_sibling_of_the_network_is_imported_whatever_folder_the_command_runs_in(tmp_path):
    folder = recipe_folder(tmp_path / "recipe", 5)
    (folder / "net.yaml").write_text(RECIPE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "blocks.py").write_text("raise ImportError('the wrong one')\n")
    command = ("build", folder / "net.yaml", "--board", "pynq-z2", "--out", tmp_path / "run")
    done = run(*command, "--until", "01-train", cwd=elsewhere)
    assert done.code == 0, done.err
    assert done.steps("finished") == ["check", "01-train"]
    assert not list(folder.rglob("__pycache__"))
