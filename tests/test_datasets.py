"""Real files, small files in the format of those that cannot be had here, and damaged ones."""

from __future__ import annotations

import dataclasses
import gzip
import os
import pickle
import struct
import tarfile
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shape_dnn import Dataset, DatasetError, LabelledImages, UsageError, devices
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.builtin.datasets.cifar import Cifar10, Cifar100
from shape_dnn.builtin.datasets.digits import Digits
from shape_dnn.builtin.datasets.folder import Folder
from shape_dnn.builtin.datasets.imagenet32 import ImageNet32
from shape_dnn.builtin.datasets.mnist import FashionMnist, Mnist
from shape_dnn.data import encoded, splits
from shape_dnn.data.images import fingerprint
from shape_dnn.events import DatasetRead, Event
from shape_dnn.settings import Settings

FASHION = Path("/usr/share/datasets/fashion-mnist")


def write_idx(path: Path, values: np.ndarray, header: bytes = b"") -> None:
    content = header or bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    content += values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(directory: Path, ending: str = ".gz", number: int = 40) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for prefix in ("train", "t10k"):
        write_idx(directory / f"{prefix}-images-idx3-ubyte{ending}", rng.integers(0, 256, (number, 28, 28)))
        write_idx(directory / f"{prefix}-labels-idx1-ubyte{ending}", np.arange(number) % 10)


def write_batch(
    path: Path, classes: int, labels: str, number: int = 40, first: int = 0, protocol: int = 2
) -> np.ndarray:
    data = np.random.default_rng(list(path.name.encode())).integers(0, 256, (number, 3072), dtype=np.uint8)
    batch = {"data": data, labels: [first + i % classes for i in range(number)], "filenames": ["a.png"] * number}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(batch, protocol))
    return data


def write_cifar10(directory: Path) -> None:
    for (name,) in Cifar10.required:
        write_batch(directory / name, 10, "labels")


def write_imagenet32(directory: Path) -> None:
    for name in (*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"):
        write_batch(directory / name, 1000, "labels", first=1)


def test_digits_are_real_and_split_by_class() -> None:
    train, test = Digits().load()
    assert len(train) + len(test) == 1797
    assert train.images.shape[1:] == Digits().input_shape
    assert train.images.dtype == np.uint8
    assert train.images.max() == 255
    shares = np.bincount(test.labels) / np.bincount(np.concatenate([train.labels, test.labels]))
    assert np.all(np.abs(shares - 0.2) < 0.01)
    assert not Digits().short_recipe("cpu").flip


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_read_from_debian_s_files_where_they_lie() -> None:
    train, test = FashionMnist(str(FASHION)).load()
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.images.shape == (60_000, 1, 28, 28)
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert np.bincount(FashionMnist(str(FASHION), limit=500).load()[0].labels).tolist() == [50] * 10


@pytest.mark.parametrize("place", [".", "MNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist_is_found_flat_or_as_torchvision_lays_it_out(place: str, ending: str) -> None:
    write_mnist(Path("data") / place, ending)
    train, test = Mnist("data").load()
    assert train.images.shape == test.images.shape == (40, 1, 28, 28)
    assert train.labels.tolist() == [i % 10 for i in range(40)]


def test_a_reduced_image_holds_the_means_of_squares() -> None:
    write_mnist(Path("data"), "")
    whole, _ = Mnist("data").load()
    reduced, _ = Mnist("data", size=14).load()
    assert reduced.images.shape == (40, 1, 14, 14) == (40, *Mnist("data", size=14).input_shape)
    assert reduced.images[7, 0, 3, 5] == round(float(whole.images[7, 0, 6:8, 10:12].mean()))
    with pytest.raises(UsageError, match="size=13: accepted are 28, 14, 7, 4, 2, 1 pixels"):
        Mnist("data", size=13)


@pytest.mark.parametrize("place", [".", "cifar-10-batches-py"])
def test_cifar10_batches(place: str) -> None:
    write_cifar10(Path("data") / place)
    train, test = Cifar10("data").load()
    assert train.images.shape == (200, 3, 32, 32)
    data = write_batch(Path("again", "test_batch"), 10, "labels")
    assert np.array_equal(test.images.reshape(40, -1), data), "the first 1024 values of a row are the red channel"


def test_cifar_takes_the_names_of_its_classes_from_the_file_that_has_them() -> None:
    write_cifar10(Path("data"))
    assert Cifar10("data").class_names == ()
    Path("batches.meta").write_text("a file of something else, where nobody named a directory")
    assert Cifar10().class_names == ()
    names = [f"class {i}" for i in range(10)]
    Path("data/batches.meta").write_bytes(pickle.dumps({b"label_names": [name.encode() for name in names]}))
    assert Cifar10("data").class_names == tuple(names)
    Path("data/batches.meta").write_bytes(pickle.dumps({b"names": names}))
    with pytest.raises(DatasetError, match=r"batches.meta is damaged .* no list of names 'label_names'"):
        _ = Cifar10("data").class_names


def test_cifar_batches_written_by_python_2() -> None:
    for (name,) in Cifar10.required:
        path = Path("data") / name
        write_batch(path, 10, "labels")
        batch = pickle.loads(path.read_bytes())
        text = pickle.dumps({k.encode(): v for k, v in batch.items()}, 2)
        path.write_bytes(text.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert len(Cifar10("data").load()[0]) == 200


def test_cifar100_fine_labels() -> None:
    for name in ("train", "test"):
        write_batch(Path("data") / name, 100, "fine_labels", number=200)
    train, _ = Cifar100("data").load()
    assert train.labels.max() == 99


def test_imagenet32_labels_start_at_one() -> None:
    write_imagenet32(Path("data"))
    train, test = ImageNet32("data").load()
    assert (len(train), len(test)) == (400, 40)
    assert train.labels.min() == 0


def test_imagenet32_in_npz() -> None:
    write_imagenet32(Path("data"))
    for path in list(Path("data").iterdir()):
        batch = pickle.loads(path.read_bytes())
        np.savez(path.with_name(path.name + ".npz"), data=batch["data"], labels=np.array(batch["labels"]))
        path.unlink()
    assert len(ImageNet32("data").load()[0]) == 400


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch exploded",)


@pytest.mark.parametrize(
    ("dataset", "write", "name"),
    [(Cifar10, write_cifar10, "data_batch_3"), (ImageNet32, write_imagenet32, "val_data")],
)
def test_nothing_in_a_batch_is_executed(dataset: type[Dataset], write: Callable[[Path], None], name: str) -> None:
    write(Path("data"))
    for bomb in (Bomb(), {"data": Bomb()}, {"data": np.array([Bomb()], dtype=object), "labels": [1]}):
        (Path("data") / name).write_bytes(pickle.dumps(bomb))
        with pytest.raises(DatasetError, match=rf"{name} is damaged.*system"):
            dataset(data_dir="data").load()  # type: ignore[call-arg]
    assert not Path("exploded").exists()


def test_an_npz_with_objects_is_refused() -> None:
    write_imagenet32(Path("data"))
    (Path("data") / "val_data").unlink()
    np.savez("data/val_data.npz", data=np.array([Bomb()], dtype=object), labels=np.array([1]))
    with pytest.raises(DatasetError, match=r"val_data\.npz is damaged"):
        ImageNet32("data").load()
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:200]), "damaged"),
        (lambda p: p.write_bytes(b""), "damaged"),
        (lambda p: p.write_bytes(b"not gzip at all"), "damaged"),
        (
            lambda p: write_idx(p, np.zeros((40, 28, 28)), header=b"\0\0\x0d\x03" + struct.pack(">3I", 40, 28, 28)),
            "does not start like",
        ),
        (
            lambda p: write_idx(p, np.zeros((39, 28, 28)), header=b"\0\0\x08\x03" + struct.pack(">3I", 40, 28, 28)),
            "announces 40 x 28 x 28",
        ),
        (lambda p: write_idx(p, np.zeros((39, 28, 28))), "39 images and 40 labels"),
        (lambda p: write_idx(p, np.zeros((40, 8, 8))), "images of .8, 8. pixels"),
        (lambda p: p.unlink(), "no train-images-idx3-ubyte.gz or train-images-idx3-ubyte in"),
    ],
)
def test_damaged_idx_files_are_named(damage: Callable[[Path], object], complaint: str) -> None:
    write_mnist(Path("data"))
    damage(Path("data/train-images-idx3-ubyte.gz"))
    with pytest.raises(DatasetError, match=complaint) as refused:
        Mnist("data").load()
    assert "train-" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"data": np.zeros((4, 3072), np.uint8)}, "no entry 'labels'"),
        ({"labels": [0]}, "no entry 'data'"),
        ({"data": np.zeros((4, 3071), np.uint8), "labels": [0] * 4}, "its images are uint8"),
        ({"data": np.zeros((4, 3072), np.float32), "labels": [0] * 4}, "its images are float32"),
        ({"data": [1, 2], "labels": [0] * 2}, "its images are list"),
        ({"data": np.zeros((4, 3072), np.uint8), "labels": [0] * 3}, "4 images and labels of another number"),
        ({"data": np.zeros((4, 3072), np.uint8), "labels": [0.5] * 4}, "4 images and labels of another number or kind"),
        ({"data": np.zeros((4, 3072), np.uint8), "labels": [[0], [1, 2]]}, "labels of another number"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}, "labels run from 0 to 10"),
        ({"data": np.zeros((0, 3072), np.uint8), "labels": np.zeros(0, int)}, "no images"),
        ([1, 2, 3], "holds a list instead of a dictionary"),
    ],
)
def test_batches_of_another_form_are_named(content: object, complaint: str) -> None:
    write_cifar10(Path("data"))
    Path("data/data_batch_2").write_bytes(pickle.dumps(content))
    with pytest.raises(DatasetError, match=f"data_batch_2.*{complaint}"):
        Cifar10("data").load()


def test_missing_directories_say_what_is_expected() -> None:
    with pytest.raises(DatasetError, match=r"give --data-dir DIR, a directory with data_batch_1"):
        Cifar10().load()
    with pytest.raises(DatasetError, match="'nowhere' is not a directory"):
        Mnist("nowhere").load()


def write_folder(root: Path, classes: int = 3, number: int = 10) -> None:
    rng = np.random.default_rng(0)
    for label in range(classes):
        (root / f"class {label}").mkdir(parents=True)
        for i in range(number):
            size = (int(rng.integers(9, 60)), int(rng.integers(9, 60)))
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"class {label}" / f"{i}.{'png' if i % 2 else 'jpg'}")


def write_classes(*names: str) -> None:
    write_folder(Path("photos"), classes=len(names))
    for label, name in enumerate(names):
        Path(f"photos/class {label}").rename(Path("photos", name))


def test_a_class_may_be_called_train() -> None:
    write_classes("Train", "bus", "Value")
    assert Folder("photos", size=4).class_names == ("Train", "Value", "bus")


def decoded_plainly(path: Path, size: int) -> Any:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def test_a_folder_of_images_of_any_size() -> None:
    write_folder(Path("photos"))
    dataset = Folder("photos", size=24)
    train, test = dataset.load()
    assert (dataset.input_shape, dataset.classes) == ((3, 24, 24), 3)
    assert (train.images.shape, test.images.shape) == ((24, 3, 24, 24), (6, 3, 24, 24))
    assert np.bincount(test.labels).tolist() == [2, 2, 2]
    again, _ = Folder("photos", size=24).load()
    assert np.array_equal(train.images, again.images)


@pytest.mark.parametrize(("of_training", "of_test"), [("train", "val"), ("Train", "Test"), ("TRAIN", "Val")])
def test_a_folder_with_its_own_test_images_in_grey(of_training: str, of_test: str) -> None:
    write_folder(Path("photos", of_training))
    write_folder(Path("photos", of_test), number=4)
    train, test = Folder("photos", channels=1).load()
    assert (train.images.shape, test.images.shape) == ((30, 1, 32, 32), (12, 1, 32, 32))


@pytest.mark.parametrize(
    ("prepare", "complaint"),
    [
        (lambda: Path("photos").mkdir(), "has 0 sub-folders"),
        (lambda: write_folder(Path("photos"), classes=1), "has 1 sub-folders"),
        (lambda: (write_folder(Path("photos")), Path("photos/empty").mkdir()), "no image in 'photos/empty'"),
        (lambda: (write_folder(Path("photos")), Path("photos/class 0/0.jpg").write_text("hm")), r"0\.jpg cannot be read as an image"),
        (
            lambda: (write_folder(Path("photos")), Path("photos/class 0/1.png").write_bytes(Path("photos/class 0/1.png").read_bytes()[:90])),
            r"1\.png cannot be read as an image",
        ),
        (lambda: (write_folder(Path("photos/train")), write_folder(Path("photos/test"), classes=4)), "has the class 'class 3'"),
        (lambda: write_classes("Train", "Test", "bus"), "'photos/Train' has no sub-folder for each class; if 'Train' is a class"),
        (lambda: write_classes("train", "Train", "bus"), "'photos' has 'Train' and 'train'; rename one of them"),
    ],
)  # fmt: skip
def test_faults_in_folders_are_named(prepare: Callable[[], object], complaint: str) -> None:
    prepare()
    with pytest.raises(DatasetError, match=complaint):
        Folder("photos").load()


def test_a_folder_reads_the_same_with_any_number_of_threads_and_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_folder(Path("photos/train"), number=30)
    write_folder(Path("photos/test"), number=5)
    monkeypatch.setattr(encoded, "AT_A_TIME", 4)
    found, told = [], []
    for threads in (1, 3, 8):
        monkeypatch.setattr(devices, "cores", lambda threads=threads: threads)
        found.append(Folder("photos", size=24).load_with_progress(lambda *numbers: told.append(numbers)))
    steps = [*range(4, 90, 4), 90, 94, 98, 102, 105]
    assert told == 3 * [(done, 105) for done in steps]
    for place, part in enumerate(("train", "test")):
        paths = sorted(Path("photos", part).rglob("*.*"))
        one_by_one = np.stack([decoded_plainly(path, 24) for path in paths])
        for read in found:
            assert np.array_equal(read[place].images, one_by_one)
            assert read[place].labels.tolist() == [int(path.parent.name[-1]) for path in paths]


def test_of_several_images_that_cannot_be_read_the_first_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """However quick the others are found out."""
    write_folder(Path("photos/train"), number=30)
    write_folder(Path("photos/test"), number=1)
    monkeypatch.setattr(encoded, "AT_A_TIME", 1)
    monkeypatch.setattr(devices, "cores", lambda: 8)
    for name in ("class 0/21.png", "class 1/3.png", "class 2/9.png"):
        Path("photos/train", name).write_text("hm")
    decode, late = encoded._decode, threading.Event()

    def read(path: Path, *place: Any) -> Any:
        if path.name == "21.png":
            late.wait(1)
        try:
            return decode(path, *place)
        finally:
            if path.parent.name == "class 1":
                late.set()

    monkeypatch.setattr(encoded, "_decode", read)
    with pytest.raises(DatasetError, match=r"class 0/21\.png cannot be read"):
        Folder("photos").load()


def test_a_search_tells_how_far_a_dataset_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(Path("photos"), number=20)
    monkeypatch.setattr(encoded, "AT_A_TIME", 7)
    problem = Assembly(Settings.create({"dataset": "folder", "data_dir": "photos", "device": "cpu"})).problem
    events: list[Event] = []
    problem.read(events.append)
    assert events[-1:] == [DatasetRead("folder", 60, 60)], "a small one is read at once"
    images, _ = problem.images
    problem = dataclasses.replace(problem)
    monkeypatch.setattr("shape_dnn.study.classification.TELLING_SECONDS", 0.0)
    events.clear()
    problem.read(events.append)
    assert events == [DatasetRead("folder", done, 60) for done in (7, 14, 21, 28, 35, 42, 48, 55, 60)]
    assert np.array_equal(problem.images[0].images, images.images)


def test_impossible_options_of_a_folder_are_refused() -> None:
    with pytest.raises(UsageError, match="dataset.size=0"):
        Folder("photos", size=0)
    with pytest.raises(UsageError, match="dataset.test=1"):
        Folder("photos", test=Fraction(1))


def test_what_is_known_without_files() -> None:
    assert (Cifar10().input_shape, Cifar10().classes) == ((3, 32, 32), 10)
    assert (Cifar100().input_shape, Cifar100().classes) == ((3, 32, 32), 100)
    assert (ImageNet32().input_shape, ImageNet32().classes) == ((3, 32, 32), 1000)
    assert (Mnist().input_shape, Mnist().classes) == ((1, 28, 28), 10)


def labelled(number: int = 300) -> LabelledImages:
    labels = np.repeat(np.arange(3), [number // 2, number // 3, number - number // 2 - number // 3])
    images = np.arange(number, dtype=np.int64).astype(np.uint8).reshape(-1, 1, 1, 1)
    return LabelledImages(images, labels.astype(np.int64))


def test_a_split_is_stratified_seeded_and_complete() -> None:
    data = labelled()
    kept, held_out = splits.split(data, 0.2, seed=1)
    assert np.bincount(held_out.labels).tolist() == [30, 20, 10]
    assert sorted([*kept.images.ravel(), *held_out.images.ravel()]) == sorted(data.images.ravel())
    same = splits.split(data, 0.2, seed=1)[1]
    other = splits.split(data, 0.2, seed=2)[1]
    assert np.array_equal(held_out.images, same.images)
    assert not np.array_equal(held_out.images, other.images)


def test_a_fingerprint_names_the_content() -> None:
    data = labelled()
    assert fingerprint(data) == fingerprint(labelled())
    changed = labelled()
    changed.images[7] += 1
    relabelled = LabelledImages(data.images, np.roll(data.labels, 1))
    assert len({fingerprint(d) for d in (data, changed, relabelled, splits.limit(data, 100))}) == 4


@pytest.mark.parametrize("is_early", [False, True], ids=["Python 3.11.4 or later", "Python before 3.11.4"])
def test_an_archive_that_is_downloaded_writes_nothing_elsewhere(
    monkeypatch: pytest.MonkeyPatch, is_early: bool
) -> None:
    import torchvision

    if is_early:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    elif not hasattr(tarfile, "data_filter"):
        pytest.skip("this is an early one")

    def fetch(root: Path, download: bool) -> None:
        with tarfile.open("evil.tar", "w") as archive:
            Path("content").write_text("evil")
            archive.add("content", arcname="../outside")
        with tarfile.open("evil.tar") as archive:
            archive.extractall(root)  # noqa: S202 - as early torchvisions do

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fetch)
    with pytest.raises(DatasetError, match=r"'cifar10' could not be downloaded to 'data': .*(outside|before 3.11.4)"):
        Cifar10(data_dir="data", download=True).load()
    assert not Path("outside").exists()
