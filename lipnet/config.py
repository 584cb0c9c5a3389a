"""Configuration: a tree of dataclasses with every default; ``settings.py`` reads files and overrides into it.

Each constructor of the package takes only its own section, or plain numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lipnet.errors import ConfigError

# Largest sizes, far beyond useful ones: a wrong one is refused before memory is allocated for it.
MAX_CROP = {"width": 1024, "height": 1024, "eye_distance": 10_000, "center_offset": 100}
MAX_CROP |= {"box": 100_000, "frame": 100_000, "detect_every": 1_000_000, "landmarks_every": 1000}
MAX_MODEL = {"height": 1024, "width": 1024, "channels": 8192, "kernels": 64, "strides": 64, "paddings": 64}
MAX_MODEL |= {"landmark_channels": 8192, "landmark_kernel": 1001, "landmark_hidden": 16_384}
MAX_MODEL |= {"hidden": 16_384, "layers": 64, "outputs_per_frame": 64}
MAX_CONVOLUTIONS = 32
MAX_SYMBOLS = 10_000
CROP_METHODS = ("dlib", "mtcnn", "fixed", "none")
FACES = ("largest", "left", "right")
SELECTIONS = ("best", "last")
AUTO = "auto"
LUMA = (0.299, 0.587, 0.114)  # weights of R, G and B in grey, ITU-R BT.601


@dataclass
class CropConfig:
    """Mouth crops (``cropping/``). A setting of another method has no effect."""

    method: str = "dlib"  # how the mouth is located: dlib or mtcnn (face landmarks), fixed (one box), or none
    # (the whole frame is the mouth)
    width: int = 100  # px of the crop
    height: int = 50  # px of the crop
    eye_distance: float = 72.0  # px between the centres of the eyes in the crop: sets the crop's scale
    center_offset: float = 0.0  # eye distances from the mouth's centre down to the crop's; negative: up
    box: list[int] = field(default_factory=list)  # fixed: top, bottom, left, right edge, px of the frame
    frame: list[int] = field(default_factory=list)  # fixed: width, height of the frames that the box is for
    detect_every: int = 8  # dlib, mtcnn: frames between face detections
    landmarks_every: int = 2  # dlib, mtcnn: frames between two in which landmarks are looked for; they are
    # interpolated in the others
    face: str = (
        "largest"  # dlib, mtcnn: of several faces the largest, left, right or, from the left, 1, 2, ...
    )
    predictor: str = ""  # dlib: 68-point landmark file (.dat); empty: that of face_recognition_models

    def __post_init__(self) -> None:
        """Raises ConfigError on an unknown method, a number out of range, or a box without pixels."""
        _check_limits("crop", vars(self), MAX_CROP)
        for key in ("width", "height", "eye_distance", "detect_every", "landmarks_every"):
            if getattr(self, key) < 1:
                raise ConfigError(f"crop.{key} {getattr(self, key):g}: give 1 or more")
        if self.method not in CROP_METHODS:
            raise ConfigError(f"crop.method {self.method!r}: choose one of {', '.join(CROP_METHODS)}")
        if self.face not in FACES and not (self.face.isdecimal() and int(self.face[:9]) > 0):
            raise ConfigError(
                f"crop.face {self.face[:40]!r}: choose {', '.join(FACES)}, or a number from 1 on"
            )
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
    """The network (``models/lipnet.py``). The defaults are the paper's; other values build other LipNets."""

    in_channels: int = 3  # 3 = RGB, 1 = grey
    height: int = 50  # px of the input
    width: int = 100  # px of the input
    normalization: str = "dataset"  # mean 0, std 1 over the dataset or each clip; or unit: 0 to 1
    channels: list[int] = field(default_factory=lambda: [32, 64, 96])  # of each convolution; may be empty
    kernels: list[list[int]] = field(default_factory=lambda: [[3, 5, 5], [3, 5, 5], [3, 3, 3]])  # T, H, W
    strides: list[list[int]] = field(default_factory=lambda: [[1, 2, 2], [1, 1, 1], [1, 1, 1]])  # T, H, W
    paddings: list[list[int]] = field(default_factory=list)  # T, H, W; empty: half of each kernel
    norm: str = "none"  # after each convolution: none, batch or instance
    cell: str = "gru"  # gru, lstm or keras_gru
    candidate: str = "tanh"  # activation of keras_gru's candidate state: tanh or linear
    hidden: int = 256  # units per direction
    layers: int = 2  # recurrent layers
    bidirectional: bool = True
    activation: str = "none"  # after each recurrent layer: none or relu
    dropout: float = 0.5  # after each convolutional block and each recurrent layer
    block_dropout: float | None = None  # after each convolutional block, if different
    init: str = "paper"  # random initialisation: paper, keras, glorot or uniform (`models/init.py`)
    alphabet: str = " abcdefghijklmnopqrstuvwxyz"  # the output symbols besides the CTC blank
    word_heads: bool = False  # classify the word of each frame by a linear layer on each recurrent layer
    outputs_per_frame: int = 1  # CTC steps per video frame: fast speech needs more than one
    streams: list[str] = field(default_factory=lambda: ["pixels"])  # what is read: pixels, landmarks, or both
    landmark_input: str = "features"  # of each frame: features (movements of lips and jaw), standardized (the
    # same with mean 0 and standard deviation 1 over the clip) or lip_coordinates (the lips' points as parts
    # of a GRID frame, with the face at one position)
    landmark_channels: list[int] = field(default_factory=lambda: [160, 160])  # of each convolution over time;
    # may be empty
    landmark_kernel: int = 5  # frames, of these convolutions
    fusion: str = "late"  # of both streams: late (each has its own recurrent layers, log-probabilities are
    # averaged), joint (features are concatenated before the recurrent layers) or output (the landmarks have a
    # recurrent layer of their own, which is concatenated with the last one before the output layer)
    landmark_hidden: int = 192  # late, output: units per direction of the landmarks' recurrent layers
    landmark_weight: float = 0.5  # late fusion: largest weight of the landmarks in the average of the words
    landmark_entropy: float = (
        0.48  # nats; late fusion: mean entropy of the words that the pixels tell, at which
    )
    # the landmarks are trusted as much
    stream_dropout: float = 0.0  # joint, output: probability that a training clip lacks one of its streams

    def __post_init__(self) -> None:
        """Raises ConfigError on sizes out of range; ``models/lipnet.py`` checks that they fit together."""
        _check_limits("model", vars(self), MAX_MODEL)
        if len(self.channels) > MAX_CONVOLUTIONS:
            raise ConfigError(
                f"model.channels: {len(self.channels)} convolutions, give {MAX_CONVOLUTIONS} or fewer"
            )
        if len(self.alphabet) > MAX_SYMBOLS:
            raise ConfigError(f"model.alphabet: {len(self.alphabet)} symbols, give {MAX_SYMBOLS} or fewer")


@dataclass
class DataConfig:
    """Crop stores and batches (``data/``)."""

    root: list[str] = field(default_factory=list)  # crop stores that preprocess.py wrote, read as one
    train_split: str = "train"  # name of a list in ROOT/splits, or a list file
    dev_splits: list[str] = field(default_factory=lambda: ["dev_seen", "dev_unseen"])  # likewise
    leave_out: list[str] = field(default_factory=list)  # speakers whose clips are not trained on
    balance: float = 1.0  # a speaker's share of an epoch is proportional to their clip count to this power
    mix_root: str = ""  # a second crop store to mix in; empty: none
    mix: float = 1.0  # clips of mix_root for each clip of root, in each epoch
    mix_split: str = "all"  # name of a list in MIX_ROOT/splits, or a list file
    batch_size: int = 16  # clips
    workers: int | str = 0  # loader processes; 0 = load in the training process; auto = by the number of
    # cores with a GPU, 0 without

    def __post_init__(self) -> None:
        """Raises ConfigError on a number of processes that is none."""
        if isinstance(self.workers, bool) or (isinstance(self.workers, str) and self.workers != AUTO):
            raise ConfigError(f"data.workers {self.workers!r}: give auto, or 0 or more")


@dataclass
class AugmentConfig:
    """Augmentation of training clips (``data/*transforms.py``); 0 switches each kind off."""

    splice: float = 0.0  # probability of replacing each word by that of another clip, same slot and speaker
    trim: float = 0.0  # probability that a batch loses all silence at both ends, otherwise a random part
    resample: float = 0.05  # probability of deleting, and of duplicating, each frame
    keep_length: bool = False  # whether as many frames are duplicated as are deleted
    speed: float = 0.0  # largest relative change of a clip's length
    flip: float = 0.5  # probability of mirroring a clip
    shift: int = 0  # largest shift in each direction, px
    scale: float = 0.0  # largest relative change of a clip's size
    rotation: int = 0  # largest rotation in each direction, degrees
    grey: float = 0.0  # probability of removing a clip's colours
    brightness: float = 0.0  # largest change of brightness, as a part of the full scale
    contrast: float = 0.0  # largest relative change of contrast
    excerpt: float = 0.0  # probability of keeping only 2 to 4 consecutive words of a clip
    # The geometry of landmarks, in mouth widths where not said otherwise
    landmark_rotation: int = 0  # largest rotation in each direction, degrees
    landmark_stretch: float = 0.0  # largest relative change of width, and of height
    landmark_shear: float = 0.0  # largest shear in each direction
    landmark_movement: float = 0.0  # standard deviation of the logarithm of a factor on all movements
    landmark_offset: float = 0.0  # standard deviation of a constant offset of each point
    landmark_jitter: float = 0.0  # standard deviation of an offset of each point in each frame
    landmark_mask: int = 0  # longest run of frames whose landmark features are set to 0, one run a clip
    word_clips: float = 0.0  # probability that a clip's words are extra items, one each, in the first epoch
    word_clip_decay: float = 0.925  # factor on that probability after each epoch


@dataclass
class TrainConfig:
    """Optimisation (``training/``)."""

    epochs: int = 100
    optimizer: str = "adamw"  # adamw, adam or amsgrad (Adam's variant)
    lr: float = 1e-3  # peak learning rate
    schedule: str = "cosine"  # after the warm-up: cosine (to 0) or constant
    warmup: float = 1.0  # epochs of linear warm-up to the peak
    weight_decay: float = 1e-2
    clip_norm: float = 5.0  # L2 norm of the whole gradient is clipped to this; 0 = no clipping
    freeze: list[str] = field(default_factory=list)  # parts that keep the pretrained weights: blocks.0
    ema: float = 0.995  # decay per step of the averaged weights that are evaluated and saved; 0 = none
    word_loss: float = 1.0  # weight of the word heads' cross-entropy beside the CTC loss
    eval_every: int = 1  # epochs between evaluations of the dev splits
    select: str = "best"  # best.safetensors is the epoch with the best mean dev WER, or always the last
    log_every: int = 0  # steps between two reads of the losses, for which a GPU is waited for; 0: 20 on a
    # GPU, 1 on a CPU. A loss that is not finite is noticed then, before anything is saved

    def __post_init__(self) -> None:
        """Raises ConfigError on an unknown selection, or a negative number of steps."""
        if self.log_every < 0:
            raise ConfigError(f"train.log_every {self.log_every}: give 0 or more")
        if self.select not in SELECTIONS:
            raise ConfigError(f"train.select {self.select!r}: choose one of {', '.join(SELECTIONS)}")


@dataclass
class RunConfig:
    """One training run: where it writes, and what it runs on."""

    dir: str = ""  # run directory, must not hold a run yet
    seed: int = 0
    device: str = "auto"  # auto, cpu, cuda or cuda:N
    precision: str = "auto"  # of convolutions and linear layers: auto, float32, bfloat16 or float16; auto is
    # bfloat16 if the device has it in hardware, else float16 on a GPU and float32 on a CPU
    compile: bool = False  # compile convolutional blocks and output layers (torch.compile) when a run starts


@dataclass
class Config:
    """The whole tree. A run directory keeps it as YAML."""

    crop: CropConfig = field(default_factory=CropConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)
    pretrained: str = ""  # weights to start from; empty: random initialisation


def _check_limits(section: str, values: Mapping[str, object], limits: Mapping[str, float]) -> None:
    """Raise ConfigError on a number, or one in a list, whose absolute value is above its limit, or NaN."""
    for key, limit in limits.items():
        for number in _numbers(values[key]):
            if not abs(number) <= limit:
                is_long = isinstance(number, int) and abs(number) >= 1e18  # perhaps thousands of digits
                shown = "" if is_long else f" {number:.10g}"
                raise ConfigError(f"{section}.{key}{shown}: give at most {limit:g}")


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, (int, float)):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item)
