"""An ONNX graph under construction."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn


class Graph:
    """Nodes and constants. Each method appends some of them and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._numbers = count()

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node; ``output`` is its name, if not one of its own."""
        output = output or f"{operator}_{next(self._numbers)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, values: np.ndarray) -> str:
        name = f"constant_{next(self._numbers)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def floats(self, values: Tensor) -> str:
        return self.constant(float_array(values))

    def state(self, module: nn.Module, *names: str) -> list[str]:
        """Entries of a module's state dict."""
        tensors = module.state_dict()
        return [self.floats(tensors[name]) for name in names]

    def reshape(self, x: str, *sizes: int) -> str:
        """A size of 0 keeps that axis, -1 is inferred."""
        return self.add("Reshape", x, self.integers(*sizes))

    def linear(self, layer: nn.Linear, x: str) -> str:
        return self.add("Add", self.add("MatMul", x, self.floats(layer.weight.T)), self.floats(layer.bias))

    def lerp(self, start: str, end: str, weight: str) -> str:
        """``start`` where the weight is 0, ``end`` where it is 1, and in proportion between."""
        return self.add("Add", start, self.add("Mul", weight, self.add("Sub", end, start)))


def float_array(tensor: Tensor) -> np.ndarray:
    """The values of a parameter, float32."""
    return tensor.detach().cpu().float().numpy()
