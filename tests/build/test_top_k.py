"""How many classes an accelerator gives: as the recipe or a model file says."""

from types import SimpleNamespace

import pytest

from hwflow.build.top_k import check_chosen, check_top_k, choosing
from hwflow.errors import RequestError
from hwflow.recipe import Hardware


@pytest.mark.parametrize(
    ("wanted", "given", "found"),
    [(None, None, 1), (None, 5, 5), (5, 5, 5), (3, None, 3), (3, 1, 3)],
)
def test_as_many_classes_come_out_as_the_file_or_the_recipe_says(wanted, given, found):
    assert choosing(Hardware(top_k=wanted), given).top_k == found


def test_a_recipe_and_a_file_that_differ_are_refused():
    with pytest.raises(RequestError, match="puts out 5 classes, but") as caught:
        choosing(Hardware(top_k=3), 5)
    assert caught.value.hint == "leave hardware.top_k out"


def test_no_more_classes_than_there_are_can_be_chosen():
    check_top_k(Hardware(top_k=10), 10)
    check_top_k(Hardware(), 1)
    with pytest.raises(RequestError, match="top_k is 11, but the network has 10 classes"):
        check_top_k(Hardware(top_k=11), 10)


def test_classes_that_the_host_would_have_to_choose_are_refused():
    tail = SimpleNamespace(operations=[("fc", "Gemm")])
    check_chosen(SimpleNamespace(tail=None), Hardware(top_k=5))
    check_chosen(SimpleNamespace(tail=tail), Hardware())
    with pytest.raises(RequestError, match="the host computes the logits: Gemm fc") as caught:
        check_chosen(SimpleNamespace(tail=tail), Hardware(top_k=5))
    assert "tail.onnx" in caught.value.hint
