"""Datasets beyond memory: images that are decoded whenever they are needed make the same trainings as kept ones."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import numpy as np
import psutil
import pytest
import torch
from hypothesis import strategies as st
from test_augmentation import EVERYTHING
from test_datasets import write_folder
from test_training import SHAPE, TINY, go_on, task, trainer

from shape_dnn import (
    DatasetError,
    EncodedImages,
    LabelledImages,
    ProcessDiedError,
    UnavailableError,
    devices,
    export,
    tune,
)
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.builtin.datasets.folder import Folder
from shape_dnn.builtin.datasets.webdataset import WebDataset
from shape_dnn.builtin.executors.room import Place, Room
from shape_dnn.data import encoded, images
from shape_dnn.data.names import Names
from shape_dnn.data.splits import Part
from shape_dnn.events import DatasetRead, Event
from shape_dnn.records import Epoch
from shape_dnn.settings import Settings
from shape_dnn.system import cgroups, processes
from shape_dnn.training import loop, streamed
from shape_dnn.training.batches import Batches
from shape_dnn.training.classifier import ClassifierTrainer, split
from shape_dnn.training.streamed import Streamed
from shape_dnn.work import Needs, Pulse

CPU = torch.device("cpu")
ALIKE: dict[str, Any] = {"depth": "10:11:6", "width": "1/4:1/2:1/4", "goal": "accuracy", "device": "cpu"}


@pytest.fixture(autouse=True)
def readers_start_as_in_workers() -> Iterator[None]:
    with processes.start_method_left_open():
        processes.start_copies()
        yield


def kept_and_streamed(size: int = 12, number: int = 40) -> tuple[Path, Path]:
    """Return the directories of the same images, once as pixels and once encoded."""
    write_folder(Path("photos"), number=number)
    kept, found = (Folder("photos", size=size, stream=how).load() for how in ("no", "yes"))
    assert isinstance(kept[0], LabelledImages)
    assert isinstance(found[0], EncodedImages)
    images.save(*kept, Path("kept"))  # type: ignore[arg-type]
    return Path("kept"), images.survey(*found, Path("surveys"), lambda *_: None)  # type: ignore[arg-type]


def drawn(directory: Path, device: torch.device) -> list[torch.Tensor]:
    """All that a training sees: statistics, two epochs of batches, and what is left of the random numbers."""
    learning, judging = split(directory, "validation", 0.3, 0)
    learnt_from = Batches(learning, device, classes=3)
    judged_on = Batches(judging, device, like=learnt_from)
    tested_on = Batches(Part.of_all(images.load(directory)[1]), device, like=learnt_from)
    torch.manual_seed(5)
    seen = list(learnt_from.statistics)
    for _ in range(2):
        for given in (learnt_from.shuffled(16, EVERYTHING), judged_on.in_order(16), tested_on.in_order(16)):
            for batch in given:
                seen += [each.clone() for each in batch]
    return [*seen, torch.rand(3, device=device)]


def on_a_gpu(where: str) -> Any:
    """A parameter of tests that need one."""
    without = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    return pytest.param(where, marks=[pytest.mark.gpu, without])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("device", ["cpu", on_a_gpu("cuda:0")])
def test_streamed_images_make_the_same_batches_with_every_augmentation(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, surveyed = kept_and_streamed()
    expected = drawn(kept, torch.device(device))
    for number in (1, 3):
        monkeypatch.setattr(streamed, "readers", lambda _, number=number: number)
        seen = drawn(surveyed, torch.device(device))
        assert all(torch.equal(one, other) for one, other in zip(seen, expected, strict=True))


def of_photographs(directory: Path, **changes: object) -> ClassifierTrainer:
    return trainer(images=directory, classes=3, recipe=dataclasses.replace(TINY, batch_size=16), **changes)


def test_a_training_on_streamed_images_is_the_same_training() -> None:
    usual, other = (dataclasses.replace(task(), trainer=of_photographs(each)) for each in kept_and_streamed())
    assert other.run(go_on).curve == usual.run(go_on).curve


def test_the_same_data_has_the_same_name_however_it_lies() -> None:
    kept, surveyed = kept_and_streamed()
    name = images.fingerprint(*images.load(kept))
    assert images.name_of(surveyed) == name
    assert images.fingerprint(*images.load(surveyed)) == name
    assert images.find(Path("surveys"), name) == surveyed
    assert images.find(Path("surveys"), "another") is None


def test_images_are_decoded_once_until_a_file_changes() -> None:
    told: list[tuple[int, int]] = []
    _, surveyed = kept_and_streamed()
    name = images.name_of(surveyed)

    def again() -> Path:
        found = Folder("photos", size=12, stream="yes").load()
        return images.survey(*found, Path("surveys"), lambda *numbers: told.append(numbers))  # type: ignore[arg-type]

    assert again() == surveyed
    assert not told
    assert images.are_intact(surveyed, name)
    shutil.copy("photos/class 0/3.png", "photos/class 0/1.png")
    assert not images.are_intact(surveyed, name)
    assert images.name_of(again()) != name
    assert told[-1] == (120, 120)


def test_datasets_are_streamed_where_pixels_would_take_more_than_a_quarter_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_folder(Path("photos"))
    taken = 30 * 3 * 32 * 32
    for memory, kind in ((4 * taken, LabelledImages), (4 * taken - 4, EncodedImages)):
        monkeypatch.setattr(devices, "total_memory", lambda _, memory=memory: memory)
        assert {type(part) for part in Folder("photos").load()} == {kind}
        assert {type(part) for part in Folder("photos", stream="no").load()} == {LabelledImages}


class Interrupted(Exception):
    """The process ends here."""


def interrupted_within(directory: Path, steps: int, monkeypatch: pytest.MonkeyPatch, *, kindly: bool) -> Any:
    """Train until some steps of the second epoch were taken, and then go on in another attempt.

    Args:
        directory: of the images.
        steps: of that epoch before the interruption.
        monkeypatch: of the test.
        kindly: whether the training is asked to stop, rather than killed.
    """
    monkeypatch.setattr(loop, "WITHIN_EPOCH_SECONDS", 0.0)
    monkeypatch.setattr(Pulse, "SECONDS", 0.0)
    epochs, beats = 0, 0

    def report(what: object) -> bool:
        nonlocal epochs, beats
        if isinstance(what, Epoch):
            epochs, beats = epochs + 1, 0
        elif epochs == 1:
            beats += 1
            if beats > steps:
                if kindly:
                    return False
                raise Interrupted
        return True

    own = dataclasses.replace(task(), trainer=of_photographs(directory), checkpoint_seconds=1e9 if kindly else 0.0)
    if kindly:
        assert own.run(report).quality is None
    else:
        with pytest.raises(Interrupted):
            own.run(report)
    seen: list[object] = []
    again = dataclasses.replace(own, attempt="another").run(lambda what: seen.append(what) or True)
    return again, sum(what is None for what in seen)


@pytest.mark.parametrize(("kindly", "taken"), [(True, 2), (True, 4), (False, 2)])  # after four it is judged
@pytest.mark.parametrize("how", ["kept", "streamed"])
def test_a_training_that_is_interrupted_within_an_epoch_goes_on_from_there(
    how: str, kindly: bool, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = kept_and_streamed()[how == "streamed"]
    whole = dataclasses.replace(task(), trainer=of_photographs(directory)).run(go_on)
    shutil.rmtree("checkpoints", ignore_errors=True)
    shutil.rmtree("weights")
    training, beats = interrupted_within(directory, taken, monkeypatch, kindly=kindly)
    assert training.curve == whole.curve
    steps, judging = 76 // 16, 1
    left = max(0, steps - taken - (1 if kindly else 0))
    assert beats == left + judging, "only the steps that were left are taken again"


def test_a_search_streams_and_finds_what_one_that_keeps_pixels_finds() -> None:
    """In the same study nothing is trained again, and the network can be exported."""
    write_folder(Path("photos"), number=40)
    settings = {**ALIKE, "dataset": "folder", "data_dir": "photos", "epochs": 1}
    result = tune(**settings, option={"dataset.size": 12, "dataset.stream": "yes"})
    kept = tune(**settings, option={"dataset.size": 12, "dataset.stream": "no"}, study="kept")
    assert kept.to_dict()["shapes"] == result.to_dict()["shapes"]
    trained: list[Event] = []
    again = tune(**settings, option={"dataset.size": 12, "dataset.stream": "no"}, notify=trained.append)
    assert not [event for event in trained if type(event).__name__ == "TrainingFinished"]
    assert again.answer == result.answer
    assert export("shape-dnn-study", "network")


def test_a_study_whose_files_have_changed_is_not_exported() -> None:
    write_folder(Path("photos"), number=40)
    tune(**ALIKE, dataset="folder", data_dir="photos", epochs=1, option={"dataset.size": 12, "dataset.stream": "yes"})
    shutil.copy("photos/class 0/3.png", "photos/class 0/1.png")
    with pytest.raises(
        Exception, match=r"are damaged, or not those that the network was trained on; delete that folder"
    ):
        export("shape-dnn-study", "network")


def test_a_search_tells_how_far_streamed_images_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(Path("photos"), number=20)
    monkeypatch.setattr(encoded, "AT_A_TIME", 7)
    monkeypatch.setattr("shape_dnn.study.classification.TELLING_SECONDS", 0.0)
    settings = {"dataset": "folder", "data_dir": "photos", "device": "cpu", "option": ["dataset.stream=yes"]}
    events: list[Event] = []
    Assembly(Settings.create(settings)).problem.read(events.append)
    assert events == [DatasetRead("folder", done, 60) for done in (7, 14, 21, 28, 35, 42, 48, 55, 60)]


def test_an_image_that_is_gone_is_named_where_it_is_needed() -> None:
    _, surveyed = kept_and_streamed()
    shutil.rmtree("photos/class 1")
    own = dataclasses.replace(task(), trainer=of_photographs(surveyed))
    with pytest.raises(
        DatasetError, match=r"photos/class 1/\d+\.(jpg|png) cannot be read as an image: it is no file, or not there"
    ):
        own.run(go_on)


def test_a_damaged_image_is_named_before_anything_is_trained() -> None:
    write_folder(Path("photos"))
    Path("photos/class 2/4.jpg").write_text("hm")
    with pytest.raises(DatasetError, match=r"4\.jpg cannot be read as an image: it is of no known format"):
        tune(**ALIKE, dataset="folder", data_dir="photos", option={"dataset.stream": "yes"})


def test_a_training_whose_reader_is_killed_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _, surveyed = kept_and_streamed()
    monkeypatch.setattr(encoded, "decode", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    own = dataclasses.replace(task(), trainer=of_photographs(surveyed))
    with pytest.raises(ProcessDiedError, match="a process that decodes its images died: .*DataLoader worker"):
        own.run(go_on)


def test_the_death_of_a_reader_is_told_where_the_next_batch_is_asked_for() -> None:
    """Torch would have it raised in the middle of whatever the training does, such as a forward pass."""
    _, surveyed = kept_and_streamed()
    learning, _ = split(surveyed, "validation", 0.3, 0)
    batches = Batches(learning, CPU, classes=3)
    before = signal.getsignal(signal.SIGCHLD)
    others = set(psutil.Process().children())
    given = batches.in_order(4)
    next(given)
    (reader,) = (
        child for child in psutil.Process().children() if child not in others and "tracker" not in str(child.cmdline())
    )
    reader.kill()
    psutil.wait_procs([reader])
    assert signal.getsignal(signal.SIGCHLD) is before
    with pytest.raises(ProcessDiedError, match="a process that decodes its images died"):
        list(given)


def test_where_batches_find_no_shared_memory_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: torch.Tensor) -> None:
        raise RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)")

    _, surveyed = kept_and_streamed()
    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    own = dataclasses.replace(task(), trainer=of_photographs(surveyed))
    with pytest.raises(
        UnavailableError, match=r"no shared memory for a batch of .* MiB.*give /dev/shm more, .*--shm-size"
    ):
        own.run(go_on)


@pytest.mark.parametrize("name", ["train-sums.npy", "names.json", "index.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_what_was_learnt_of_images_is_learnt_anew_where_it_is_damaged(name: str, damage: str) -> None:
    _, surveyed = kept_and_streamed()
    content = images.name_of(surveyed)
    if damage == "gone":
        (surveyed / name).unlink()
    else:
        (surveyed / name).write_bytes((surveyed / name).read_bytes()[:-9])
    if name != "index.json":
        assert not images.are_intact(surveyed, content)
    told: list[int] = []
    found = Folder("photos", size=12, stream="yes").load()
    assert images.survey(*found, Path("surveys"), lambda done, _: told.append(done)) == surveyed  # type: ignore[arg-type]
    assert told[-1] == 120
    assert images.are_intact(surveyed, content)


def test_of_several_surveys_of_the_same_images_the_one_that_is_intact_counts() -> None:
    _, surveyed = kept_and_streamed()
    content = images.name_of(surveyed)
    for time in range(1, 9):  # until the names of former ones come before and after it
        os.utime("photos/class 0/1.png", (time, time))
        latest = images.survey(*Folder("photos", size=12, stream="yes").load(), Path("surveys"), lambda *_: None)  # type: ignore[arg-type]
        assert images.find(Path("surveys"), content) == latest
    assert len({path.name for path in Path("surveys").iterdir()}) == 9


@hypothesis.given(names=st.lists(st.text(st.characters(exclude_characters="\0"))))
def test_names_of_files_are_what_they_were(names: list[str]) -> None:
    found = Names(names)
    assert list(found) == names
    assert [found[place] for place in range(-len(names), len(names))] == 2 * names
    assert list(found[1::2]) == names[1::2]
    with pytest.raises(IndexError):
        found[len(names)]


def test_names_that_are_no_text_are_kept() -> None:
    name = os.fsdecode(b"\xe9.png")
    assert list(Names([name])) == [name]


READER = """
import os, sys
import psutil
from shape_dnn.data.names import Names

names = eval(sys.argv[1])(f"folder {i // 1000}/photograph number {i}.jpeg" for i in range(200_000))
if os.fork() == 0:
    own = psutil.Process()
    before = own.memory_full_info().uss
    longest = max(len(names[i]) for i in range(len(names)))
    print(own.memory_full_info().uss - before, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are not forked elsewhere")
def test_a_reader_takes_no_memory_of_its_own_for_names() -> None:
    taken = {
        kind: int(subprocess.run([sys.executable, "-c", READER, kind], check=True, capture_output=True).stdout)
        for kind in ("list", "Names")
    }
    assert taken["list"] > 10 * 2**20, "or it says nothing"
    assert taken["Names"] < taken["list"] / 10


def test_images_of_a_training_have_their_names_in_shared_memory() -> None:
    _, surveyed = kept_and_streamed()
    train, test = images.load(surveyed)
    for part in (train, test):
        assert isinstance(part, EncodedImages)
        assert isinstance(part.names, Names)


def surveys() -> set[str]:
    return {path.parent.name for path in Path("shape-dnn-study/images").glob("*/index.json")}


def test_a_search_removes_surveys_of_the_same_images_that_are_found_no_more() -> None:
    write_folder(Path("photos"), number=10)
    shutil.copytree("photos", "elsewhere")
    search = {**ALIKE, "dataset": "folder", "epochs": 1}
    options = {"dataset.size": 12, "dataset.stream": "yes"}
    tune(**search, data_dir="elsewhere", option=options)
    tune(**search, data_dir="photos", option={**options, "dataset.size": 8})
    others = surveys()
    tune(**search, data_dir="photos", option=options)
    (former,) = surveys() - others
    assert len(others) == 2, "one in another place, and one of other sizes"
    os.utime("photos/class 0/1.png", (1, 1))
    tune(**search, data_dir="photos", option=options, dry_run=True)
    assert former in surveys(), "a plan does not keep others from working on the study"
    found = tune(**search, data_dir="photos", option=options)
    assert found.new_trainings == 0, "they are the same images"
    (latest,) = surveys() - others
    assert latest != former
    assert {path.name for path in Path("shape-dnn-study/images").iterdir()} == surveys()
    assert export("shape-dnn-study", formats=["safetensors"]).is_dir()


def test_a_removal_of_a_survey_that_was_interrupted_is_finished_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    _, former = kept_and_streamed()
    os.utime("photos/class 0/1.png", (1, 1))
    latest = images.survey(*Folder("photos", size=12, stream="yes").load(), Path("surveys"), lambda *_: None)  # type: ignore[arg-type]
    unlink, removed = Path.unlink, []

    def interrupted(path: Path) -> None:
        if len(removed) == 3:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", interrupted)
        with pytest.raises(KeyboardInterrupt):
            images.remove_superseded(latest)
    assert former.is_dir()
    images.remove_superseded(latest)
    assert list(Path("surveys").iterdir()) == [latest]


def test_grey_maps_of_16_bits_are_scaled() -> None:
    write_folder(Path("photos"))
    for name, most, level in (("a", 65535, 200 * 257), ("b", 1023, 803)):
        levels = np.full((20, 20), level, ">u2")
        Path(f"photos/class 0/{name}.pgm").write_bytes(b"P5 20 20 %d\n" % most + levels.tobytes())
    images, _ = Folder("photos", size=4).find()
    wanted = [place for place, name in enumerate(images.names) if name.endswith(".pgm")]
    assert np.unique(encoded.decode(images.take(np.array(wanted)))).tolist() == [200]


@pytest.mark.parametrize(("mode", "expected"), [("L", 200), ("I;16", 200), ("I", None), ("F", None)])
def test_levels_of_16_bits_are_scaled_and_unknown_ones_refused(mode: str, expected: int | None) -> None:
    from PIL import Image

    write_folder(Path("photos"))
    levels = np.full(
        (20, 20), 200 * (257 if mode == "I;16" else 1), {"L": "u1", "I;16": "u2", "I": "i4", "F": "f4"}[mode]
    )
    Image.fromarray(levels).save("photos/class 0/0.tif")
    if expected is None:
        with pytest.raises(
            DatasetError, match=r"0\.tif cannot be read as an image: its levels are not those of 8 or 16 bits"
        ):
            Folder("photos").load()
        return
    train, test = Folder("photos", size=4).load()
    assert isinstance(train, LabelledImages)
    assert isinstance(test, LabelledImages)
    everything = np.concatenate([train.images, test.images])
    assert (everything == expected).all((1, 2, 3)).sum() == 1


def test_a_palette_with_transparent_colours_is_read_like_any_other(recwarn: pytest.WarningsRecorder) -> None:
    from PIL import Image

    write_folder(Path("photos"))
    palette = Image.open("photos/class 0/1.png").convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save("photos/class 0/1.png")
    opaque, _ = Folder("photos", size=4).load()
    palette.save("photos/class 0/1.png", transparency=bytes([0, 128]))
    transparent, _ = Folder("photos", size=4).load()
    assert isinstance(opaque, LabelledImages)
    assert isinstance(transparent, LabelledImages)
    assert (opaque.images == transparent.images).all()
    assert not recwarn.list


def test_a_pipe_is_no_image() -> None:
    write_folder(Path("photos"))
    os.mkfifo("photos/class 0/pipe.png")
    with pytest.raises(DatasetError, match=r"pipe\.png cannot be read as an image: it is no file"):
        Folder("photos").load()


@pytest.mark.parametrize(("cores", "gpus", "processes"), [(16, 1, 15), (16, 4, 3), (2, 1, 1), (1, 1, 1), (4, 8, 1)])
def test_each_gpu_has_its_part_of_the_cores_to_decode_by(
    cores: int, gpus: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cores", lambda: cores)
    monkeypatch.setattr(devices, "gpus", lambda: gpus)
    assert streamed.readers("cuda:0") == processes
    assert streamed.readers("cpu") == 1


def test_a_task_decodes_by_the_cores_that_it_was_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of a cluster sees one GPU of its node, and all cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(cgroups, "processors", lambda: None)
    monkeypatch.setattr(devices, "gpus", lambda: 1)
    found = []
    try:
        for granted in (None, 16, 1, 128):
            devices.grant(granted)
            found.append(streamed.readers("cuda:0"))
    finally:
        devices.grant(None)
    assert found == [63, 15, 1, 63]


def test_readers_take_cores_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, surveyed = kept_and_streamed()
    monkeypatch.setattr(devices, "cores", lambda: 8)
    monkeypatch.setattr(devices, "gpus", lambda: 1)
    monkeypatch.setattr(devices, "total_memory", lambda _: 10**12)
    found = {each: of_photographs(each, device="cuda:0").resources(SHAPE) for each in (kept, surveyed)}
    assert [each.loaders for each in found.values()] == [0, 7]
    assert of_photographs(surveyed).resources(SHAPE).loaders == 0, "on the processor they work by turns"
    room, running = Room(8), Place(Needs("cuda:0", loaders=6))
    assert room.place(Needs("cuda:0", loaders=0), [running]) is not None
    assert room.place(Needs("cuda:0", loaders=1), [running]) is None


def test_the_memory_of_streamed_images_is_that_of_a_few_batches() -> None:
    _, surveyed = kept_and_streamed()
    both = images.load(surveyed)
    labels = sum(part.labels.nbytes for part in both)
    assert Streamed.taken(both, 16) == labels + 3 * 16 * 3 * 12 * 12


# Shards


def write_shards(root: Path, number: int = 30, shards: int = 3, prefix: str = "train", classes: int = 3) -> None:
    root.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(len(prefix))
    from PIL import Image

    for shard in range(shards):
        with tarfile.open(root / f"{prefix}-{shard:06}.tar", "w") as archive:
            for i in range(number // shards):
                content = io.BytesIO()
                levels = generator.integers(0, 256, (20, 30, 3), dtype=np.uint8)
                Image.fromarray(levels).save(content, "jpeg")
                for suffix, data in (("jpg", content.getvalue()), ("cls", b"%d\n" % (i % classes)), ("json", b"{}")):
                    member = tarfile.TarInfo(f"some/{i:04}.{suffix}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def test_shards_hold_what_was_put_into_them() -> None:
    write_shards(Path("shards"))
    write_shards(Path("shards/val"), number=9, shards=1, prefix="more")
    train, test = WebDataset("shards", size=20, stream="no").load()
    assert isinstance(train, LabelledImages)
    assert (len(train), len(test)) == (30, 9)
    assert train.labels.tolist() == 3 * [i % 3 for i in range(10)]
    with tarfile.open("shards/train-000001.tar") as archive:
        from PIL import Image

        taken = archive.extractfile("some/0004.jpg")
        assert taken is not None
        expected = np.asarray(Image.open(taken).resize((20, 20), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(train.images[14], expected)


@pytest.mark.parametrize("test_shard", ["Test-000000.tar", "VAL.TAR", "Validation/train-7.Tar", "tests/1.tar"])
def test_names_of_shards_may_have_large_letters(test_shard: str) -> None:
    write_shards(Path("shards"), shards=2)
    Path("shards/train-000001.tar").rename("shards/TRAIN-000001.TAR")
    write_shards(Path("other"), number=9, shards=1)
    Path("shards", test_shard).parent.mkdir(exist_ok=True)
    Path("other/train-000000.tar").rename(Path("shards", test_shard))
    train, test = WebDataset("shards", size=20, stream="no").load()
    assert (len(train), len(test)) == (30, 9)


def test_shards_behind_links_are_found_and_no_loop_is_endless() -> None:
    write_shards(Path("shards"), shards=2)
    write_shards(Path("elsewhere"), number=9, shards=1)
    Path("shards/test").symlink_to(Path("elsewhere").absolute())
    Path("elsewhere/back").symlink_to(Path("shards").absolute())
    train, test = WebDataset("shards", size=20, stream="no").load()
    assert (len(train), len(test)) == (30, 9)


def test_whatever_damaged_files_make_decoders_raise_the_image_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import struct

    from PIL import ImageOps

    def damaged(*_: object) -> NoReturn:
        raise struct.error("required argument is not an integer")

    write_folder(Path("photos"))
    monkeypatch.setattr(ImageOps, "exif_transpose", damaged)
    with pytest.raises(
        DatasetError, match=r"photos/.* cannot be read as an image: required argument is not an integer"
    ):
        Folder("photos", stream="no").load()


@pytest.mark.parametrize("name", ["train-000003.tar.gz", "more/TRAIN-2.TGZ", "test.tar.zst", "a.tar.bz2"])
def test_no_shard_is_passed_over_because_it_was_compressed(name: str) -> None:
    write_shards(Path("shards"))
    Path("shards", name).parent.mkdir(exist_ok=True)
    Path("shards", name).write_bytes(b"hm")
    message = rf"a shard must not be compressed, as is 'shards/{name}'; unpack it by gunzip"
    with pytest.raises(DatasetError, match=message):
        WebDataset("shards").load()
    Path("shards/z.tgz").write_bytes(b"hm")
    with pytest.raises(DatasetError, match="and 1 more; unpack"):
        WebDataset("shards").load()


def test_files_beside_shards_are_passed_over() -> None:
    """Also a compressed shard whose unpacked one is there."""
    write_shards(Path("shards"))
    for name in ("train-000000.tar.gz", "train-000001.tgz", "train-000000.tar.idx", ".hidden.tar.gz", "a.txt"):
        Path("shards", name).write_bytes(b"hm")
    train, test = WebDataset("shards", size=20, stream="no").load()
    assert len(train) + len(test) == 30


def test_shards_are_searched_on() -> None:
    write_shards(Path("shards"), number=120)
    option = {"dataset.size": 12, "dataset.stream": "yes"}
    result = tune(**ALIKE, dataset="webdataset", data_dir="shards", epochs=1, option=option)
    assert result.verified


def without_labels() -> None:
    with tarfile.open("shards/train-000000.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))


def labelled(content: bytes) -> Callable[[], None]:
    def write() -> None:
        with tarfile.open("shards/train-000000.tar", "w") as archive:
            for name, data in (("a.jpg", b""), ("a.cls", content)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))

    return write


def packed(*members: tuple[str, bytes, bytes], end: bytes | None = None) -> Callable[[], None]:
    """Return what writes a shard of members, by name, type and content, and perhaps another end."""

    def write() -> None:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            for name, kind, data in members:
                member = tarfile.TarInfo(name)
                member.type, member.linkname, member.size = kind, "a.jpg", len(data)
                archive.addfile(member, io.BytesIO(data))
        written = content.getvalue()
        Path("shards/train-000000.tar").write_bytes(written if end is None else written.rstrip(b"\0")[:-1] + end)

    return write


FILE, LINK = tarfile.REGTYPE, tarfile.LNKTYPE
A = (("a.jpg", FILE, b"x" * 512), ("a.cls", FILE, b"1" * 1))


def twice() -> None:
    write_shards(Path("shards"), shards=1)
    shard = Path("shards/train-000000.tar")
    shard.write_bytes(2 * shard.read_bytes())


def with_a_damaged_header() -> None:
    write_shards(Path("shards"), shards=1)
    shard = Path("shards/train-000000.tar")
    content = bytearray(shard.read_bytes())
    with tarfile.open(shard) as archive:
        content[archive.getmembers()[9].offset + 150] ^= 1  # of its sum
    shard.write_bytes(content)


@pytest.mark.parametrize(
    ("prepare", "complaint"),
    [
        (packed(*A, ("b.jpg", LINK, b""), ("b.cls", FILE, b"0")), "b.jpg is a link or stored sparsely"),
        (packed(*A, ("b.heic", FILE, b""), ("b.cls", FILE, b"0")), "has the label b.cls without an image"),
        (packed(*A, end=b""), "is damaged: it ends in the middle|is damaged, or compressed"),
        (twice, "is damaged at its byte .*, or two archives in one file"),
        (with_a_damaged_header, "is damaged at its byte"),
        (lambda: None, r"no shard in 'shards'; expected shards \*\.tar"),
        (lambda: write_shards(Path("shards"), prefix="val"), "has shards for the test alone"),
        (lambda: write_shards(Path("shards"), classes=1), "its labels are 0; it takes two classes or more"),
        (lambda: Path("shards/a.tar").write_bytes(b"hm" * 999), r"a\.tar is damaged, or compressed"),
        (without_labels, "has the image a without a file a.cls that tells its class"),
        (labelled(b"cat"), "a.cls holds 'cat'; expected the number of a class"),
        (
            lambda: (write_shards(Path("shards")), write_shards(Path("shards"), prefix="test", classes=5)),
            "shards of the test have the class 4",
        ),
    ],
)  # fmt: skip
def test_faults_in_shards_are_named(prepare: Callable[[], object], complaint: str) -> None:
    Path("shards").mkdir()
    prepare()
    with pytest.raises(DatasetError, match=complaint):
        WebDataset("shards").load()
