"""Images that lie encoded in files, as photographs do, and are decoded by many processors at a time."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from shape_dnn import devices
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import EncodedImages, InputShape, LabelledImages
from shape_dnn.system.text import one_line

if TYPE_CHECKING:
    from PIL import Image

AT_A_TIME = 16
"""Images that a thread decodes before that is told."""
AHEAD = 4
"""Times as many are begun for each processor before the first of them is needed, so that none has to wait."""
AHEAD_BYTES = 2**29
"""Bytes that decoded images take at most before they are needed."""
SHARE = 0.25
"""Part of the memory of a machine that a dataset takes as pixels at most, or else it is streamed.

Twice as much is in use while images are selected of those that were read, and trainings need memory as well.
"""

Progress = Callable[[int, int], None]
Result = TypeVar("Result")


def pixels(parts: Iterable[EncodedImages]) -> int:
    """Return the bytes that images take once they are decoded."""
    return sum(len(part) * int(np.prod(part.input_shape)) for part in parts)


def exceed_memory(parts: Iterable[EncodedImages]) -> bool:
    """Tell whether images had better not be kept as pixels, by their number and size and the memory there is."""
    return pixels(parts) > SHARE * devices.total_memory("cpu")


def in_memory(parts: Sequence[EncodedImages], progress: Progress = lambda *_: None) -> list[LabelledImages]:
    """Decode images and keep them.

    Args:
        parts: of a dataset.
        progress: told how many have been decoded, of how many.

    Raises:
        DatasetError: one of them cannot be decoded; says which.
    """
    number, before, found = sum(map(len, parts)), 0, []
    for part in parts:
        levels = np.empty((len(part), *part.input_shape), np.uint8)
        for start, decoded in _in_turn(decode, part):
            levels[start : start + len(decoded)] = decoded
            progress(before + start + len(decoded), number)
        before += len(part)
        found.append(LabelledImages(levels, part.labels))
    return found


def levels(part: EncodedImages) -> Iterator[NDArray[np.uint8]]:
    """Decode images a few at a time, in order.

    Raises:
        DatasetError: one of them cannot be decoded; says which.
    """
    for _, decoded in _in_turn(decode, part):
        yield decoded


def levels_and_sums(part: EncodedImages) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Decode images a few at a time, in order, and give the sums of each (:class:`EncodedImages`).

    Raises:
        DatasetError: one of them cannot be decoded; says which.
    """

    def work(few: EncodedImages) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        decoded = decode(few)
        flat = decoded.reshape(*decoded.shape[:2], -1)
        squares = np.square(flat, dtype=np.uint32)
        return decoded, np.stack([flat.sum(-1, dtype=np.int64), squares.sum(-1, dtype=np.int64)], -1)

    for _, found in _in_turn(work, part):
        yield found


def _in_turn(work: Callable[[EncodedImages], Result], part: EncodedImages) -> Iterator[tuple[int, Result]]:
    """Work on a few images at a time on each processor; give what comes of them in order, so the first fault is raised.

    Pillow decodes and resizes without the lock of the interpreter, as numpy adds.
    """
    begun: deque[tuple[int, Future[Result]]] = deque()
    starts = iter(range(0, len(part), AT_A_TIME))
    with ThreadPoolExecutor(devices.cores()) as pool:

        def begin(number: int) -> None:
            for start in itertools.islice(starts, number):
                few = part.take(np.arange(start, min(start + AT_A_TIME, len(part))))
                begun.append((start, pool.submit(work, few)))

        room = AHEAD_BYTES // (AT_A_TIME * int(np.prod(part.input_shape)))
        begin(max(1, min(AHEAD * devices.cores(), room)))
        try:
            while begun:
                start, future = begun.popleft()
                yield start, future.result()
                begin(1)
        finally:
            pool.shutdown(cancel_futures=True)


def decode(part: EncodedImages) -> NDArray[np.uint8]:
    """Decode images, one after the other; return them as uint8 of shape (number, channels, height, width).

    In memory the channels of a pixel lie beside each other, as decoders write them and convolutions read them.

    Raises:
        DatasetError: one of them cannot be decoded; says which.
    """
    channels, height, width = part.input_shape
    decoded = np.empty((len(part), height, width, channels), np.uint8).transpose(0, 3, 1, 2)
    for own, (file, start, length) in zip(decoded, part.places.tolist(), strict=True):
        own[:] = _decode(part.root / part.names[file], start, length, part.input_shape)
    return decoded


def _decode(path: Path, start: int, length: int, input_shape: InputShape) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    channels, height, width = input_shape
    if not path.is_file():  # a pipe, say, which might never end
        _refuse(path, start, "it is no file, or not there any more")
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = io.BytesIO(file.read(length))
        with Image.open(content) as opened:
            has_16_bits = opened.mode.startswith("I;16") or (opened.mode == "I" and opened.format == "PPM")
            upright = _in_8_bits(ImageOps.exif_transpose(opened), has_16_bits)
            upright = upright.convert("RGB" if channels == 3 else "L")
            resized = upright.resize((width, height), Image.Resampling.BILINEAR)
    except UnidentifiedImageError:
        _refuse(path, start, "it is of no known format")
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - damaged files make the decoders raise whatever comes to them
        _refuse(path, start, " ".join(str(error).split()) or type(error).__name__)
    levels = np.asarray(resized, np.uint8)
    return levels[None] if channels == 1 else levels.transpose(2, 0, 1)


def _in_8_bits(image: Image.Image, has_16_bits: bool) -> Image.Image:
    """Scale levels from 0 to 65535 to those of a byte, which a conversion would cut off, and write palettes out.

    Raises:
        ValueError: it has levels of which nobody knows the most.
    """
    from PIL import Image

    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")  # has no part in what follows, but is warned of
    if has_16_bits:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("its levels are not those of 8 or 16 bits; convert it to 8")
    return image


def _refuse(path: Path, start: int, why: str) -> NoReturn:
    where = f"{path}, from its byte {start} on," if start else f"{path}"
    raise DatasetError(one_line(f"{where} cannot be read as an image: {why}; repair or remove it")) from None


def stamp(parts: Iterable[EncodedImages]) -> str:
    """Name images by where they lie, how large their files are and when these were written last; none is read.

    Raises:
        DatasetError: a file is not there.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        files = [part.root / name for name in part.names]
        with ThreadPoolExecutor(AT_A_TIME) as pool:  # a network file system takes its time to answer each
            written = np.array(list(pool.map(_written, files)), np.int64)
        digest.update(json.dumps([str(part.root), list(part.names), part.input_shape]).encode())
        for values in (written, part.places, part.labels):
            digest.update(np.ascontiguousarray(values, "<i8").data)
    return digest.hexdigest()


def _written(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
    return found.st_size, found.st_mtime_ns
