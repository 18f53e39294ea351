import io

import pytest
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from tests.helpers import Recorder, loader, train, training
from tinkering.optim.schedules import make_scheduler
from tinkering.train import Meter, is_due, next_due, run_validation


def test_training_does_what_the_loop_written_by_hand_does():
    model, optimizer, criterion = training()
    scheduler = make_scheduler("linear", optimizer, 5, final_lr_factor=0.1)
    batches = loader(20, 4)
    torch.manual_seed(1)
    loss, accuracy, step = train(model, optimizer, criterion, batches, 5, scheduler=scheduler)

    reference, optimizer, criterion = training()
    reference.train()
    losses, hits = [], []
    torch.manual_seed(1)
    for index, (images, labels) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - 0.9 * index / 4)
        optimizer.zero_grad()
        logits = reference(images)
        batch_loss = criterion(logits, labels)
        batch_loss.backward()
        optimizer.step()
        losses.append(batch_loss.item())
        hits.append((logits.argmax(1) == labels).float().mean().item())
    assert step == 5
    assert loss == pytest.approx(sum(losses) / 5)
    assert accuracy == pytest.approx(sum(hits) / 5)
    for trained, expected in zip(
        model.state_dict().values(), reference.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(trained, expected)


def test_training_puts_the_model_into_train_mode_and_validation_into_eval_mode():
    model, optimizer, criterion = training()
    model.eval()
    train(model, optimizer, criterion, loader(8, 4), 1)
    assert model.training
    run_validation(model, loader(8, 4), criterion, "cpu")
    assert not model.training


def test_training_averages_over_samples_so_that_a_ragged_batch_counts_for_what_it_is():
    model, optimizer, criterion = training(lr=0.0)
    model.layers[3].p = 0.0
    loss, accuracy, _ = train(model, optimizer, criterion, loader(10, 4), 3)
    model.train()
    with torch.no_grad():
        parts = [(model(images), labels) for images, labels in loader(10, 4)]
    assert [len(labels) for _, labels in parts] == [4, 4, 2]
    total = sum(criterion(logits, labels) * len(labels) for logits, labels in parts)
    hits = sum((logits.argmax(1) == labels).sum() for logits, labels in parts)
    assert loss == pytest.approx(float(total) / 10)
    assert accuracy == pytest.approx(float(hits) / 10)


def test_no_iterations_train_nothing_and_draw_nothing():
    model, optimizer, criterion = training()
    before = [p.clone() for p in model.parameters()]
    recorder = Recorder(8)
    result = train(model, optimizer, criterion, DataLoader(recorder, 4), 0, step=12)
    assert result == (0.0, 0.0, 12)
    assert recorder.seen == []
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_fewer_than_no_iterations_are_refused():
    with pytest.raises(ValueError, match="-1"):
        train(*training(), loader(8, 4), -1)


@pytest.mark.parametrize("empty", [[], DataLoader([], batch_size=4), loader(3, 4, drop_last=True)])
def test_an_empty_loader_is_refused_with_a_word_that_says_so(empty):
    model, optimizer, criterion = training()
    with pytest.raises(ValueError, match="the dataloader is empty"):
        train(model, optimizer, criterion, empty, 1)
    with pytest.raises(ValueError, match="the dataloader is empty"):
        run_validation(model, empty, criterion, "cpu")


def test_the_log_is_told_the_means_since_it_was_told_last_and_the_rate_of_the_step():
    model, optimizer, criterion = training()
    scheduler = make_scheduler("linear", optimizer, 10, final_lr_factor=0.0)
    lines = []
    loss, accuracy, _ = train(
        model,
        optimizer,
        criterion,
        loader(24, 4),
        6,
        scheduler=scheduler,
        log_interval_iters=3,
        log=lambda *values: lines.append(values),
    )
    assert [line[0] for line in lines] == [3, 6]
    assert sum(line[1] for line in lines) / 2 == pytest.approx(loss)
    assert sum(line[2] for line in lines) / 2 == pytest.approx(accuracy)
    assert lines[1][3] == pytest.approx(0.1 * (1 - 5 / 9))


def test_the_bar_shows_loss_accuracy_and_learning_rate():
    screen = io.StringIO()

    def bar(*args, **kwargs):
        return tqdm(*args, **(kwargs | {"file": screen, "mininterval": 0, "miniters": 1}))

    train(*training(), loader(24, 4), 6, progress_bar=bar)
    shown = screen.getvalue()
    assert "6/6" in shown
    assert "loss=" in shown
    assert "acc=" in shown
    assert "lr=1.00e-01" in shown


def test_the_forward_pass_is_made_in_the_precision_asked_for():
    model, optimizer, criterion = training()
    seen = []
    model.register_forward_hook(lambda _module, _input, output: seen.append(output.dtype))
    autocast = torch.autocast("cpu", torch.bfloat16)
    train(model, optimizer, criterion, loader(8, 4), 2, autocast=autocast)
    run_validation(model, loader(8, 4), criterion, "cpu", autocast=autocast)
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("num_samples", [1, 8, 9, 11])
def test_validation_is_the_mean_over_samples_however_they_fall_into_batches(num_samples):
    model, _, criterion = training()
    loss, accuracy = run_validation(model, loader(num_samples, 4), criterion, "cpu")
    images, labels = next(iter(loader(num_samples, num_samples)))
    with torch.no_grad():
        logits = model.eval()(images)
    assert loss == pytest.approx(criterion(logits, labels).item())
    assert accuracy == pytest.approx((logits.argmax(1) == labels).double().mean().item())


def test_validation_changes_neither_weights_nor_statistics_and_keeps_no_gradients():
    model, _, criterion = training()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run_validation(model, loader(9, 4), criterion, "cpu")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_long_gradient_is_cut_to_the_norm_asked_for():
    model, optimizer, criterion = training(lr=1.0)
    before = torch.nn.utils.parameters_to_vector(model.parameters())
    train(model, optimizer, criterion, loader(4, 4), 1, clip_grad_norm=1e-3)
    after = torch.nn.utils.parameters_to_vector(model.parameters())
    assert (after - before).norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_a_stop_is_asked_after_each_step_and_ends_the_call_there():
    asked = []

    def should_stop():
        asked.append(True)
        return len(asked) == 3

    _, _, step = train(*training(), loader(24, 4), 6, should_stop=should_stop)
    assert step == 3


def test_a_meter_goes_on_from_call_to_call_so_that_lines_do_not_depend_on_where_calls_end():
    def lines(*pieces):
        run, batches, meter, told, step = training(), loader(40, 4), Meter(), [], 0
        torch.manual_seed(3)
        for piece in pieces:
            _, _, step = train(
                *run,
                batches,
                piece,
                step,
                meter=meter,
                log_interval_iters=4,
                log=lambda *values: told.append(values),
            )
        return told

    assert lines(10) == lines(3, 2, 5) == lines(1, 1, 7, 1)


@pytest.mark.parametrize(
    ("step", "due"), [(0, 4), (3, 4), (4, 5), (5, 8), (8, 10), (10, 12), (12, 13), (13, 13)]
)
def test_the_next_step_that_is_due_is_the_first_multiple_of_any_interval_or_the_last(step, due):
    assert next_due(step, (4, 5), 13) == due
    assert is_due(due, 4, 13) or is_due(due, 5, 13)
