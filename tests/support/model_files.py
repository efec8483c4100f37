"""Model files for tests of the import: graphs written node by node, and random networks spelled in
the many ways in which exporters spell one and the same network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwflow.exchange.importing.execution import compare
from hwflow.exchange.importing.importer import Imported, choose_samples, import_model
from hwflow.recipe import ImportedModel
from hwflow.recipe.model import InputMeaning
from tests.support.random_networks import Case, LayerSpec, build_case

QONNX = "qonnx.custom_op.general"
SAMPLES = 32


class File:
    """A model file, written node by node; operands may be arrays, which become initializers."""

    def __init__(self, *shape: int | str, element: int = TensorProto.FLOAT) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.values: list[onnx.TensorProto] = []
        self.input = helper.make_tensor_value_info("input", element, list(shape))

    def add(self, kind: str, *operands: Any, domain: str = "", **attributes: Any) -> str:
        """A node; returns its output."""
        names = [x if isinstance(x, str) else self.value(x) for x in operands]
        if not domain and kind in {"Quant", "IntQuant", "BipolarQuant", "FloatQuant", "Trunc"}:
            domain = QONNX
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, names, [f"t{name}"], name=name, domain=domain, **attributes)
        )
        return f"t{name}"

    def value(self, values: Any) -> str:
        """An initializer: of doubles float32, of other numbers what they are."""
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        name = f"v{len(self.values)}"
        self.values.append(numpy_helper.from_array(array, name))
        return name

    def quant(self, x: Any, scale: Any, bits: Any, signed: bool = True, **attributes: Any) -> str:
        """QONNX's Quant with zero point 0."""
        kept = {"narrow": 0, "rounding_mode": "ROUND", **attributes}
        return self.add("Quant", x, scale, 0.0, bits, signed=int(signed), **kept)

    def weights(self, *shape: int, bits: int = 4, seed: int = 0, scale: Any = 0.125) -> str:
        """Random weights behind a Quant."""
        most = 2 ** (bits - 1) - 1
        codes = np.random.default_rng(seed).integers(-most, most + 1, shape)
        return self.quant(codes * np.float64(scale), scale, float(bits))

    def model(
        self, output: str, *shape: int | str, opset: int = 13, qonnx: int | None = 1
    ) -> onnx.ModelProto:
        """The whole model."""
        graph = helper.make_graph(
            self.nodes,
            "file",
            [self.input],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, list(shape))],
            initializer=self.values,
        )
        opsets = [helper.make_opsetid("", opset)]
        opsets += [helper.make_opsetid(QONNX, qonnx)] if qonnx else []
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 8
        return model


def saved(model: onnx.ModelProto, folder: Path, name: str = "net.onnx") -> Path:
    """The file of a model."""
    onnx.save(model, str(folder / name))
    return folder / name


def checked(path: Path, **settings: Any) -> Imported:
    """The import of a file that agrees with the file's own execution on random inputs."""
    model = ImportedModel(qonnx=path.name, samples=SAMPLES, **settings)
    imported = import_model(path, model)
    data, said = choose_samples(imported, model, None, 1, path.parent)
    assert f"{SAMPLES} random inputs" in said
    inputs = data.floats(data.test)
    compared = compare(imported.file, path, imported.normal, inputs, model.batch)
    # Files that move samples about are run one frame at a time, on fewer.
    assert compared.samples >= 16
    assert compared.undecided <= 2
    assert compared.max_abs < 1e-4
    return imported


def kinds(imported: Imported) -> list[str]:
    """The operations of a normal form."""
    return [node.op_type for node in imported.normal.model.graph.node]


def random_case(seed: int) -> Case:
    """A random multilayer perceptron of one or two hidden layers."""
    random = np.random.default_rng(seed)
    hidden = [
        LayerSpec(
            width=int(random.choice([1, 3, 4, 8, 12])),
            weight_bits=int(random.integers(1, 9)),
            activation_bits=int(random.integers(1, 9)),
            per_channel=bool(random.integers(2)),
            power_of_two=bool(random.integers(2)),
            batch_norm=bool(random.integers(2)),
            signed=bool(random.integers(2)),
        )
        for _ in range(int(random.integers(1, 3)))
    ]
    return build_case(
        features=int(random.choice([1, 4, 6, 16])),
        hidden=hidden,
        classes=int(random.integers(2, 11)),
        input_bits=int(random.integers(1, 9)),
        identity=bool(random.integers(2)),
        bias=bool(random.integers(2)),
        seed=seed,
    )


def declared(case: Case, file: Path) -> ImportedModel:
    """What a recipe says of a random network's file."""
    code = case.code
    ends = (code.scale * n + code.offset for n in (code.minimum, code.maximum))
    minimum, maximum = ends
    meaning = InputMeaning(minimum=minimum, maximum=maximum, bits=code.maximum.bit_length())
    return ImportedModel(qonnx=str(file), input=meaning)


# ---------------------------------------------------------------------------- ways to spell


def respelled(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """The same network with each of `WAYS` applied or not."""
    spelled = onnx.ModelProto()
    spelled.CopyFrom(model)
    random = np.random.default_rng(seed)
    for way in WAYS:
        if random.integers(2):
            way(spelled, random)
    return spelled


def _values(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {t.name: np.asarray(numpy_helper.to_array(t)) for t in model.graph.initializer}


def _store(model: onnx.ModelProto, name: str, values: Any, kind: Any = np.float32) -> str:
    old = [t for t in model.graph.initializer if t.name == name]
    for tensor in old:
        model.graph.initializer.remove(tensor)
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, kind), name))
    return name


def _quants(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type in {"Quant", "IntQuant"}]


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    return next(helper.get_attribute_value(a) for a in node.attribute if a.name == name)


def newer_name(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Quant is called IntQuant, as in newer QONNX."""
    for node in _quants(model):
        node.op_type = "IntQuant"


def integer_bits(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Bit widths are integers, or arrays of one."""
    for node in _quants(model):
        bits = _values(model)[node.input[3]]
        kind = [np.int64, np.int32, np.float32][random.integers(3)]
        node.input[3] = _store(model, f"bits_{node.name}", bits.reshape(1), kind)


def other_domain(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """QONNX's operations lie in the domain of older exporters, or QKeras's."""
    domain = ["onnx.brevitas", "finn.custom_op.general", "qonnx"][random.integers(3)]
    for node in model.graph.node:
        if node.domain:
            node.domain = domain
    for opset in model.opset_import:
        if opset.domain:
            opset.domain = domain


def constants_as_nodes(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Some initializers are Constant nodes, as tracing exporters write them."""
    for tensor in list(model.graph.initializer):
        if random.integers(2):
            model.graph.initializer.remove(tensor)
            model.graph.node.insert(
                0, helper.make_node("Constant", [], [tensor.name], value=tensor)
            )


def initializers_as_inputs(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Initializers are listed among the inputs, as in old files."""
    for tensor in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        )


def dynamic_batch(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """The batch dimension has a name, not a size."""
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "N"


def transposed_weights(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Weights are (outputs, inputs), as torch has them: Gemm with transB, or a Transpose behind
    the quantizer."""
    producers = {node.output[0]: node for node in model.graph.node}
    for node in list(model.graph.node):
        if node.op_type not in {"MatMul", "Gemm"}:
            continue
        quantizer = producers[node.input[1]]
        for operand in (0, 1):
            values = _values(model)[quantizer.input[operand]]
            _store(model, quantizer.input[operand], values.T if values.ndim == 2 else values)
        if node.op_type == "Gemm":
            node.attribute.append(helper.make_attribute("transB", 1))
            continue
        turned = helper.make_node("Transpose", [node.input[1]], [f"{node.input[1]}_T"], perm=[1, 0])
        node.input[1] = turned.output[0]
        model.graph.node.insert(list(model.graph.node).index(node), turned)


def biases_added(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Gemm is MatMul and Add, as QKeras writes dense layers."""
    for node in list(model.graph.node):
        if node.op_type == "Gemm" and not node.attribute:
            place = list(model.graph.node).index(node)
            bias, output = node.input[2], node.output[0]
            del node.input[2:]
            node.op_type, node.output[0] = "MatMul", f"{output}_product"
            added = helper.make_node("Add", [node.output[0], bias], [output], name="bias_add")
            model.graph.node.insert(place + 1, added)


def integer_weights(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Weights are stored as integers behind DequantizeLinear."""
    values = _values(model)
    for node in _quants(model):
        stored = values.get(node.input[0])
        if stored is None or stored.ndim != 2:
            continue
        scale = values[node.input[1]]
        bits = int(values[node.input[3]].item())
        low = -(2 ** (bits - 1)) + int(_attribute(node, "narrow"))
        codes = np.clip(np.rint(stored / scale), low, 2 ** (bits - 1) - 1)
        axis = int(np.argmax(scale.shape)) if scale.size > 1 else 1
        names = [
            _store(model, f"{node.name}_codes", codes, np.int8),
            _store(model, f"{node.name}_scale", scale.reshape(-1 if scale.size > 1 else ())),
        ]
        node.op_type, node.domain = "DequantizeLinear", ""
        del node.input[:], node.attribute[:]
        node.input.extend(names)
        node.attribute.append(helper.make_attribute("axis", axis))


def input_scaled(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Values behind the input are multiplied and divided by what cancels."""
    graph = model.graph
    name = graph.input[0].name
    for node in graph.node:
        for place, operand in enumerate(node.input):
            if operand == name:
                node.input[place] = "scaled"
    two = _store(model, "two", 2.0)
    kinds = [("Mul", "Div"), ("Div", "Mul"), ("Add", "Sub")][random.integers(3)]
    first = helper.make_node(kinds[0], [name, two], ["half_scaled"], name="scale_in")
    second = helper.make_node(kinds[1], ["half_scaled", two], ["scaled"], name="scale_out")
    graph.node.insert(0, second)
    graph.node.insert(0, first)


def padded_with_nothings(model: onnx.ModelProto, random: np.random.Generator) -> None:
    """Dropout, Identity and reshapes that change nothing stand before the output."""
    graph = model.graph
    last = next(node for node in graph.node if node.output[0] == graph.output[0].name)
    last.output[0] = "early"
    classes = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    shape = _store(model, "out_shape", [-1, classes], np.int64)
    graph.node.append(helper.make_node("Identity", ["early"], ["same"]))
    graph.node.append(helper.make_node("Reshape", ["same", shape], ["reshaped"]))
    graph.node.append(helper.make_node("Flatten", ["reshaped"], [graph.output[0].name]))


# In an order in which each finds what it looks for.
WAYS: tuple[Callable[[onnx.ModelProto, np.random.Generator], None], ...] = (
    transposed_weights,
    biases_added,
    integer_bits,
    integer_weights,
    newer_name,
    other_domain,
    input_scaled,
    padded_with_nothings,
    constants_as_nodes,
    initializers_as_inputs,
    dynamic_batch,
)


def dequantized(file: File, values: NDArray[Any], scale: float) -> str:
    """Weights of INT8 in QCDQ; returns the name of their tensor."""
    codes = np.clip(np.rint(values / scale), -128, 127).astype(np.int8)
    return file.add("DequantizeLinear", codes, np.float32(scale), np.int8(0))


def quantized(file: File, x: str, scale: float) -> str:
    """An activation quantized to INT8 in QCDQ; returns its name."""
    x = file.add("QuantizeLinear", x, np.float32(scale), np.int8(0))
    return file.add("DequantizeLinear", x, np.float32(scale), np.int8(0))
