"""Mouth crops in the folders of other LipNet implementations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny import CROP, random_crops, random_landmarks

from lipnet.data.external_crops import (
    KINDS,
    ExternalCropsError,
    find_crops,
    load_crops,
    load_landmarks,
    save_crops,
)
from lipnet.errors import CorpusError

SIZE = (CROP.width, CROP.height)
ALIGN = "0 10000 sil\n10000 20000 bin\n20000 74500 sil\n"


@pytest.mark.parametrize("kind", KINDS)
def test_saved_crops_load(kind: str, tmp_path: Path) -> None:
    crops = random_crops(12)
    save_crops(tmp_path, "s1/bbaf2n", crops, kind)
    path = tmp_path / "s1" / ("bbaf2n.npy" if kind == "npy" else "bbaf2n")
    assert np.array_equal(load_crops(path, SIZE), crops)


def test_file_names_and_contents(tmp_path: Path) -> None:
    crops = random_crops(3)
    for kind in KINDS:
        save_crops(tmp_path, "s1/bbaf2n", crops, kind)
    assert np.array_equal(np.load(tmp_path / "s1" / "bbaf2n.npy"), crops)
    images = sorted((tmp_path / "s1" / "bbaf2n").iterdir())
    assert [image.name for image in images] == ["mouth_000.png", "mouth_001.png", "mouth_002.png"]
    assert np.array_equal(cv2.imread(str(images[1]))[..., ::-1], crops[1])  # OpenCV's files are BGR


def test_existing_files_stay(tmp_path: Path) -> None:
    save_crops(tmp_path, "s1/a", random_crops(2), "png")
    first, last = (tmp_path / "s1" / "a" / f"mouth_00{number}.png" for number in (0, 1))
    before = first.read_bytes()
    last.unlink()  # as after a killed run
    first.write_bytes(b"half")
    save_crops(tmp_path, "s1/a", random_crops(2), "png")
    assert first.read_bytes() == before and last.exists()
    first.write_bytes(b"mine")
    save_crops(tmp_path, "s1/a", random_crops(2), "png")
    assert first.read_bytes() == b"mine"


def test_images_load_by_their_numbers(tmp_path: Path) -> None:
    crops = random_crops(12)
    for number, crop in enumerate(crops, start=1):
        cv2.imwrite(str(tmp_path / f"{number}.png"), crop[..., ::-1])
    assert np.array_equal(load_crops(tmp_path, SIZE), crops)
    (tmp_path / "7.png").unlink()
    with pytest.raises(ExternalCropsError, match=r"not numbered consecutively; name them mouth_000\.png"):
        load_crops(tmp_path, SIZE)


def test_grey_images_load_as_rgb(tmp_path: Path) -> None:
    grey = random_crops(1)[0, ..., 0]
    cv2.imwrite(str(tmp_path / "0.png"), grey)
    assert np.array_equal(load_crops(tmp_path, SIZE)[0], np.stack([grey] * 3, axis=-1))


def write_array(array: np.ndarray) -> Callable[[Path], object]:
    return lambda path: np.save(path, array)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (
            lambda path: path.write_bytes(b"no array"),
            r"cannot be read as an array .*; save it with numpy\.save",
        ),
        (lambda path: path.write_bytes(b""), "cannot be read as an array"),
        (write_array(np.array([{}], dtype=object)), "cannot be read as an array"),
        (lambda path: np.savez(path.open("wb"), a=np.zeros(1)), "has several arrays"),
        (
            write_array(random_crops(2)[0]),
            r"an array of shape \(16, 24, 3\); give one of shape \(T, 16, 24, 3\)",
        ),
        (write_array(random_crops(2)[:0]), r"an array of shape \(0, 16, 24, 3\)"),
        (write_array(random_crops(2) / 255), "its pixels are float64; save them as uint8"),
        (
            write_array(random_crops(2).swapaxes(1, 2)),
            r"the shape of its crops is \(24, 16, 3\), not \(16, 24, 3\) .*set crop\.height and crop\.width",
        ),
    ],
)
def test_an_unusable_array_is_named(write: Callable[[Path], object], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write(path)
    with pytest.raises(ExternalCropsError, match=rf"a\.npy: {reason}"):
        load_crops(path, SIZE)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_an_unreadable_image_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mouth_000.png").write_bytes(content)
    with pytest.raises(ExternalCropsError, match=r"mouth_000\.png: cannot be read as an image"):
        load_crops(tmp_path, SIZE)


@pytest.mark.parametrize("kind", KINDS)
def test_crops_are_found_with_their_alignments(kind: str, tmp_path: Path) -> None:
    for name in ("s10/mine", "s2/bbaf2n", "s2/own"):
        save_crops(tmp_path / "crops", name, random_crops(2), kind)
    (tmp_path / "align" / "s10").mkdir(parents=True)
    (tmp_path / "align" / "s10" / "mine.align").write_text(ALIGN)
    corpus = find_crops(tmp_path / "crops", kind, tmp_path / "align")
    assert [clip.name for clip in corpus.clips] == ["s2/bbaf2n", "s10/mine"]
    assert [clip.sentence for clip in corpus.clips] == ["bin blue at f two now", "bin"]
    assert corpus.clips[1].words[0].start == 10
    assert list(corpus.problems) == ["s2/own"]
    assert [clip.name for clip in find_crops(tmp_path / "crops", kind, speakers=["s2"]).clips] == [
        "s2/bbaf2n"
    ]


def test_missing_crops(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        find_crops(tmp_path / "nowhere", "npy")
    save_crops(tmp_path, "s1/bbaf2n", random_crops(2), "npy")
    with pytest.raises(CorpusError, match=r"no images SPEAKER/ID/mouth_000\.png, \.\.\. in it"):
        find_crops(tmp_path, "png")
    with pytest.raises(CorpusError, match="no speaker 's9'; there are s1"):
        find_crops(tmp_path, "npy", speakers=["s9"])


NINES = "9" * 5000


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 50, 100, 3), }\n",  # 15 TB
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 50, 100, 3), }\n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + NINES + ", 50, 100, 3), }\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 50, 100, 3), }\n",
        "{'descr': 'zzz', 'fortran_order': False, 'shape': (1, 50, 100, 3), }\n",
        "{'descr': '|u1', ((((\n",
        "(" * 3000,
    ],
)
def test_a_damaged_array_is_named_in_one_line(header: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(20_000))
    with pytest.raises(
        ExternalCropsError, match=r"^\S+a\.npy: cannot be read as an array [^\n]{1,250}; [^\n]+$"
    ):
        load_crops(path, SIZE)


def test_an_array_that_is_a_broken_zip_file(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(ExternalCropsError, match=r"a\.npy: cannot be read as an array"):
        load_crops(tmp_path / "a.npy", SIZE)


def test_landmarks_are_beside_an_array(tmp_path: Path) -> None:
    landmarks = random_landmarks(12)
    landmarks[3] = np.nan
    save_crops(tmp_path, "s1/bbaf2n", random_crops(12), "npy", landmarks)
    array = tmp_path / "s1" / "bbaf2n.npy"
    assert np.array_equal(load_landmarks(array, 12), landmarks, equal_nan=True)
    assert [clip.id for clip in find_crops(tmp_path, "npy").clips] == ["bbaf2n"]  # no clip of their own
    with pytest.raises(ExternalCropsError, match=r"bbaf2n\.landmarks\.npy: .* float16 \(12, 68, 2\)"):
        load_landmarks(array, 13)
    np.save(tmp_path / "s1" / "bbaf2n.landmarks.npy", np.full_like(landmarks, np.nan))
    assert load_landmarks(array, 12) is None
    (tmp_path / "s1" / "bbaf2n.landmarks.npy").unlink()
    assert load_landmarks(array, 12) is None
