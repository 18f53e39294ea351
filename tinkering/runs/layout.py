"""Where one run's files lie, whose they are, and how it begins: anew or where it was stopped."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tinkering.cli.configs import config_text
from tinkering.errors import DataError, InputError, WriteError
from tinkering.files import remove_parts, replace_file
from tinkering.runs import checkpoint
from tinkering.runs.state import LoadedState, LoopState, StateFile, TrainState, restore
from tinkering.runtime.distributed import SINGLE_PROCESS, Group

# Flags that leave the weights and the metrics as they are, and may differ from start to start.
# Of the batch, it is the images of a step in all processes that must be the same.
FREE = {
    *("batch_size", "grad_accum_steps"),
    *("data_dir_root", "num_workers", "device", "save_path", "model_name", "run_id"),
    *("checkpoint_interval_iters", "resume", "max_minutes", "on_nonfinite", "traceback"),
    *("data_on", "config", "preset", "dry_run", "summary", "tensorboard", "plots"),
}


def check_flags(own: dict, given: dict) -> None:
    """Refuses to go on with a run by flags that would make it another.

    Args:
        own: the flags that the run was started with.
        given: those of this start; num_total_iterations may be larger.

    Raises:
        InputError: the flags that differ, each with both values.
    """
    differing = [
        f"--{name} was {own.get(name)}, is {value}"
        for name, value in given.items()
        if name not in FREE and own.get(name) != value and not _grows(name, own, value)
    ]
    if differing:
        raise InputError(
            f"the run {given['run_id']} in {given['save_path']} was started with other flags: "
            f"{'; '.join(differing)}. Give the new run a --run_id of its own, or let it take "
            "the place of the old one with --resume never"
        )


def _grows(name: str, own: dict, value: int) -> bool:
    return name == "num_total_iterations" and value > own.get(name, value)


class RunFiles:
    """Where one run's files lie, and the ways to begin it.

    Args:
        save_path: the folder of all runs.
        model_name: name of the best checkpoint's file in it.
        run_id: names the run's folder and its state file.
        group: the processes of the run, of which the first alone writes.

    Raises:
        InputError: two files would have one name.
    """

    def __init__(
        self, save_path: Path, model_name: str, run_id: str, group: Group = SINGLE_PROCESS
    ):
        self.run_id = run_id
        self._group = group
        self.moved: list[Path] = []  # the new names of what was moved aside
        self.folder = save_path / run_id
        self.model = save_path / model_name
        self.metrics = self.folder / "metrics.csv"
        self.results = self.folder / "results.json"
        self.config = self.folder / "config.yaml"
        self.report = self.folder / "report.md"
        self.plots = self.folder / "plots"
        self.samples = self.plots / "samples.png"
        self.state = StateFile(save_path / f"checkpoint_{run_id}.pt", group.is_rank0)
        if self.model in (self.folder, self.state.path, self.state.previous):
            raise InputError(
                f"--model_name {model_name} is the name of another file of the run {run_id}; "
                "choose another"
            )

    def make_folders(self) -> None:
        """Makes the folders; raises InputError where one cannot be made or written."""
        files = self.model, self.state.path, self.metrics, self.results, self.config, self.report
        self._group.broadcast_from_rank0(lambda: checkpoint.prepare_folders(*files))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process from writing the same files.

        The lock is the operating system's and goes with its process, however that ends. Once
        it is held, what killed processes left half-written is removed.

        Raises:
            InputError: another process holds it; names that process.
            WriteError: the folder is full.
        """
        if not self._group.is_rank0:
            yield
            return
        owner = self.folder / "lock.pid"
        lock = FileLock(self.folder / "lock")
        try:
            held = lock.acquire(timeout=0)
        except Timeout as error:
            number = owner.read_text() if owner.exists() else "that has just begun"
            raise InputError(
                f"the run {self.run_id} is under way in process {number}: wait for it, stop it, "
                "or give this run a --run_id of its own"
            ) from error
        except OSError as error:
            raise WriteError(lock.lock_file, error) from error
        with held:
            for folder in (self.folder, self.plots):
                remove_parts(folder)
            for file in (self.model, self.state.path):  # beside those of other runs
                remove_parts(file.parent, file.name)
            with replace_file(owner) as file:
                file.write(str(os.getpid()).encode())
            try:
                yield
            finally:
                with suppress(OSError):  # on a disk that became read-only the error is the run's
                    owner.unlink()

    def find(self, mode: str, flags: dict, num_in_step: int) -> LoadedState | None:
        """The saved state to go on from, or None to start anew.

        Args:
            mode: "auto": if there is one; "must"; "never": what is there is moved aside.
            flags: of this start; those that change the result must be the run's own.
            num_in_step: images of an optimizer step, in all processes; must be the run's own.

        Raises:
            InputError: the flags, or the images of a step, are not the run's.
            DataError: there must be a state and is none, or none that is whole.
        """
        return self._group.broadcast_from_rank0(lambda: self._find(mode, flags, num_in_step))

    def _find(self, mode: str, flags: dict, num_in_step: int) -> LoadedState | None:
        if mode == "never":
            self._move_aside(self.model, self.state.path, self.state.previous)
            self._move_aside(self.metrics, self.results, self.config, self.report, self.plots)
            return None
        if not self.state.exists():
            if mode == "must":
                raise DataError(f"there is no run to go on with: no {self.state.path}")
            return None
        found = self.state.load()
        own = found.content["progress"]
        check_flags(own["flags"], flags)
        if own["num_in_step"] != num_in_step:
            raise InputError(
                f"the run {self.run_id} draws {own['num_in_step']} images a step, this start would "
                f"draw {num_in_step}: --batch_size times --grad_accum_steps times the number of "
                "processes must stay what it was"
            )
        return found

    def begin(
        self, found: LoadedState | None, flags: dict, num_in_step: int, learner: TrainState
    ) -> LoopState:
        """Puts the learner where the found state left it; a fresh start where there is none.

        The config is written. Another run's best checkpoint, under the name that this run's is to
        have, is moved aside.
        """
        progress = restore(found.content, learner) if found else LoopState(flags)
        progress.flags, progress.num_in_step = flags, num_in_step
        if self._group.is_rank0:
            if not self._model_is_own(flags):
                self._move_aside(self.model)
            with replace_file(self.config) as file:
                file.write(config_text(flags).encode())
        if progress.best:  # the file may be gone, or another run's
            self.save_model(progress.best)
        return progress

    def save_model(self, content: dict) -> None:
        """Writes the best checkpoint."""
        if self._group.is_rank0:
            checkpoint.save(self.model, content)

    def save_results(self, results: dict) -> None:
        """Writes the figures of the run."""
        if self._group.is_rank0:
            checkpoint.save_results(self.results, results)

    def _model_is_own(self, flags: dict) -> bool:
        """Whether the model file is of a run by these flags; true if there is none."""
        if not self.model.exists():
            return True
        try:
            own = checkpoint.load(self.model).get("flags", {})
            check_flags(own, flags)
        except InputError:
            return False
        return own["run_id"] == self.run_id

    def _move_aside(self, *paths: Path) -> None:
        """Renames what a run before has left, with the time in the new names."""
        stamp = datetime.now().strftime("%Y-%m-%d_%H.%M.%S")
        for path in paths:
            if path.exists():
                target = path.with_name(f"{path.stem}.{stamp}{path.suffix}")
                path.replace(target)
                self.moved.append(target)
