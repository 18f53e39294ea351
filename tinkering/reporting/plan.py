"""What a run is going to do, and everything it depends on."""

import copy
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tinkering.runs import checkpoint
from tinkering.runs.run import Run
from tinkering.runtime.distributed import launch_command

ROOT = Path(__file__).parent.parent.parent
GIT_SECONDS = 1  # git on a slow network mount must not delay the start


def make_plan(run: Run, device: torch.device, compiling: str) -> dict[str, str]:
    """Describe a run before it starts, by headings; compiling is "" without torch.compile."""
    flags, train_set = run.flags, run.loaders.train.dataset
    num_train, num_val, num_test = (len(loader.dataset) for loader in run.loaders)
    num_images = run.loaders.train.batch_sampler.num_samples_before(run.num_steps)
    name = " ".join(filter(None, (flags["dataset"], split_of(flags))))
    network = f"{flags['arch']}: {num_parameters(run.train_state.model):,} parameters"
    return {
        "data set": f"{name}: {len(run.classes)} classes, in {flags['data_dir_root']}",
        "images": f"{num_train:,} to train on, {num_val:,} to validate, {num_test:,} to test; "
        f"augment {flags['augment']}",
        "network": ", ".join(filter(None, [network, compiling])),
        "steps": f"{run.num_steps:,} of {_step(run)}, "
        f"{num_images / num_train:.3g} epochs, seed {flags['seed']}",
        "optimizer": f"{flags['optimizer']}, learning rate {flags['lr']:g}, {flags['schedule']}, "
        f"weight decay {flags['weight_decay']:g}",
        "device": f"{device}, {flags['precision']}, {torch.get_num_threads()} threads, images on "
        f"{train_set.images.device}",
        "files": f"{run.files.model}, {run.files.folder}",
    }


def make_facts(run: Run) -> dict[str, str]:
    """List everything that a run depends on beyond the plan, for its log, by headings."""
    return {
        "command": launch_command(),
        "revision": revision(),
        **checkpoint.versions(),
        "machine": f"{platform.platform()}, {os.cpu_count()} processors",
        **{f"--{name}": str(value) for name, value in run.flags.items()},
        "layers": " ".join(str(run.train_state.model).split()),
    }


def revision() -> str:
    """Return the program's git revision, marked if changed since; "" without git."""
    if not (ROOT / ".git").exists():  # an installed package may lie inside another repository
        return ""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        output = subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ""
    return output.decode().strip()


def layer_table(run: Run) -> str:
    """List each layer with its output's shape, its parameters and its multiply-adds.

    Nothing is computed: the table is of a copy on the meta device, where tensors have only shapes.
    """
    from torchinfo.torchinfo import clear_cached_forward_pass, summary

    shape = run.flags["batch_size"], *run.loaders.train.dataset.image_shape
    table = summary(
        copy.deepcopy(run.train_state.model).to("meta"),
        input_data=torch.zeros(shape, device="meta"),
        col_names=("output_size", "num_params", "mult_adds"),
        col_width=18,
        row_settings=("depth", "ascii_only"),
        verbose=0,
    )
    clear_cached_forward_pass()  # it would keep the copy for as long as the program runs
    return re.sub(r"Units\.(.)\w+", r"\1", str(table))  # M, not Units.MEGABYTES


def split_of(flags: dict[str, Any]) -> str | None:
    """Return the EMNIST split of a run; None for a data set without splits."""
    return flags["emnist_split"] if flags["dataset"] in ("emnist", "glyphs") else None


def num_parameters(model: nn.Module) -> int:
    """Count the parameters of a network."""
    return sum(p.numel() for p in model.parameters())


def _step(run: Run) -> str:
    """Return the images of a step, and their factors if it is not one batch."""
    counts = {"processes": run.group.world_size, "micro-batches": run.flags["grad_accum_steps"]}
    factors = [f"{number} {what}" for what, number in counts.items() if number > 1]
    product = f" ({' x '.join([*factors, str(run.flags['batch_size'])])})" if factors else ""
    return f"{run.loop.samples_per_step} images{product}"
