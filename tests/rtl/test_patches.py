"""Patches of FINN+'s RTL: each finds its place, and a file that is another one is refused."""

import pytest

from hwflow.errors import HwflowError
from hwflow.kernels.finn_library import rtl_library
from hwflow.rtl.patches import PATCHES, Patch, patched


def library_file(name):
    # FINN has a second gauge, for its virtual FIFOs, which hwflow does not use; in which order the
    # two are found is the file system's.
    (file,) = [f for f in rtl_library().rglob(name) if "fifo_virtual" not in f.parts]
    return file.read_text()


@pytest.mark.parametrize("file", sorted({patch.file for patch in PATCHES}))
def test_every_patch_fits_the_installed_release(finn, file):
    before = library_file(file)
    after = patched(file, before)
    assert after != before
    for patch in PATCHES:
        if patch.file == file:
            assert patch.old not in after or patch.old in patch.new


def test_other_files_are_left_as_they_are(finn):
    assert patched("dwc.sv", "anything") == "anything"


def test_a_file_that_is_not_the_one_patched_is_refused(finn):
    text = library_file("mvu_vvu_axi.sv")
    with pytest.raises(HwflowError, match=r"mvu_vvu_axi\.sv is not the file.*0 times, not 1"):
        patched("mvu_vvu_axi.sv", patched("mvu_vvu_axi.sv", text))
    with pytest.raises(HwflowError, match="occurs 2 times, not 1"):
        Patch("a.sv", "why", "x", "y").apply("x x")
