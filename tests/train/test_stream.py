import gc
import weakref

import torch
from torch.utils.data import DataLoader

from tests.helpers import Recorder, loader, train, training
from tinkering.data.loader import ImageDataset, ImageLoader


def test_a_loader_shorter_than_the_run_is_passed_over_again_with_a_fresh_shuffle_each_time():
    recorder = Recorder(12)
    batches = DataLoader(recorder, 4, shuffle=True)
    _, _, step = train(*training(), batches, 9)
    passes = [recorder.seen[start : start + 12] for start in (0, 12, 24)]
    assert step == 9
    assert [sorted(one) for one in passes] == [list(range(12))] * 3
    assert passes[0] != passes[1] != passes[2]


def test_the_segments_of_a_run_go_on_in_the_data_and_do_not_start_anew():
    recorder = Recorder(20)
    batches = DataLoader(recorder, 4, shuffle=True)
    run = training()
    step = 0
    for _ in range(5):
        _, _, step = train(*run, batches, 2, step)
    assert sorted(recorder.seen[:20]) == list(range(20))
    assert sorted(recorder.seen[20:]) == list(range(20))


def test_another_run_over_the_same_loader_starts_at_its_beginning():
    recorder = Recorder(20)
    batches = DataLoader(recorder, 4)
    train(*training(), batches, 2)
    recorder.seen.clear()
    train(*training(), batches, 2)
    assert recorder.seen == list(range(8))


def test_a_plain_iterator_is_a_loader_too_and_is_continued():
    stream = iter(loader(16, 4))
    run = training()
    train(*run, stream, 2)
    _, _, step = train(*run, stream, 2, 2)
    assert step == 4


def test_a_loader_is_forgotten_with_its_place_when_nobody_holds_it():
    recorder = Recorder(8)
    train(*training(), DataLoader(recorder, 4), 1)
    gc.collect()
    assert not any(isinstance(thing, DataLoader) for thing in gc.get_referrers(recorder))


def test_no_batch_is_kept_however_often_the_loader_is_passed_over():
    """itertools.cycle over the batches themselves would keep a whole pass of them."""

    given = []

    class Loader:
        def __iter__(self):
            for _ in range(10):
                images = torch.zeros(4, 1, 3, 3)
                given.append(weakref.ref(images))
                yield images, torch.zeros(4, dtype=torch.int64)

    batches = Loader()
    train(*training(), batches, 35)
    assert len(given) == 35
    assert sum(images() is not None for images in given) <= 1


def test_looking_at_a_batch_in_between_does_not_change_what_a_step_is_trained_on():
    """Our own loaders give each step its batch, whoever else has drawn from them."""

    def run(look):
        images = torch.arange(40 * 9, dtype=torch.uint8).view(40, 3, 3)
        batches = ImageLoader(ImageDataset(images, torch.arange(40) % 3, 0.5, 0.2), 8, seed=0)
        model, optimizer, criterion = training()
        torch.manual_seed(1)
        _, _, step = train(model, optimizer, criterion, batches, 3)
        if look:
            next(iter(batches))
        train(model, optimizer, criterion, batches, 9, step)
        return model.state_dict()

    torch.testing.assert_close(run(look=False), run(look=True), rtol=0, atol=0)
