"""The command line: parse, call the library, print."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hwflow import __version__
from hwflow.errors import HwflowError, RequestError

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
PIPED_WIDTH = 160  # columns of a table that no terminal limits


class _Cli(click.Group):
    """Turns errors into one paragraph and an exit code; a traceback only with --debug."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.params["debug"]:
                raise
            click.echo("interrupted; the same command goes on from here", err=True)
            ctx.exit(INTERRUPTED)
        except HwflowError as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except Exception as error:
            if ctx.params["debug"]:
                raise
            click.echo(
                f"error: {type(error).__name__}: {error}\n"
                "  help: this is a defect of hwflow; `hwflow --debug ...` shows where",
                err=True,
            )
            ctx.exit(1)


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hwflow")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """From a PyTorch network and an FPGA board to a verified accelerator."""


def _console() -> Console:
    """Standard output, as it is now: a build redirects it."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(file=sys.stdout, highlight=False, width=width)


_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@main.command()
@click.argument("recipe", metavar="RECIPE|MODEL.onnx")
@click.option("--board", required=True, metavar="NAME|FILE", help="Board to build for.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run directory.  [default: runs/<recipe>-<board>]",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Verify a model on its array `inputs` (and `labels`).",
)
@click.option("--until", metavar="STEP", help="Stop after this step.")
@click.option("--force", is_flag=True, help="Do all steps again.")
@_as_json
def build(
    recipe: str,
    board: str,
    out: Path | None,
    overrides: Sequence[str],
    inputs: Path | None,
    until: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Build an accelerator from RECIPE (a file, or the name of a shipped recipe) and verify it.

    Of MODEL.onnx, a quantized classifier in QONNX or QCDQ, the build is that of a recipe with
    nothing but `model: {qonnx: MODEL.onnx}`: the accelerator takes the codes of the file's first
    quantizer (or --set 'model.input={minimum: 0, maximum: 255, bits: 8}'), folding is minimal (or
    --set hardware.target_fps=N), and 256 random inputs over the range of the input verify it (or
    --inputs, or --set data.name=...). A dynamic batch dimension is fixed by --set model.batch=N,
    other unknown sizes by --set 'model.shape=[3, 32, 32]'.

    The same command continues a build that was interrupted, and repeats only what changed.
    """
    from hwflow.build.plan import plan
    from hwflow.build.request import prepare
    from hwflow.build.session import run_build
    from hwflow.cli.progress import Progress
    from hwflow.report.terminal import summary

    request = prepare(recipe, board, out, overrides, inputs)
    console = _console()
    names = [step.name for step in plan(request)]
    if until in names:
        names = names[: names.index(until) + 1]
    with Progress(names) as progress:
        report = run_build(request, until=until, force=force, on_event=progress)
    if as_json:
        click.echo(report.json_text(), nl=False)
        return
    console.print(summary(report), soft_wrap=True)
    console.print(f"report     {request.run_dir / 'report.html'}", soft_wrap=True)


@main.command()
@click.argument("recipe", metavar="RECIPE|MODEL.onnx")
@click.option("--board", required=True, metavar="NAME|FILE", help="Board to check for.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@_as_json
def check(recipe: str, board: str, overrides: Sequence[str], as_json: bool) -> None:
    """Say what the build of RECIPE would be, before any training, and leave nothing behind.

    The untrained network goes all the way to folded hardware layers, whose resources are estimated:
    what a build would refuse later is refused here. Layers have the names that folding files take.
    """
    from hwflow.build.checking import check_alone, check_fits
    from hwflow.build.request import prepare
    from hwflow.cli.check_table import table

    console = _console()
    request = prepare(recipe, board, overrides=overrides)
    outcome = check_alone(request.recipe, request.board, request.loaded.base)
    if as_json:
        click.echo(outcome.model_dump_json(indent=1))
    else:
        console.print(table(outcome), soft_wrap=True)
    check_fits(outcome, request.board)


class _Samples(click.ParamType[Any]):
    name = "N|all"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | Literal["all"]:
        if value == "all":
            return "all"
        if not str(value).isdigit() or int(value) < 1:
            self.fail(f"{value!r} is neither a positive number nor `all`", param, ctx)
        return int(value)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--samples", type=_Samples(), help="Test frames for the RTL.  [default: the recipe's]"
)
@click.option(
    "--on",
    type=click.Choice(["emulator", "rtl"]),
    default="rtl",
    show_default=True,
    help="How far to go.",
)
@click.option(
    "--waveform",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Record the RTL's signals without stalls in this VCD file.",
)
@click.option(
    "--window",
    type=(click.IntRange(0), click.IntRange(1)),
    default=(0, 10_000),
    show_default=True,
    metavar="FIRST CYCLES",
    help="Cycles of the waveform.",
)
@_as_json
def verify(
    run: Path,
    samples: Any,
    on: Any,
    waveform: Path | None,
    window: tuple[int, int],
    as_json: bool,
) -> None:
    """Compare software, emulator and RTL of the finished build in RUN again."""
    from hwflow.build.session import verify_run
    from hwflow.cli.progress import Progress
    from hwflow.report.terminal import summary
    from hwflow.simulate import Waveform

    console = _console()
    wave = Waveform(waveform.resolve(), *window) if waveform is not None else None
    with Progress(["verify"]) as progress:
        report = verify_run(run, samples=samples, on=on, waveform=wave, on_event=progress)
    if as_json:
        click.echo(report.json_text(), nl=False)
    else:
        console.print(summary(report), soft_wrap=True)


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format", "style", type=click.Choice(["html", "md", "csv", "json"]), help="Other than text."
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write.")
def report(runs: tuple[Path, ...], style: str | None, output: Path | None) -> None:
    """Show the report of a run, or compare several."""
    from hwflow.engine.artifacts import write_whole
    from hwflow.report import FORMATS, load_report
    from hwflow.report.terminal import summary

    reports = [load_report(run) for run in runs]
    if style is None and output is None:
        for run_report in reports:
            _console().print(summary(run_report), soft_wrap=True)
        return
    suffix = style or (output.suffix.removeprefix(".") if output else "")
    if suffix not in FORMATS:
        raise RequestError(
            f"{output}: {suffix or 'no'} format of reports", hint=f"formats: {', '.join(FORMATS)}"
        )
    text = FORMATS[suffix](reports)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_whole(output, text.encode())
    except OSError as error:
        raise RequestError(f"{output}: {error.strerror}", hint="choose another --output") from error


Row = dict[str, Any]


def _list(rows: Sequence[Row], as_json: bool) -> None:
    """Print rows that share their keys."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=1))
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    *_, last = rows[0]
    for key, value in rows[0].items():
        side: Literal["left", "right"] = "right" if isinstance(value, int | float) else "left"
        table.add_column(key, justify=side, no_wrap=key != last)
    for row in rows:
        table.add_row(*[f"{v:,g}" if isinstance(v, float) else _cell(v) for v in row.values()])
    _console().print(table)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


@main.command()
@_as_json
def boards(as_json: bool) -> None:
    """List the boards that can be named."""
    from hwflow.board import load_boards

    _list(
        [
            {
                "name": board.name,
                "family": board.family,
                "part": board.part,
                **board.resources.model_dump(),
                "clock_mhz": board.clock_mhz,
                "title": board.title,
            }
            for board in load_boards()
        ],
        as_json,
    )


@main.command()
@_as_json
def recipes(as_json: bool) -> None:
    """List the recipes that can be named."""
    from hwflow.config import shipped
    from hwflow.recipe.loading import load_recipe

    rows = []
    for name, file in shipped.files("recipes").items():
        recipe = load_recipe(name).recipe
        rows.append(
            {
                "name": name,
                "data": recipe.data.name if recipe.data else "",
                "network": recipe.network.called if recipe.network else "",
                "stages": ", ".join(stage.kind for stage in recipe.stages),
                "file": str(file),
            }
        )
    _list(rows, as_json)


@main.command()
@_as_json
def networks(as_json: bool) -> None:
    """List the networks that a recipe can name."""
    from hwflow.recipe import NETWORKS

    _list(_described(list(NETWORKS)), as_json)


@main.command()
@_as_json
def datasets(as_json: bool) -> None:
    """List the data sets that a recipe can name."""
    from hwflow.recipe import DATASETS

    _list(_described(list(DATASETS)), as_json)


def _described(models: Sequence[Any]) -> list[Row]:
    """What the models of a union are called and what they say of themselves; one without a name
    is told by its first key."""
    from hwflow.config.union import names

    rows = []
    for model in models:
        fields = list(model.model_fields)
        told_by = "name" if "name" in fields else fields[0]
        for value in names(model, "name"):
            options = [field for field in fields if field != told_by]
            rows.append(
                {
                    "name": value,
                    "options": ", ".join(options),
                    "what it is": " ".join((model.__doc__ or "").split()),
                }
            )
    return rows


@main.command()
@_as_json
def kernels(as_json: bool) -> None:
    """List the hardware layers: hwflow's own RTL kernels, FINN+'s, and others'."""
    from hwflow.dataflow.finn_setup import prepare_finn
    from hwflow.kernels.catalogue import hardware_layers

    prepare_finn()
    rows = [
        {
            "name": layer.KERNEL,
            "of": layer.origin(),
            "op": name,
            "cycles": layer.RATE,
            "summary": layer.SUMMARY,
        }
        for name, layer in hardware_layers().items()
    ]
    _list(rows, as_json)


@main.command()
@click.argument("name")
def init(name: str) -> None:
    """Write a commented starter recipe, NAME.yaml."""
    target = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    text = Path(__file__).with_name("starter.yaml").read_text()
    try:
        with target.open("x") as file:
            file.write(text.replace("THIS_FILE", str(target)))
    except FileExistsError:
        raise RequestError(f"{target} is there already", hint="choose another name") from None
    except OSError as error:
        raise RequestError(f"{target}: {error.strerror}", hint="choose another place") from error
    click.echo(f"{target} written; build it: hwflow build {target} --board pynq-z2")


@main.command()
@click.option("--board", "of_board", is_flag=True, help="Of board files instead of recipes.")
def schema(of_board: bool) -> None:
    """Print the JSON schema of recipes, for editors."""
    from hwflow.board import Board
    from hwflow.recipe import Recipe

    model: Any = Board if of_board else Recipe
    click.echo(json.dumps(model.model_json_schema(), indent=1))


@main.command()
@_as_json
def doctor(as_json: bool) -> None:
    """Say which tools are there, and how to get those that are not."""
    from dataclasses import asdict

    from hwflow.cli.doctor import examine

    tools = examine()
    rows: list[Row] = []
    for tool in tools:
        if as_json:
            rows.append({**asdict(tool), "state": tool.state})
        else:
            remedy = "" if tool.version else tool.remedy
            rows.append(
                {
                    "tool": tool.name,
                    "": tool.state,
                    "version": tool.version or "",
                    "enables": tool.enables,
                    "how to get it": remedy,
                }
            )
    _list(rows, as_json)
    missing = [tool for tool in tools if tool.state == "missing"]
    if missing:
        names = ", ".join(tool.name for tool in missing)
        remedies = "; ".join(dict.fromkeys(tool.remedy for tool in missing))
        raise HwflowError(f"missing: {names}", hint=remedies)
