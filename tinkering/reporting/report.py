"""The words and figures at a run's beginning and at its end."""

import os
import platform
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from tinkering.errors import NonFiniteLossError
from tinkering.runs import checkpoint
from tinkering.runs.layout import RunFiles
from tinkering.runs.state import LoadedState, LoopState, TrainState
from tinkering.runtime.compiling import Compiled
from tinkering.runtime.signals import Stopper

ROOT = Path(__file__).parent.parent.parent
OPTIMISTIC = "OPTIMISTIC: the checkpoint was chosen on the test set (val_size 0)"
OVERFIT = "OF THE TRAINING IMAGES: a single batch of them (overfit_one_batch)"
SUBSET = "OF A PART of the test set (test_subset)"


def plan(
    flags: dict,
    device: torch.device,
    model: nn.Module,
    compiled: str,
    num_classes: int,
    loaders: Sequence[DataLoader],
    files: RunFiles,
) -> dict[str, str]:
    """What the run is going to do, by headings.

    Args:
        compiled: what there is to say of compiling.
        loaders: of training, validation and test.
    """
    num_train, num_val, num_test = (len(loader.dataset) for loader in loaders)
    num_images = loaders[0].batch_sampler.num_drawn(flags["num_total_iterations"])
    name = " ".join(filter(None, (flags["dataset"], _split(flags))))
    return {
        "data set": f"{name}: {num_classes} classes, in {flags['data_dir_root']}",
        "images": f"{num_train:,} to train on, {num_val:,} to validate, {num_test:,} to test; "
        f"augment {flags['augment']}",
        "network": ", ".join(
            filter(None, [f"{flags['arch']}: {_num_parameters(model):,} parameters", compiled])
        ),
        "steps": f"{flags['num_total_iterations']:,} of {_step(flags, loaders[0])}, "
        f"{num_images / num_train:.3g} epochs, seed {flags['seed']}",
        "optimizer": f"{flags['optimizer']}, learning rate {flags['lr']:g}, {flags['schedule']}, "
        f"weight decay {flags['weight_decay']:g}",
        "device": f"{device}, {flags['precision']}, {torch.get_num_threads()} threads, images on "
        f"{loaders[0].dataset.images.device}",
        "files": f"{files.model}, {files.state.path}, {files.folder}",
    }


def facts(flags: dict, model: nn.Module) -> dict[str, str]:
    """What the log has beyond the plan, by headings: everything a run depends on."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "revision": revision(),
        **checkpoint.versions(),
        "machine": f"{platform.platform()}, {os.cpu_count()} processors",
        **{f"--{name}": str(value) for name, value in flags.items()},
        "layers": " ".join(str(model).split()),
    }


def revision() -> str:
    """The program's revision by git, with a word on changes since; "" where git knows none."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def beginning(
    found: LoadedState | None,
    progress: LoopState,
    learner: TrainState,
    flags: dict,
    files: RunFiles,
) -> list[str]:
    """What there is to say before the first step: where the run goes on, and what to beware of."""
    lines = [f"moved aside: {path}" for path in files.moved]
    lines += [f"scores will be {note}" for note in _notes(flags)]
    if found is None:
        return lines
    if found.warning:
        lines.append(f"warning: {found.warning}")
    before = found.content["progress"]["flags"]["num_total_iterations"]
    num_steps = flags["num_total_iterations"]
    if progress.is_finished(num_steps, flags["patience"]):
        lines.append(f"the run {flags['run_id']} is finished: scoring its best checkpoint")
        return lines
    lines.append(f"going on with the run {flags['run_id']} at step {progress.step:,}")
    if num_steps != before:
        old_lr = found.content["optimizer"]["param_groups"][0]["lr"]
        new_lr = learner.optimizer.param_groups[0]["lr"]
        lines.append(
            f"it grows from {before:,} to {num_steps:,} steps: the learning rate's schedule is "
            f"stretched over all of them, and here is {new_lr:.2e} in place of {old_lr:.2e}"
        )
    return lines


@contextmanager
def explained(train_loader: DataLoader, files: RunFiles) -> Iterator[None]:
    """Adds to a loss that is not finite which images it came from, and what to do."""
    try:
        yield
    except NonFiniteLossError as error:
        indices = train_loader.batch_sampler.indices_at(error.step - 1)
        places = ", ".join(map(str, train_loader.dataset.positions(indices).tolist()))
        state = "no state is saved yet"
        if files.state.exists():
            state = f"the last good state is in {files.state.path}"
        raise NonFiniteLossError(
            error.step,
            error.lr,
            error.loss,
            f"from images {textwrap.shorten(places, 500)} of the training file; {state}. Try a "
            "smaller --lr or --clip_grad_norm 1 in a new run, or leave such batches out with "
            "--on_nonfinite skip",
        ) from error


def _notes(flags: dict) -> list[str]:
    """What must be said beside every score."""
    if flags["overfit_one_batch"]:
        return [OVERFIT]
    asked = {OPTIMISTIC: flags["val_size"] == 0, SUBSET: flags["test_subset"] is not None}
    return [note for note, holds in asked.items() if holds]


def early(progress: LoopState, num_steps: int) -> list[str]:
    """A line where patience has ended the run before its last step."""
    if progress.validated_step == num_steps:
        return []
    return [f"stopped early: {progress.num_stale} validations without a better accuracy"]


def stopped(progress: LoopState, stop: Stopper) -> str:
    """The line that says how to go on."""
    again = shlex.join(["python", *sys.argv])
    return f"stopped by {stop.requested} after step {progress.step:,}; saved. Go on with: {again}"


def results(
    progress: LoopState,
    flags: dict,
    device: torch.device,
    train_loader: DataLoader,
    model: nn.Module,
    compiled: Compiled,
    test_loss: float,
    test_accuracy: float,
) -> dict:
    """What results.json holds."""
    num_images = train_loader.batch_sampler.num_drawn(progress.step)
    return {
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
        "best_val_accuracy": progress.best_accuracy,
        "best_step": progress.best_step,
        "num_steps": progress.step,
        "num_parameters": _num_parameters(model),
        "images_per_second": num_images / progress.train_seconds,
        "train_seconds": progress.train_seconds,
        "compile_seconds": compiled.seconds,
        "num_skipped_batches": progress.meter.num_skipped,
        "seed": flags["seed"],
        "dataset": flags["dataset"],
        "emnist_split": _split(flags),
        "device": str(device),
        "note": "; ".join(_notes(flags)),
        "versions": checkpoint.versions(),
        "flags": flags,
    }


def ending(results: dict, files: RunFiles) -> dict[str, str]:
    """The table at the end, by headings."""
    return {
        "test accuracy": f"{results['test_accuracy']:.2%}  {results['note']}".rstrip(),
        "test loss": f"{results['test_loss']:.4f}",
        "best validation": f"{results['best_val_accuracy']:.2%} at step {results['best_step']:,}",
        "training": f"{results['train_seconds']:.0f} s, "
        f"{results['images_per_second']:,.0f} images/s",
        "best checkpoint": str(files.model),
        "figures": f"{files.results}, {files.metrics}",
    }


def _split(flags: dict) -> str | None:
    return flags["emnist_split"] if flags["dataset"] in ("emnist", "glyphs") else None


def _step(flags: dict, train_loader: DataLoader) -> str:
    """The images of a step, and what they are made up of where it is not one batch."""
    sampler = train_loader.batch_sampler
    counts = {"processes": sampler.group.world_size, "batches": flags["grad_accum_steps"]}
    factors = [f"{number} {what}" for what, number in counts.items() if number > 1]
    made_up = f" ({' x '.join([*factors, str(flags['batch_size'])])})" if factors else ""
    return f"{sampler.batch_size} images{made_up}"


def _num_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
