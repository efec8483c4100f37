"""The networks of the literature: published sizes, shapes, and what they can't take."""

import pytest
import torch
from torch import fx, nn

from hwflow.config.union import names
from hwflow.errors import RequestError
from hwflow.networks import Rescale, TensorNorm
from hwflow.recipe import NETWORKS
from tests.networks.test_networks import build

NAMED = [schema for schema in NETWORKS if "name" in schema.model_fields]
NAMES = [name for schema in NAMED for name in names(schema, "name")]
CIFAR, MNIST, DIGITS, RADIO = (3, 32, 32), (1, 28, 28), (1, 8, 8), (2, 1024)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


# Exact where a source gives the figure to the unit, else as rounded there.
PUBLISHED = [
    ("tfc", MNIST, 10, 59_394),  # BNN-PYNQ
    ("cnv", CIFAR, 10, 1_546_690),  # BNN-PYNQ
    ("resnet18", CIFAR, 10, 11_173_962),  # CIFAR ResNet-18
    ("wide_resnet28_10", CIFAR, 10, 36_479_194),  # Zagoruyko and Komodakis 2016: 36.5 M
    ("mobilenet_v1", (3, 224, 224), 1000, 4_231_976),  # Howard et al. 2017: 4.2 M
    ("densenet100", CIFAR, 10, 769_162),  # Huang et al. 2017, BC, k = 12: 0.8 M
]


@pytest.mark.parametrize(("name", "shape", "classes", "count"), PUBLISHED)
def test_networks_have_the_published_number_of_parameters(name, shape, classes, count):
    assert parameters(build(name=name, shape=shape, classes=classes)) == count


@pytest.mark.parametrize(
    ("name", "millions", "digits"),
    [
        ("resnet20", 0.27, 2),  # He et al. 2016a, table 6
        ("preresnet110", 1.7, 1),  # He et al. 2016b, table 1
        ("resnext29_8x64d", 34.4, 1),  # Xie et al. 2017, table 7
    ],
)
def test_networks_have_the_published_size(name, millions, digits):
    assert round(parameters(build(name=name, shape=CIFAR)) / 1e6, digits) == millions


def test_a_resnet8_has_a_block_a_stage():
    model = build(name="resnet8", shape=CIFAR)
    assert len([m for m in model.modules() if isinstance(m, nn.Conv2d)]) == 7 + 2
    assert 7.5e4 < parameters(model) < 8e4


class Tracer(fx.Tracer):
    def is_leaf_module(self, module, name):
        return isinstance(module, Rescale | TensorNorm) or super().is_leaf_module(module, name)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_is_a_graph_of_modules_and_sums(name):
    shape = RADIO if name == "vgg10_1d" else MNIST
    if name in {"cnv", "wide_resnet28_10", "resnext29_8x64d"}:
        shape = CIFAR
    model = build(name=name, shape=shape).eval()
    graph = Tracer().trace(model)
    calls = {n.target for n in graph.nodes if n.op in {"call_function", "call_method"}}
    assert {getattr(call, "__name__", call) for call in calls} <= {"add", "cat"}
    relus = [n for n in graph.nodes if n.op == "call_module" and "ReLU" in str(n.target)]
    assert len({n.target for n in relus}) == len(relus)


@pytest.mark.parametrize("name", ["cnn5", "resnet8", "mobilenet_v1"])
@pytest.mark.parametrize("shape", [DIGITS, MNIST, CIFAR, (3, 40, 24)])
def test_networks_adapt_to_the_image(name, shape):
    model = build(name=name, shape=shape, classes=7).eval()
    with torch.no_grad():
        assert model(torch.rand(3, *shape)).shape == (3, 7)


def test_a_narrow_mobilenet_is_smaller_and_its_channels_fold():
    model = build(name="mobilenet_v1", shape=CIFAR, width=0.25)
    full = build(name="mobilenet_v1", shape=CIFAR)
    assert parameters(model) < parameters(full) / 10
    widths = {m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)}
    assert all(width % 8 == 0 for width in widths)


@pytest.mark.parametrize("name", ["cnv", "cnn5"])
def test_an_image_that_is_too_small_is_refused(name):
    with pytest.raises(RequestError, match=f"{name} fails on inputs of shape") as caught:
        build(name=name, shape=(3, 5, 5))
    assert "smaller" in str(caught.value.hint)


def test_samples_of_other_dimensions_are_refused():
    with pytest.raises(RequestError, match=r"vgg10_1d takes samples of \(channels, length\)"):
        build(name="vgg10_1d", shape=CIFAR)
    with pytest.raises(RequestError, match=r"resnet8 takes samples of \(channels, height, width"):
        build(name="resnet8", shape=(64,))


def test_torchvisions_classifiers_are_taken_by_name():
    model = build(torchvision="squeezenet1_1", shape=(3, 64, 64), classes=4).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 3, 64, 64)).shape == (2, 4)
    with pytest.raises(RequestError, match="no 'resnet5'") as caught:
        build(torchvision="resnet5", shape=CIFAR)
    assert "did you mean 'resnet50'" in str(caught.value.hint)
    with pytest.raises(RequestError, match="squeezenet1_1 fails on inputs of shape"):
        build(torchvision="squeezenet1_1", shape=MNIST)


# -------------------------------------------------------------------------------- transformers

BERT = {
    "vocab_size": 17,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}


def test_a_tiny_bert_reads_pixels_as_tokens():
    fields = {"transformers": "bert", "config": BERT, "token_scale": 16}
    model, again = (build(shape=DIGITS, **fields).eval() for _ in range(2))
    pixels = torch.randint(0, 17, (3, *DIGITS)) / 16
    with torch.no_grad():
        logits = model(pixels)
        assert logits.shape == (3, 10)
        assert torch.equal(logits, again(pixels))
        changed = pixels.clone()
        changed[0, 0, 3, 3] = 1 - changed[0, 0, 3, 3]
        assert not torch.equal(model(changed)[0], logits[0])
        assert torch.equal(model(changed)[1:], logits[1:])


def test_tokens_outside_the_vocabulary_are_refused():
    model = build(transformers="bert", config=BERT, token_scale=16, shape=DIGITS)
    size = BERT["vocab_size"]
    model.check_samples(torch.tensor([[0.0, (size - 1) / 16]]))
    for token in (-1, size):
        with pytest.raises(RequestError, match=f"token {token}, which a vocabulary of {size}"):
            model.check_samples(torch.tensor([[0.0, token / 16]]))


def test_an_image_transformer_takes_the_image_size():
    config = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "patch_size": 4,
    }
    model = build(transformers="vit", config=config, shape=DIGITS).eval()
    with torch.no_grad():
        assert model(torch.rand(2, *DIGITS)).shape == (2, 10)


def test_a_checkpoint_gives_the_weights(tmp_path):
    fields = {"transformers": "bert", "config": BERT, "token_scale": 16, "shape": DIGITS}
    first = build(seed=1, **fields)
    first.model.save_pretrained(tmp_path / "bert")
    again = build(seed=2, checkpoint="bert", base=tmp_path, **fields)
    state = again.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in first.state_dict().items())


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"transformers": "berrt"}, "no architecture 'berrt'"),
        ({"transformers": "bert", "config": {"hidden_size": 15}}, "network.config: bert"),
        ({"transformers": "bert", "checkpoint": "/nowhere/bert"}, "network.checkpoint: bert"),
        ({"transformers": "clap"}, "is no classifier"),
    ],
)
def test_what_transformers_does_not_take_is_said(fields, says):
    with pytest.raises(RequestError, match=says) as caught:
        build(shape=DIGITS, **fields)
    assert caught.value.hint


def test_without_the_package_its_pip_line_is_given(monkeypatch):
    import sys

    from hwflow.errors import ToolError

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ToolError) as caught:
        build(transformers="bert", shape=DIGITS)
    assert "pip install 'hwflow[transformers]'" in str(caught.value)
