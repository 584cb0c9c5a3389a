"""Weight initialisation schemes.

``paper``
    The LipNet authors' released code. Convolutions after He et al. 2015, output layers from the same normal
    distribution with gain 1, each gate of a recurrent layer uniform for inputs and orthogonal for the state.
``keras``
    The Keras LipNets. Convolutions and output layers after He et al., recurrent weights orthogonal over all
    gates at once, forget gates of LSTMs open.
``glorot``
    The Keras tutorials. As ``keras``, with convolutions after Glorot and Bengio 2010.
``uniform``
    All weights within BOUND, as in the paper's Baseline-LSTM after Wand et al. 2016.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipnet.models.rnn import KerasGru

BOUND = 0.05


@torch.no_grad()
def initialize(model: nn.Module, scheme: str) -> None:
    """Fill the convolutional, linear and recurrent layers of ``model`` by one of SCHEMES."""
    for module in model.modules():
        if isinstance(module, (nn.Conv3d, nn.Conv1d, nn.Linear, nn.RNNBase, KerasGru)):
            SCHEMES[scheme](module)


def _paper(module: nn.Module) -> None:
    if isinstance(module, (nn.RNNBase, KerasGru)):
        for name, parameter in module.named_parameters():
            _paper_recurrent(name, parameter, module.hidden_size)
    else:
        _he_normal(module, "linear" if isinstance(module, nn.Linear) else "relu")


def _keras(module: nn.Module) -> None:
    if isinstance(module, (nn.RNNBase, KerasGru)):
        for name, parameter in module.named_parameters():
            _keras_recurrent(name, parameter, module.hidden_size)
    else:
        _he_normal(module, "relu")


def _glorot(module: nn.Module) -> None:
    _keras(module)
    if isinstance(module, nn.Conv3d):
        nn.init.xavier_uniform_(module.weight)


def _uniform(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -BOUND, BOUND)


SCHEMES = {"paper": _paper, "keras": _keras, "glorot": _glorot, "uniform": _uniform}


def _he_normal(module: nn.Module, nonlinearity: str) -> None:
    """Standard deviation sqrt(2 / inputs) before ``relu``, sqrt(1 / inputs) before ``linear``; biases 0."""
    nn.init.kaiming_normal_(module.get_parameter("weight"), nonlinearity=nonlinearity)  # type: ignore[arg-type]
    nn.init.zeros_(module.get_parameter("bias"))


def _paper_recurrent(name: str, parameter: Tensor, hidden: int) -> None:
    if name.startswith("bias"):
        nn.init.zeros_(parameter)
        return
    for gate in parameter.split(hidden):
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(gate)
        else:
            bound = math.sqrt(3) * math.sqrt(2 / (parameter.shape[1] + hidden))
            nn.init.uniform_(gate, -bound, bound)


def _keras_recurrent(name: str, parameter: Tensor, hidden: int) -> None:
    if not name.startswith("bias"):
        nn.init.orthogonal_(parameter)
        return
    nn.init.zeros_(parameter)
    if name.startswith("bias_ih") and len(parameter) == 4 * hidden:
        nn.init.ones_(parameter[hidden : 2 * hidden])  # an LSTM's second gate, the forget gate
