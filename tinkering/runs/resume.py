"""How a run begins: from scratch, or from a saved state, which must be of the same run."""

import ast
import hashlib
import shlex
from pathlib import Path
from typing import Any

from tinkering.errors import DataError, InputError
from tinkering.runs import checkpoint
from tinkering.runs.layout import RunFiles
from tinkering.runs.state import FROM_SCRATCH, LoadedState, LoopState, StateFile
from tinkering.runtime.distributed import launch_command

PACKAGE = Path(__file__).parent.parent
COMPUTING = ("train.py", "emnist_dataset.py", "data", "models", "optim", "runtime")


def code_hash() -> str:
    """Return a hash of the modules that decide a run's numbers; comments do not count."""
    digest = hashlib.sha256()
    for name in COMPUTING:
        path = PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(ast.dump(ast.parse(file.read_bytes())).encode())
    return digest.hexdigest()[:16]


def find_state(
    files: RunFiles,
    mode: str,
    now: LoopState,
    free_flags: frozenset[str],
    has_batch_norm: bool,
) -> tuple[LoadedState | None, list[str]]:
    """Find the state to continue from; make room for a fresh run where there is none.

    Args:
        files: of the run.
        mode: "auto": continue if there is a state; "must": there has to be one; "never": move
            what is there aside.
        now: the state that a fresh run would begin with.
        free_flags: names of the flags that may differ from start to start.
        has_batch_norm: whether the network normalises over the images of a micro-batch.

    Returns:
        the state, None for a fresh run; and lines to report.

    Raises:
        InputError: the flags, the images or the batch are not those of the saved run, or the
            model file belongs to another run.
        DataError: there must be a state and is none, or none that can be used.
    """
    files.refuse_claimed_model()
    has_own_model = _has_own_model(files)
    states = StateFile(files.state, files.previous_state)
    if mode != "never" and states.exists():
        loaded = states.load()
        lines = _check(files, loaded, now, free_flags, has_batch_norm)
        if not has_own_model:
            lines.append(f"moved aside: {files.set_aside(files.model)}")
        return loaded, lines
    if mode == "must":
        raise DataError(f"there is no run to continue: no {files.state}")
    if states.exists() or files.has_former_run() or files.model.exists():
        return None, [f"moved aside: {files.set_aside(*files.former_files())}"]
    return None, []


def _has_own_model(files: RunFiles) -> bool:
    """Return whether the model file is this run's or missing; refuse that of another run."""
    if not files.model.exists():
        return True
    try:
        owner = checkpoint.load(files.model).get("flags", {}).get("run_id")
    except InputError:  # not a model file
        return False
    if owner not in (None, files.run_id):
        raise InputError(
            f"the model file {files.model} belongs to the run {owner}: give the run "
            f"{files.run_id} another --model_name, or train with: {_renamed_command(files)}"
        )
    return owner == files.run_id


def _check(
    files: RunFiles,
    loaded: LoadedState,
    now: LoopState,
    free_flags: frozenset[str],
    has_batch_norm: bool,
) -> list[str]:
    """Refuse to continue a run under conditions that would change its result."""
    try:
        saved = loaded.content["loop"]
        reason = difference(saved, now, free_flags, has_batch_norm)
        old_size, size = saved["flags"]["batch_size"], now.flags["batch_size"]
        old_code = saved["code_hash"]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{files.state} was edited: an entry is missing or of a wrong type ({error}); "
            f"{FROM_SCRATCH}"
        ) from error
    if reason:
        raise InputError(
            f"the run {files.run_id} in {files.save_path} {reason}. Train another run with: "
            f"{_renamed_command(files)}, or replace this one with --resume never"
        )
    lines = [f"warning: {loaded.warning}"] if loaded.warning else []
    if old_code != now.code_hash:
        lines.append(
            "warning: the program's code has changed since this run was started, so its scores "
            "may be of two programs; to train it from scratch, use --resume never"
        )
    if has_batch_norm and old_size != size:
        lines.append(
            f"note: BatchNorm normalises {size} images at a time, and {old_size} before: the "
            "number of processes has changed"
        )
    return lines


def _renamed_command(files: RunFiles) -> str:
    """Return this command with a run_id that no run has yet."""
    command = launch_command(without=("run_id", "model_name"))
    return f"{command} --run_id {shlex.quote(files.free_run_id())}"


def difference(
    saved: dict[str, Any], now: LoopState, free_flags: frozenset[str], has_batch_norm: bool
) -> str:
    """Say in what this start differs so much from a saved run that it cannot continue it.

    Args:
        saved: the saved run's LoopState as a dict.
        now: the state that a fresh run would begin with.
        free_flags: names of the flags that may differ.
        has_batch_norm: whether the network normalises over the images of a micro-batch.

    Returns:
        the end of a sentence that begins with "the run X"; "" where it can be continued.
    """
    own, given = saved["flags"], now.flags
    differing = [
        f"--{name} was {own.get(name)}, is {value}"
        for name, value in given.items()
        if name not in free_flags and own.get(name) != value and not _grows(name, own, value)
    ]
    if differing:
        return f"was started with other flags: {'; '.join(differing)}"
    if saved["data_hash"] != now.data_hash:
        return f"was trained on other images than those in {given['data_dir_root']}"
    if saved["samples_per_step"] != now.samples_per_step:
        return (
            f"draws {saved['samples_per_step']} images a step and this start would draw "
            f"{now.samples_per_step}: --batch_size times --grad_accum_steps times the number of "
            "processes must stay the same"
        )
    if has_batch_norm and own["grad_accum_steps"] != given["grad_accum_steps"]:
        return (
            f"normalises {own['batch_size']} images at a time (BatchNorm) and this start would "
            f"normalise {given['batch_size']}: --batch_size must stay the same"
        )
    return ""


def _grows(name: str, own: dict[str, Any], value: Any) -> bool:
    return name == "num_total_iterations" and value > own.get(name, value)
