"""The two loops: a number of optimizer steps, and one pass of validation."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from tinkering.errors import NonFiniteLossError
from tinkering.gradients import Forward, compute_gradient, forward_of
from tinkering.meter import Meter, accuracy_of
from tinkering.runtime.distributed import ALONE, Group
from tinkering.stream import Batch, stream_of

MOST_SKIPPED_IN_A_ROW = 10


def is_due(step: int, interval: int, num_steps: int) -> bool:
    """Whether something done every `interval` steps, and at the last, is to be done at this one."""
    return step % interval == 0 or step == num_steps


def next_due(step: int, intervals: Sequence[int], num_steps: int) -> int:
    """The first step after this one at which something of any of the intervals is due."""
    return min(num_steps, *(step - step % interval + interval for interval in intervals))


def reads_for_free(device: torch.device | str) -> bool:
    """Whether reading a number from the device waits for nothing."""
    return torch.device(device).type == "cpu"


def _skip_or_raise(meter: Meter, error: NonFiniteLossError, on_nonfinite: str) -> None:
    meter.num_skipped += 1
    meter.num_skipped_in_a_row += 1
    if on_nonfinite == "stop" or meter.num_skipped_in_a_row == MOST_SKIPPED_IN_A_ROW:
        raise error


def _raise_if_not_finite(losses: list[Tensor], lrs: list[float], first_step: int) -> None:
    """Looks at all losses at once, for devices on which looking at each would take time."""
    bad = torch.stack(losses).isfinite().logical_not().nonzero()
    if len(bad):
        index = int(bad[0])
        raise NonFiniteLossError(first_step + index, lrs[index], losses[index].item())


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
    group: Group = ALONE,
) -> tuple[float, float, int]:
    """Trains for num_train_iterations optimizer steps, however long the loader is.

    Called again with the step it returned, it goes on in the data where it stopped; called
    with another step, it starts there.

    Args:
        model: maps images (N, C, H, W) to logits (N, num_classes); put into train mode.
        dataloader: gives (images, labels); a short one is passed over again, freshly.
        criterion: (logits, labels) -> mean loss of the batch, a scalar tensor.
        current_step: steps completed before this call.
        scheduler: stepped once after each optimizer step.
        forward: what model and criterion come to in one function, if there is a faster one.
        autocast: context of the forward pass; None for full precision.
        scaler: gradient scaler for fp16; None for none.
        micro_batch_size: samples computed at once; a larger batch is computed in parts, whose
            gradients are added up. None for whole batches.
        clip_grad_norm: the gradient is scaled down to this norm if it is longer; None for never.
        ema: a running mean of the weights, brought up to date after each step; None for none.
        on_nonfinite: what a loss that is not finite does: "stop" raises, "skip" leaves the
            batch out, and raises at the tenth in a row.
        meter: where the metrics between two lines are gathered, to be kept from call to call.
        log_interval_iters: steps between two calls of `log`; 0 for none.
        log: called as log(step, loss, accuracy, lr) with the means since the call before
            and the learning rate of the last step.
        should_stop: asked after each step; the call ends early when it says so.
        progress_bar: a tqdm, or what makes one from its arguments.
        group: the processes that make each step together; each calls this with a loader of its
            own samples of a step's, and all return the same.

    Returns:
        loss and accuracy (0..1), means over the samples seen in this call, and the step
        reached; (0.0, 0.0, current_step) for no iterations.

    Raises:
        ValueError: the loader is empty, or num_train_iterations is negative.
        NonFiniteLossError: on a CPU, and with "skip", before the step is made; on other devices,
            where reading every loss would make them wait, when the loss is next shown or the
            call ends.
    """
    if num_train_iterations < 0:
        raise ValueError(f"num_train_iterations is {num_train_iterations}; it must not be negative")
    if num_train_iterations == 0:
        return 0.0, 0.0, current_step
    forward = forward or forward_of(model, criterion)
    autocast = autocast or nullcontext()
    scaler = scaler or torch.amp.GradScaler(enabled=False)
    meter = meter or Meter()
    segment = Meter()
    first_step, lrs = current_step + 1, []
    look_at_each = on_nonfinite == "skip" or reads_for_free(device)

    model.train()
    bar = progress_bar(
        total=num_train_iterations, desc="train", unit="step", leave=False, mininterval=0.5
    )
    with bar:
        for images, labels in stream_of(dataloader, current_step).take(num_train_iterations):
            lr = optimizer.param_groups[0]["lr"]
            optimizer.zero_grad(set_to_none=True)
            loss, accuracy, num_samples = compute_gradient(
                model,
                forward,
                (images, labels),
                device,
                autocast,
                scaler,
                micro_batch_size,
                group,
            )
            if look_at_each and not loss.isfinite():
                error = NonFiniteLossError(current_step + 1, lr, loss.item())
                _skip_or_raise(meter, error, on_nonfinite)
            else:
                if clip_grad_norm is not None:
                    scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(model.parameters(), clip_grad_norm)
                scaler.step(optimizer)
                scaler.update()
                if ema is not None:
                    ema.update_parameters(model)
                lrs.append(lr)
                segment.add(loss, accuracy, num_samples)
                meter.add(loss, accuracy, num_samples)
            if scheduler is not None:
                scheduler.step()
            current_step += 1

            # The bar reads numbers only when it has just been redrawn, twice a second at most.
            if bar.update() and segment.sizes:
                bar.set_postfix(
                    loss=f"{segment.losses[-1].item():.4f}",
                    acc=f"{segment.accuracies[-1].item():.1%}",
                    lr=f"{lr:.2e}",
                    refresh=False,
                )
            if log and log_interval_iters and current_step % log_interval_iters == 0:
                if not look_at_each:
                    _raise_if_not_finite(segment.losses, lrs, first_step)
                log(current_step, *meter.means(), lr)
                meter.clear()
            if should_stop():
                break
    group.average_buffers(model, *([ema] if ema else []))
    if not look_at_each:
        _raise_if_not_finite(segment.losses, lrs, first_step)
    loss, accuracy = segment.means()
    return loss, accuracy, current_step


@torch.no_grad()
def run_validation(
    model: nn.Module,
    dataloader: Iterable[Batch],
    criterion: Callable[[Tensor, Tensor], Tensor],
    device: torch.device | str,
    *,
    autocast: AbstractContextManager | None = None,
    progress_bar: Callable[..., tqdm] = tqdm,
    group: Group = ALONE,
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
    meter = Meter()
    model.eval()
    with progress_bar(dataloader, desc="validate", unit="batch", leave=False) as bar:
        for images, labels in bar:
            if not len(labels):  # fewer samples than processes
                continue
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            with autocast:
                logits = model(images)
                loss = criterion(logits, labels)
            meter.add(loss, accuracy_of(logits, labels), len(labels))
    if not meter.sizes and group.size == 1:
        raise ValueError("the dataloader is empty: it gives no batch to validate on")
    return meter.means(group)
