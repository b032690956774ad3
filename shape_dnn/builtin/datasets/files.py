"""Reading data files of strangers: nothing in them is executed, and every fault is one clear line."""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from shape_dnn.errors import DatasetError
from shape_dnn.kinds import LabelledImages


def require_data_dir(dataset: str, data_dir: str, content: str) -> Path:
    """Return the directory the user named.

    Raises:
        DatasetError: none was named, or it is no directory.
    """
    if not data_dir:
        raise DatasetError(f"dataset {dataset!r} is read from files; give --data-dir DIR, a directory with {content}")
    path = Path(data_dir).expanduser()
    if not path.is_dir():
        raise DatasetError(f"dataset {dataset!r}: {data_dir!r} is not a directory; expected one with {content}")
    return path


def find(directories: Iterable[Path], names: Iterable[str]) -> Path | None:
    """Return the first file that exists under one of the names in one of the directories."""
    names = tuple(names)
    return next((d / name for d in directories for name in names if (d / name).is_file()), None)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an array of bytes in the idx format of MNIST, gzipped or not.

    The file starts with two zero bytes, the type (8 for unsigned bytes), the number of dimensions, and their lengths
    as big-endian 32-bit integers; the rest are the values.

    Raises:
        DatasetError: the file is damaged or something else.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        _damaged(path, str(error))
    if len(content) < 4 + 4 * dimensions or content[:4] != bytes((0, 0, 8, dimensions)):
        _damaged(path, f"it does not start like an idx file of bytes in {dimensions} dimensions")
    lengths = struct.unpack_from(f">{dimensions}I", content, 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    if len(values) != np.prod(lengths, dtype=object):
        _damaged(path, f"it announces {' x '.join(map(str, lengths))} values and holds {len(values)}")
    return values.reshape(lengths)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles containers, text, numbers and numpy arrays of numbers, and refuses every other class or function."""

    _ALLOWED = frozenset(
        {
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.numeric", "_frombuffer"),
            ("numpy.core.numeric", "_frombuffer"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it asks to run {module}.{name}, which no image batch needs")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _unpickle(content: bytes) -> object:
    """Load a pickle that holds only arrays, containers, text and numbers."""
    for operation, argument, _ in pickletools.genops(content):
        # The reader makes room for as many objects as the highest number given to one, which a damaged file inflates.
        if operation.name.endswith("PUT") and int(argument or 0) > len(content):
            raise pickle.UnpicklingError(f"it numbers an object {argument}, and has {len(content)} bytes")
    return _ArraysOnly(io.BytesIO(content), encoding="bytes").load()


def read_batch(path: Path) -> dict[str, Any]:
    """Read a batch of images as CIFAR and ImageNet32x32 are published: a pickled dictionary, or ``.npz``.

    Raises:
        DatasetError: the file is damaged, or holds anything but arrays, lists, numbers and text.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        content = _unpickle(path.read_bytes())
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        _damaged(path, str(error))
    except Exception as error:  # noqa: BLE001 - unpickling garbage can raise anything
        _damaged(path, " ".join(str(error).split()) or type(error).__name__)
    if not isinstance(content, dict):
        _damaged(path, f"it holds a {type(content).__name__} instead of a dictionary")
    return {k.decode("latin-1") if isinstance(k, bytes) else str(k): v for k, v in content.items()}


def batch_images(path: Path, batch: dict[str, Any], labels_name: str, first_label: int) -> LabelledImages:
    """Take 32x32 colour images and labels out of a batch.

    Args:
        path: for messages.
        batch: as :func:`read_batch` returns it, with ``data`` of shape (number, 3072).
        labels_name: key of the labels.
        first_label: the label that stands for class 0.

    Raises:
        DatasetError: something is missing or has another form.
    """
    for name in ("data", labels_name):
        if name not in batch:
            _damaged(path, f"it has no entry {name!r}")
    data = batch["data"]
    try:
        labels = np.asarray(batch[labels_name])
    except ValueError:
        labels = np.empty(0)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        form = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        _damaged(path, f"its images are {form} instead of uint8 (number, 3072)")
    if labels.shape != (len(data),) or labels.dtype.kind not in "iu":
        _damaged(path, f"it has {len(data)} images and labels of another number or kind")
    return LabelledImages(data.reshape(-1, 3, 32, 32), labels.astype(np.int64) - first_label)


def names(path: Path, batch: dict[str, Any], key: str) -> tuple[str, ...]:
    """Take a list of names out of what :func:`read_batch` returned.

    Raises:
        DatasetError: there is none.
    """
    found = batch.get(key)
    if not isinstance(found, list) or not all(isinstance(name, bytes | str) for name in found):
        _damaged(path, f"it has no list of names {key!r}")
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in found)


def check_labels(where: Path, part: LabelledImages, classes: int) -> LabelledImages:
    """Return the images if there are any and every label is a class.

    Raises:
        DatasetError: otherwise.
    """
    if len(part.images) != len(part.labels):
        _damaged(where, f"it has {len(part.images)} images and {len(part.labels)} labels")
    if not len(part):
        _damaged(where, "it holds no images")
    low, high = int(part.labels.min()), int(part.labels.max())
    if low < 0 or high >= classes:
        _damaged(where, f"its labels run from {low} to {high}, and there are {classes} classes")
    return part


def concatenate(parts: Iterable[LabelledImages]) -> LabelledImages:
    """Join batches in order."""
    parts = tuple(parts)
    return LabelledImages(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]))


def download(dataset: str, torchvision_name: str, root: Path) -> None:
    """Fetch a dataset by torchvision, which checks what arrives.

    Raises:
        DatasetError: it did not arrive.
    """
    import torchvision

    try:
        root.mkdir(parents=True, exist_ok=True)
        with _safe_archives():
            getattr(torchvision.datasets, torchvision_name)(root, download=True)
    except Exception as error:
        message = " ".join(str(error).split())
        raise DatasetError(f"dataset {dataset!r} could not be downloaded to {str(root)!r}: {message}") from error


@contextmanager
def _safe_archives() -> Iterator[None]:
    """Let no archive write outside its directory, nor make links or devices; early torchvisions do not ask for that.

    Python before 3.11.4 cannot see to it, and unpacks none.
    """
    name, value = "extraction_filter", getattr(tarfile, "data_filter", None)
    if value is None:
        name, value = "extractall", _refuse
    before = getattr(tarfile.TarFile, name)
    setattr(tarfile.TarFile, name, staticmethod(value))
    try:
        yield
    finally:
        setattr(tarfile.TarFile, name, before)


def _refuse(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("Python before 3.11.4 unpacks archives that write anywhere; upgrade it, or unpack it yourself")


def _damaged(path: Path, why: str) -> NoReturn:
    raise DatasetError(f"{path} is damaged or not what it should be: {why[:200]}; get the file again")
