"""What weights are before any training, by recipe.

``paper``: the LipNet authors' released code. He et al. 2015 for convolutions and linear layers; of each
recurrent gate, uniform weights of the inputs and orthogonal ones of the state. ``keras``: the Keras LipNets.
Recurrent weights orthogonal over all gates at once, and an LSTM begins by remembering. ``glorot``: the Keras
tutorials. As ``keras``, with convolutions after Glorot and Bengio 2010. ``uniform``: everything within BOUND,
as in the paper's baseline after Wand et al. 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lipnet.models.rnn import KerasGru

BOUND = 0.05


@torch.no_grad()
def initialize(model: nn.Module, recipe: str) -> None:
    """Fill the convolutions, the linear and the recurrent layers by one of RECIPES."""
    for module in model.modules():
        if isinstance(module, (nn.Conv3d, nn.Linear, nn.RNNBase, KerasGru)):
            RECIPES[recipe](module)


def _paper(module: nn.Module) -> None:
    _he_and_gates(module, _paper_gates)


def _keras(module: nn.Module) -> None:
    _he_and_gates(module, _keras_gates)


def _glorot(module: nn.Module) -> None:
    _keras(module)
    if isinstance(module, nn.Conv3d):
        nn.init.xavier_uniform_(module.weight)


def _uniform(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -BOUND, BOUND)


RECIPES = {"paper": _paper, "keras": _keras, "glorot": _glorot, "uniform": _uniform}


def _he_and_gates(module: nn.Module, fill: Callable[[str, Tensor, int], None]) -> None:
    if isinstance(module, (nn.RNNBase, KerasGru)):
        for name, parameter in module.named_parameters():
            fill(name, parameter, module.hidden_size)
    else:
        nn.init.kaiming_normal_(module.get_parameter("weight"), nonlinearity="relu")
        nn.init.zeros_(module.get_parameter("bias"))


def _paper_gates(name: str, parameter: Tensor, hidden: int) -> None:
    if name.startswith("bias"):
        nn.init.zeros_(parameter)
        return
    for gate in parameter.split(hidden):
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(gate)
        else:
            bound = math.sqrt(3) * math.sqrt(2 / (parameter.shape[1] + hidden))
            nn.init.uniform_(gate, -bound, bound)


def _keras_gates(name: str, parameter: Tensor, hidden: int) -> None:
    if not name.startswith("bias"):
        nn.init.orthogonal_(parameter)
        return
    nn.init.zeros_(parameter)
    if name.startswith("bias_ih") and len(parameter) == 4 * hidden:
        nn.init.ones_(parameter[hidden : 2 * hidden])  # an LSTM's second gate: open, it keeps the state
