"""The two loops, run_train_iterations and run_validation, and what they are made of.

A step draws a batch, computes its gradient in micro-batches, and lets the optimizer and the
learning-rate schedule step. With several processes, each computes the gradient of its own shard
of the batch, and the gradients are averaged.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from tinkering.errors import NonFiniteLossError
from tinkering.runtime.distributed import SINGLE_PROCESS, Group

MAX_SKIPPED_IN_A_ROW = 10
MAX_BATCHES_KEPT = 1000  # by a meter, before they are folded into one

Batch = tuple[Tensor, Tensor]  # images float (N, C, H, W), labels int64 (N,)
Criterion = Callable[[Tensor, Tensor], Tensor]  # (logits, labels) -> mean loss, a scalar
Forward = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (images, labels) -> logits, mean loss


def is_due(step: int, interval: int, num_steps: int) -> bool:
    """Return whether something done every `interval` steps and at the last is due at this one."""
    return step % interval == 0 or step == num_steps


def next_due(step: int, intervals: Sequence[int], num_steps: int) -> int:
    """Return the first step after this one at which something of any interval is due."""
    return min(num_steps, *(step - step % interval + interval for interval in intervals))


def reads_for_free(device: torch.device | str) -> bool:
    """Return whether reading a number from the device waits for nothing."""
    return torch.device(device).type == "cpu"


def forward_of(model: nn.Module, criterion: Criterion) -> Forward:
    """Join a model and its criterion into one function, (images, labels) -> (logits, loss)."""

    def forward(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(images)
        return logits, criterion(logits, labels)

    return forward


def accuracy_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share of correct predictions, a scalar; logits (N, num_classes), labels (N,)."""
    return (logits.argmax(dim=1) == labels).float().mean()


@dataclass
class Meter:
    """Loss and accuracy of the batches added, as means over samples.

    The lists have one entry a batch. Losses and accuracies are scalar tensors, because reading
    a number makes a GPU wait.
    """

    losses: list[Tensor] = field(default_factory=list)
    accuracies: list[Tensor] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # of batches read before
    num_skipped: int = 0  # batches left out in all, for a loss that is not finite
    num_skipped_in_a_row: int = 0

    def add(self, loss: Tensor, accuracy: Tensor, size: int) -> None:
        self.losses.append(loss)
        self.accuracies.append(accuracy)
        self.sizes.append(size)
        self.num_skipped_in_a_row = 0
        if len(self.sizes) == MAX_BATCHES_KEPT:
            sums = self._read()
            self.clear()
            self.sums = sums

    def means(self, group: Group = SINGLE_PROCESS) -> tuple[float, float]:
        """Return loss and accuracy over the samples of all processes; (0.0, 0.0) without any."""
        sums = group.all_reduce_sum(torch.tensor(self._read(), dtype=torch.float64))
        loss, num_correct, num_samples = sums.tolist()
        return (loss / num_samples, num_correct / num_samples) if num_samples else (0.0, 0.0)

    def clear(self) -> None:
        self.losses, self.accuracies, self.sizes = [], [], []
        self.sums = [0.0, 0.0, 0.0]

    def _read(self) -> list[float]:
        """Sum loss, correct predictions and samples; waits for the device."""
        if not self.sizes:
            return self.sums
        num_samples = sum(self.sizes)
        weights = torch.tensor(self.sizes, dtype=torch.float64) / num_samples
        loss = float(torch.stack(self.losses).cpu().double() @ weights)
        accuracy = float(torch.stack(self.accuracies).cpu().double() @ weights)
        # The mean of many float32 accuracies is a little beside the true quotient.
        num_correct = round(accuracy * num_samples)
        # Through float32, as in the metrics of runs begun before this version.
        batches = torch.tensor([loss * num_samples, num_correct, num_samples]).tolist()
        return [before + new for before, new in zip(self.sums, batches, strict=True)]


class BatchStream:
    """The batches of a loader without an end, and the step that the next of them belongs to.

    Every pass asks the loader for a fresh iterator, so a shuffling loader shuffles anew;
    `itertools.cycle` over the batches themselves would keep the first pass in memory and
    replay it. A loader whose batch sampler has `set_step` gives each step its own batch.
    """

    def __init__(self, dataloader: Iterable[Batch], step: int):
        self.step = step
        self._batches = self._cycle(dataloader)

    def take(self, num_batches: int) -> Iterator[Batch]:
        """Yield the next num_batches batches; raises ValueError if the loader is empty."""
        for batch in itertools.islice(self._batches, num_batches):
            self.step += 1
            yield batch

    def _cycle(self, dataloader: Iterable[Batch]) -> Iterator[Batch]:
        set_step = getattr(getattr(dataloader, "batch_sampler", None), "set_step", None)
        for fresh_pass in itertools.cycle([dataloader]):
            if set_step:
                set_step(self.step)
            empty = True
            for batch in fresh_pass:
                empty = False
                yield batch
            if empty:
                raise ValueError("the dataloader is empty: it gives no batch to train on")


def stream_of(dataloader: Iterable[Batch], step: int) -> BatchStream:
    """Return the stream that the call before left at this step, or a new one.

    It is kept on the loader, because the position in the data belongs to the loader and must not
    outlive it. An object that takes no attributes (a list) starts at its beginning.
    """
    stream = getattr(dataloader, "_stream", None)
    if stream is None or stream.step != step:
        stream = BatchStream(dataloader, step)
        with suppress(AttributeError):
            dataloader._stream = stream  # type: ignore[attr-defined]
    return stream


def compute_gradient(
    model: nn.Module,
    forward: Forward,
    batch: Batch,
    device: torch.device | str,
    autocast: AbstractContextManager,
    scaler: torch.amp.GradScaler,
    micro_batch_size: int | None = None,
    group: Group = SINGLE_PROCESS,
) -> tuple[Tensor, Tensor, int]:
    """Add the gradient of the mean loss over all processes' samples to the parameters.

    Args:
        forward: of this model.
        batch: this process's own samples; possibly none if there are other processes.
        micro_batch_size: samples computed at once; None for all.

    Returns:
        that loss and the accuracy, scalar tensors, and the number of samples.
    """
    images, labels = batch
    num_own = len(labels)
    loss, accuracy = torch.zeros(2, device=device)
    size = min(micro_batch_size or num_own, num_own) or 1
    for x, y in zip(images.split(size), labels.split(size), strict=True):
        if not len(y):  # what splitting no samples gives
            break
        x = x.to(device, non_blocking=True)  # (micro_batch_size, C, H, W)
        y = y.to(device, non_blocking=True)
        weight = len(y) / num_own
        with autocast:
            logits, micro_loss = forward(x, y)
        micro_loss = weight * micro_loss
        scaler.scale(micro_loss).backward()
        loss += micro_loss.detach()
        accuracy += weight * accuracy_of(logits.detach(), y)
    if group.world_size == 1:
        return loss, accuracy, num_own
    num_samples = int(group.all_reduce_sum(torch.tensor(num_own)))
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    group.all_reduce_mean([*gradients, loss, accuracy], num_own / num_samples)
    return loss, accuracy, num_samples


@dataclass
class LossCheck:
    """Finds losses that are not finite, without making the device wait at each step.

    On a CPU, and where such a batch is to be skipped, each loss is read before its step is made.
    On other devices reading makes the device wait, so the losses are read in groups.
    """

    device: torch.device | str
    on_nonfinite: str
    unread: list[tuple[int, float, Tensor]] = field(default_factory=list)  # step, lr, loss

    def must_skip(self, step: int, lr: float, loss: Tensor, meter: Meter) -> bool:
        """Note the loss of a step; return whether the step must be left out.

        Raises:
            NonFiniteLossError: the run must stop here.
        """
        if self.on_nonfinite != "skip" and not reads_for_free(self.device):
            self.unread.append((step, lr, loss))
            if len(self.unread) == MAX_BATCHES_KEPT:
                self.read()
            return False
        if loss.isfinite():
            return False
        meter.num_skipped += 1
        meter.num_skipped_in_a_row += 1
        if self.on_nonfinite == "stop" or meter.num_skipped_in_a_row == MAX_SKIPPED_IN_A_ROW:
            raise NonFiniteLossError(step, lr, loss.item())
        return True

    def read(self) -> None:
        """Read the losses noted so far; raises NonFiniteLossError for the first bad one."""
        if not self.unread:
            return
        bad = torch.stack([loss for *_, loss in self.unread]).isfinite().logical_not().nonzero()
        if len(bad):
            step, lr, loss = self.unread[int(bad[0])]
            raise NonFiniteLossError(step, lr, loss.item())
        self.unread.clear()


def run_train_iterations(
    model: nn.Module,
    dataloader: Iterable[Batch],
    optimizer: Optimizer,
    criterion: Criterion,
    device: torch.device | str,
    num_train_iterations: int,
    current_step: int = 0,
    scheduler: LRScheduler | None = None,
    *,
    forward: Forward | None = None,
    autocast: AbstractContextManager | None = None,
    scaler: torch.amp.GradScaler | None = None,
    micro_batch_size: int | None = None,
    clip_grad_norm: float | None = None,
    ema: AveragedModel | None = None,
    on_nonfinite: str = "stop",
    meter: Meter | None = None,
    log_interval_iters: int = 0,
    log: Callable[[int, float, float, float], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress_bar: Callable[..., tqdm] = tqdm,
    group: Group = SINGLE_PROCESS,
) -> tuple[float, float, int]:
    """Train for num_train_iterations optimizer steps, however long the loader is.

    Called again with the step it returned, it continues in the data where it stopped; called
    with another step, it starts there.

    Args:
        model: maps images (N, C, H, W) to logits (N, num_classes); put into train mode.
        dataloader: gives (images, labels); a short one is iterated again, freshly.
        criterion: (logits, labels) -> mean loss of the batch, a scalar tensor.
        current_step: optimizer steps completed before this call.
        scheduler: stepped once after each optimizer step.
        forward: a faster function for model and criterion together, compiled for example.
        autocast: context of the forward pass; None for full precision.
        scaler: gradient scaler for fp16; None for none.
        micro_batch_size: samples computed at once; a larger batch is computed in micro-batches,
            whose gradients are added up. None for whole batches.
        clip_grad_norm: maximum gradient norm; None for no limit.
        ema: running mean of the weights, updated after each step; None for none.
        on_nonfinite: "stop" raises at a loss that is not finite; "skip" leaves the batch out,
            and raises at the tenth in a row.
        meter: where the metrics between two log lines are gathered, kept from call to call.
        log_interval_iters: steps between two calls of `log`; 0 for none.
        log: called as log(step, loss, accuracy, lr) with the means since the call before
            and the learning rate of the last step.
        should_stop: asked after each step; the call ends early if it returns True.
        progress_bar: tqdm, or a function that makes one from its arguments.
        group: the processes that make each step together; each calls this with a loader of its
            own shard of every batch, and all return the same.

    Returns:
        loss and accuracy (0..1), means over the samples seen in this call, and the step
        reached; (0.0, 0.0, current_step) for no iterations.

    Raises:
        ValueError: the loader is empty, or num_train_iterations is negative.
        NonFiniteLossError: on a CPU, and with "skip", before the step is made; on other devices,
            where reading every loss would make them wait, at the next log line or at the end.
    """
    if num_train_iterations < 0:
        raise ValueError(f"num_train_iterations is {num_train_iterations}; it must not be negative")
    if num_train_iterations == 0:
        return 0.0, 0.0, current_step
    forward = forward or forward_of(model, criterion)
    autocast = autocast or nullcontext()
    scaler = scaler or torch.amp.GradScaler(enabled=False)
    meter, segment = meter or Meter(), Meter()
    losses = LossCheck(device, on_nonfinite)

    model.train()
    bar = progress_bar(
        total=num_train_iterations, desc="train", unit="step", leave=False, mininterval=0.5
    )
    with bar:
        for batch in stream_of(dataloader, current_step).take(num_train_iterations):
            lr = optimizer.param_groups[0]["lr"]
            optimizer.zero_grad(set_to_none=True)
            loss, accuracy, num_samples = compute_gradient(
                model, forward, batch, device, autocast, scaler, micro_batch_size, group
            )
            if not losses.must_skip(current_step + 1, lr, loss, meter):
                if clip_grad_norm is not None:
                    scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(model.parameters(), clip_grad_norm)
                scaler.step(optimizer)
                scaler.update()
                if ema is not None:
                    ema.update_parameters(model)
                segment.add(loss, accuracy, num_samples)
                meter.add(loss, accuracy, num_samples)
            if scheduler is not None:
                scheduler.step()
            current_step += 1

            # The bar reads numbers only when it has just been redrawn, twice a second at most.
            if bar.update() and segment.losses:
                bar.set_postfix(
                    loss=f"{segment.losses[-1].item():.4f}",
                    acc=f"{segment.accuracies[-1].item():.1%}",
                    lr=f"{lr:.2e}",
                    refresh=False,
                )
            if log and log_interval_iters and current_step % log_interval_iters == 0:
                losses.read()
                log(current_step, *meter.means(), lr)
                meter.clear()
            if should_stop():
                break
    losses.read()
    group.average_buffers(model, *([ema] if ema else []))
    return *segment.means(), current_step


@torch.no_grad()
def run_validation(
    model: nn.Module,
    dataloader: Iterable[Batch],
    criterion: Criterion,
    device: torch.device | str,
    *,
    autocast: AbstractContextManager | None = None,
    progress_bar: Callable[..., tqdm] = tqdm,
    group: Group = SINGLE_PROCESS,
) -> tuple[float, float]:
    """Evaluate the model, in eval mode, on one pass over the loader.

    Args as in run_train_iterations.

    Returns:
        loss and accuracy (0..1), means over the samples, so that a short last batch has the
        weight of its samples.

    Raises:
        ValueError: the loader is empty.
    """
    autocast = autocast or nullcontext()
    meter, is_empty = Meter(), True
    model.eval()
    with progress_bar(dataloader, desc="validate", unit="batch", leave=False) as bar:
        for images, labels in bar:
            is_empty = False
            if not len(labels):  # fewer samples than processes
                continue
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            with autocast:
                logits = model(images)
                loss = criterion(logits, labels)
            meter.add(loss, accuracy_of(logits, labels), len(labels))
    if is_empty:
        raise ValueError("the dataloader is empty: it gives no batch to validate on")
    return meter.means(group)
