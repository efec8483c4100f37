"""The command line's small commands, and how it ends."""

import json
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from hwflow import cli
from hwflow.cli import doctor
from hwflow.config import shipped
from hwflow.errors import HwflowError
from hwflow.recipe.loading import load_recipe

# What takes long to import and no small command needs.
HEAVY = ("torch", "lightning", "brevitas", "finn", "qonnx", "onnx", "numpy", "pydantic", "rich")


def invoke(*args, code=0):
    result = CliRunner().invoke(cli.main, list(args))
    assert result.exit_code == code, result.output
    return result


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nsys.argv = ['hwflow', '--help']\nfrom hwflow.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "From a PyTorch network" in done.stdout
    assert "HEAVY []" in done.stdout


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("boards", ["pynq-z2", "kv260", "ulx3s-85f"]),
        ("recipes", ["digits-mlp", "mnist-tfc-w1a1"]),
        ("networks", ["mlp", "tfc", "sfc", "lfc"]),
        ("datasets", ["digits", "mnist", "fashion_mnist", "cifar10", "image_folder", "npz"]),
        ("kernels", ["label_select", "xnor_mvau"]),
    ],
)
def test_lists_are_tables_and_json(command, names):
    rows = json.loads(invoke(command, "--json").output)
    found = [row["name"] for row in rows]
    table = invoke(command).output
    for name in names:
        assert name in found
        assert name in table


def test_init_writes_a_recipe_that_loads_and_never_overwrites(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "hwflow build mine.yaml" in invoke("init", "mine").output
    loaded = load_recipe("mine.yaml")
    assert loaded.recipe.name == "mine"
    text = (tmp_path / "mine.yaml").read_text()
    assert "is there already" in invoke("init", "mine", code=2).output
    assert (tmp_path / "mine.yaml").read_text() == text


def test_the_schema_accepts_what_is_shipped():
    schema = json.loads(invoke("schema").output)
    for file in shipped.files("recipes").values():
        data = yaml.safe_load(file.read_text())
        assert set(data) <= set(schema["properties"])
    assert "bram18" in invoke("schema", "--board").output


def test_wrong_usage_is_code_2_with_one_error():
    for args in (("build",), ("build", "digits-mlp"), ("verify", "x", "--samples", "0"), ("bild",)):
        assert "Error" in invoke(*args, code=2).output
    output = invoke("report", "nowhere", code=2).output
    assert output.startswith("error: nowhere has no report")
    assert "help:" in output


def test_an_unforeseen_error_is_one_line_and_with_debug_a_traceback(monkeypatch):
    def broken():
        raise ZeroDivisionError("never thought of")

    monkeypatch.setattr("hwflow.board.load_boards", broken)
    output = invoke("boards", code=1).output
    assert "error: ZeroDivisionError: never thought of" in output
    result = CliRunner().invoke(cli.main, ["--debug", "boards"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_interruption_says_how_to_go_on(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("hwflow.board.load_boards", interrupted)
    assert "the same command goes on from here" in invoke("boards", code=130).output


def test_the_doctor_finds_what_is_here():
    tools = {tool.name: tool for tool in doctor.examine()}
    for name in ("torch", "finn-plus", "verilator", "pyosys", "g++", "make"):
        assert tools[name].state == "found"
    assert "found" in invoke("doctor").output


def test_the_doctor_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    output = invoke("doctor", code=1).output
    assert "missing: g++, make" in output
    assert "sudo apt-get install -y g++ make" in output


def test_errors_carry_a_hint_on_a_line_of_its_own():
    assert str(HwflowError("what", hint="do")) == "what\n  help: do"
