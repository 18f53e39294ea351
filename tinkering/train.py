"""The two loops: a number of optimizer steps, and one pass of validation."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

Batch = tuple[Tensor, Tensor]  # images float (N, C, H, W), labels int64 (N,)


class BatchStream:
    """The batches of a loader for ever, and the step that the next of them belongs to.

    Every pass asks the loader for a fresh iterator, so a shuffling loader shuffles anew;
    `itertools.cycle` over the batches themselves would keep the first pass in memory and
    replay it. A loader whose batch sampler has `set_step` starts at that very step.
    """

    def __init__(self, dataloader: Iterable[Batch], step: int):
        sampler = getattr(dataloader, "batch_sampler", None)
        if hasattr(sampler, "set_step"):
            sampler.set_step(step)
        self.step = step
        self._batches = _cycle(dataloader)

    def take(self, num_batches: int) -> Iterator[Batch]:
        """The next num_batches batches; raises ValueError where the loader has none."""
        for batch in itertools.islice(self._batches, num_batches):
            self.step += 1
            yield batch


def _cycle(dataloader: Iterable[Batch]) -> Iterator[Batch]:
    for fresh_pass in itertools.cycle([dataloader]):
        empty = True
        for batch in fresh_pass:
            empty = False
            yield batch
        if empty:
            raise ValueError("the dataloader is empty: it gives no batch to train on")


def _stream_of(dataloader: Iterable[Batch], step: int) -> BatchStream:
    """The stream that the segment before left at this step, or else a new one.

    It is kept on the loader, because the place in the data belongs to it and must not
    outlive it. An object that takes no attributes (a list) starts at its beginning.
    """
    stream = getattr(dataloader, "_stream", None)
    if stream is None or stream.step != step:
        stream = BatchStream(dataloader, step)
        with suppress(AttributeError):
            dataloader._stream = stream
    return stream


def _mean(values: list[Tensor], sizes: list[int]) -> float:
    """The mean over samples of per-batch means; waits for the device."""
    weights = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    return float(torch.stack(values).double().cpu() @ weights)


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == labels).float().mean()


def run_train_iterations(
    model: nn.Module,
    dataloader: Iterable[Batch],
    optimizer: Optimizer,
    criterion: Callable[[Tensor, Tensor], Tensor],
    device: torch.device | str,
    num_train_iterations: int,
    current_step: int = 0,
    scheduler: LRScheduler | None = None,
    *,
    autocast: AbstractContextManager | None = None,
    scaler: torch.amp.GradScaler | None = None,
    log_interval_iters: int = 0,
    log: Callable[[int, float, float, float], None] | None = None,
    progress_bar: Callable[..., tqdm] = tqdm,
) -> tuple[float, float, int]:
    """Trains for num_train_iterations optimizer steps, however long the loader is.

    Called again with the step it returned, it goes on in the data where it stopped; called
    with another step, it starts there.

    Args:
        model: maps images (N, C, H, W) to logits (N, num_classes); put into train mode.
        dataloader: gives (images, labels); a short one is passed over again, freshly.
        criterion: (logits, labels) -> mean loss of the batch, a scalar tensor.
        current_step: optimizer steps completed before this call.
        scheduler: stepped once after each optimizer step.
        autocast: context of the forward pass; None for full precision.
        scaler: gradient scaler for fp16; None for none.
        log_interval_iters: steps between two calls of `log`; 0 for none.
        log: called as log(step, loss, accuracy, lr) with the means since the call before
            and the learning rate of the last step.
        progress_bar: a tqdm, or what makes one from its arguments.

    Returns:
        loss and accuracy (0..1), means over the samples seen, and the step reached;
        (0.0, 0.0, current_step) for no iterations.

    Raises:
        ValueError: the loader is empty, or num_train_iterations is negative.
    """
    if num_train_iterations < 0:
        raise ValueError(f"num_train_iterations is {num_train_iterations}; it must not be negative")
    if num_train_iterations == 0:
        return 0.0, 0.0, current_step
    autocast = autocast or nullcontext()
    scaler = scaler or torch.amp.GradScaler(enabled=False)
    losses, accuracies, sizes = [], [], []  # one entry a batch
    logged = 0  # entries that `log` has been told of

    model.train()
    bar = progress_bar(
        total=num_train_iterations, desc="train", unit="step", leave=False, mininterval=0.5
    )
    with bar:
        for images, labels in _stream_of(dataloader, current_step).take(num_train_iterations):
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            lr = optimizer.param_groups[0]["lr"]

            optimizer.zero_grad(set_to_none=True)
            with autocast:
                logits = model(images)
                loss = criterion(logits, labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            if scheduler is not None:
                scheduler.step()
            current_step += 1

            # Tensors, not numbers: reading a number makes a GPU wait. The bar reads one
            # only when it has just been redrawn, twice a second at most.
            losses.append(loss.detach())
            accuracies.append(_accuracy(logits.detach(), labels))
            sizes.append(len(labels))
            if bar.update():
                bar.set_postfix(
                    loss=f"{losses[-1].item():.4f}",
                    acc=f"{accuracies[-1].item():.1%}",
                    lr=f"{lr:.2e}",
                    refresh=False,
                )
            if log and log_interval_iters and current_step % log_interval_iters == 0:
                recent = sizes[logged:]
                log(
                    current_step,
                    _mean(losses[logged:], recent),
                    _mean(accuracies[logged:], recent),
                    lr,
                )
                logged = len(sizes)
    return _mean(losses, sizes), _mean(accuracies, sizes), current_step


@torch.no_grad()
def run_validation(
    model: nn.Module,
    dataloader: Iterable[Batch],
    criterion: Callable[[Tensor, Tensor], Tensor],
    device: torch.device | str,
    *,
    autocast: AbstractContextManager | None = None,
    progress_bar: Callable[..., tqdm] = tqdm,
) -> tuple[float, float]:
    """Scores the model, in eval mode, on one pass over the loader.

    Args as in run_train_iterations.

    Returns:
        loss and accuracy (0..1), means over the samples, so that a short last batch counts
        for what it is.

    Raises:
        ValueError: the loader is empty.
    """
    autocast = autocast or nullcontext()
    losses, accuracies, sizes = [], [], []
    model.eval()
    with progress_bar(dataloader, desc="validate", unit="batch", leave=False) as bar:
        for images, labels in bar:
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            with autocast:
                logits = model(images)
                losses.append(criterion(logits, labels))
            accuracies.append(_accuracy(logits, labels))
            sizes.append(len(labels))
    if not sizes:
        raise ValueError("the dataloader is empty: it gives no batch to validate on")
    return _mean(losses, sizes), _mean(accuracies, sizes)
