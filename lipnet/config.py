"""The configuration as a tree of dataclasses, with every default (``settings.py`` reads files into it).

Every constructor downstream gets only its own section, or plain numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lipnet.errors import ConfigError

if TYPE_CHECKING:
    pass


CROP_METHODS = ("dlib", "mtcnn", "fixed")
LUMA = (0.299, 0.587, 0.114)  # RGB -> grey, ITU-R BT.601


@dataclass
class CropConfig:
    """How a mouth is cut out of a frame (``croppers.py``). A setting of another method has no effect."""

    method: str = "dlib"  # what finds the mouth: dlib or mtcnn, by the face, or fixed, by no more than a box
    width: int = 100  # px of the crop
    height: int = 50  # px of the crop
    eye_distance: float = 72.0  # px between the eyes' centres in the crop: sets the crop's scale
    center_offset: float = 0.0  # eye distances by which the crop's centre lies below (-: above) the mouth's
    box: list[int] = field(default_factory=list)  # of fixed: top, bottom, left, right edge, px of the frame
    frame: list[int] = field(default_factory=list)  # of fixed: width, height of the frames that the box is of
    detect_every: int = 8  # frames from one face detection to the next; landmarks are on every frame
    predictor: str = ""  # of dlib: landmark file (.dat), 68 points; empty: the one of face_recognition_models

    def __post_init__(self) -> None:
        """Raises ConfigError on a method that there is not, or a box that holds no pixel."""
        if self.method not in CROP_METHODS:
            raise ConfigError(f"crop.method {self.method!r}: unknown; choose of {', '.join(CROP_METHODS)}")
        if self.box or self.method == "fixed":
            top, bottom, left, right = self.box if len(self.box) == 4 else (0, 0, 0, 0)
            if not (0 <= top < bottom and 0 <= left < right):
                raise ConfigError(
                    f"crop.box {list(self.box)}: give the box's edges in the frame as "
                    "[top,bottom,left,right], px, such as [190,236,80,220]"
                )
        if self.frame and (len(self.frame) != 2 or min(self.frame) < 1):
            raise ConfigError(f"crop.frame {list(self.frame)}: give [width,height], px, such as [360,288]")


@dataclass
class ModelConfig:
    """The network (``model.py``). The defaults are the paper's; the rest says what other LipNets do."""

    in_channels: int = 3  # 3 = RGB, 1 = grey
    height: int = 50  # px of the input
    width: int = 100  # px of the input
    normalization: str = (
        "dataset"  # brought to mean 0, deviation 1 of the dataset or the clip; or unit: to 0 ... 1
    )
    channels: list[int] = field(default_factory=lambda: [32, 64, 96])  # of each convolution, if there are any
    kernels: list[list[int]] = field(default_factory=lambda: [[3, 5, 5], [3, 5, 5], [3, 3, 3]])  # T, H, W
    strides: list[list[int]] = field(default_factory=lambda: [[1, 2, 2], [1, 1, 1], [1, 1, 1]])  # T, H, W
    paddings: list[list[int]] = field(default_factory=list)  # T, H, W; empty: half of each kernel
    norm: str = "none"  # after each convolution: none, batch or instance
    cell: str = "gru"  # gru, lstm or keras_gru
    candidate: str = "tanh"  # the activation of keras_gru's new state: tanh or linear
    hidden: int = 256  # units a direction
    layers: int = 2  # recurrent layers
    bidirectional: bool = True
    activation: str = "none"  # after each recurrent layer: none or relu
    dropout: float = 0.5  # after each block and each recurrent layer
    block_dropout: float | None = None  # after each block, where it is another
    init: str = "paper"  # weights, before any training: paper, keras, glorot or uniform (`models/init.py`)
    alphabet: str = " abcdefghijklmnopqrstuvwxyz"  # the outputs, less the blank
    word_heads: bool = False  # a linear head on each recurrent layer names the word of each frame
    outputs_per_frame: int = 1  # characters' distributions a video frame: fast speech needs more than one


@dataclass
class DataConfig:
    """Where the crops are and how they are batched (``data.py``)."""

    root: str = ""  # folder that preprocess.py wrote
    train_split: str = "train"  # a list in ROOT/splits by its name, or a list file
    dev_splits: list[str] = field(default_factory=lambda: ["dev_seen", "dev_unseen"])  # the same
    balance: float = 1.0  # a speaker's share of an epoch goes with its number of clips to this power
    mix_root: str = ""  # a second folder that preprocess.py wrote, to mix in; empty: none
    mix: float = 1.0  # clips of mix_root for each clip of root, in each epoch
    mix_split: str = "all"  # a list in MIX_ROOT/splits by its name, or a list file
    batch_size: int = 16  # clips
    workers: int = 0  # loader processes; 0 = load in the training process


@dataclass
class AugmentConfig:
    """Changes made to training clips (``data.py``, ``augment.py``); 0 switches each of them off."""

    splice: float = 0.0  # probability of replacing each word by another clip's, same slot and speaker
    trim: float = 0.0  # probability that a batch's clips lose all silence at both ends, else a random part
    resample: float = 0.05  # probability of deleting, and of duplicating, each frame
    keep_length: bool = False  # whether as many frames are duplicated as are deleted
    speed: float = 0.0  # a clip is made longer or shorter by at most this part
    flip: float = 0.5  # probability of mirroring a clip
    shift: int = 0  # px, at most, to each side
    scale: float = 0.0  # a clip is enlarged or reduced by at most this part
    rotation: int = 0  # degrees, at most, either way
    grey: float = 0.0  # probability of taking a clip's colours away
    brightness: float = 0.0  # at most this part of the full scale is added or taken away
    contrast: float = 0.0  # at most this part of a pixel's distance from the mean is added or taken away
    word_clips: float = 0.0  # probability of an extra single-word item for each clip, in the first epoch
    word_clip_decay: float = 0.925  # factor on that probability for each epoch


@dataclass
class TrainConfig:
    """The optimisation (``engine.py``)."""

    epochs: int = 100
    optimizer: str = "adamw"  # adamw, adam or amsgrad (Adam's variant)
    lr: float = 1e-3  # peak learning rate
    schedule: str = "cosine"  # from the peak on: cosine (to 0) or constant
    warmup: float = 1.0  # epochs of linear warm-up to the peak
    weight_decay: float = 1e-2
    clip_norm: float = 5.0  # of the whole gradient, L2; 0 = no clipping
    freeze: list[str] = field(default_factory=list)  # parts that stay as init has them: blocks.0, recurrent
    ema: float = 0.995  # decay a step of the averaged weights that are evaluated and kept; 0 = none
    word_loss: float = 1.0  # weight of the word heads' cross-entropy beside the CTC loss
    eval_every: int = 1  # epochs


@dataclass
class RunConfig:
    """One training run: where it writes and what it runs on."""

    dir: str = ""  # run folder, must not hold a run yet
    seed: int = 0
    device: str = "auto"  # auto, cpu, cuda or cuda:N
    precision: str = "auto"  # auto, float32 or bfloat16; auto = bfloat16 where the device has it in hardware


@dataclass
class Config:
    """The whole tree. Its YAML form is what a run folder keeps."""

    crop: CropConfig = field(default_factory=CropConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)
    pretrained: str = ""  # weights file to start from; empty: random initialisation
