"""One training run: its state, its files, and how it begins, continues and ends."""

import copy
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tinkering.data.loader import Loaders
from tinkering.errors import NonFiniteLossError
from tinkering.optim.schedules import depends_on_num_steps, step_with_validation
from tinkering.runs import checkpoint
from tinkering.runs.layout import RunFiles
from tinkering.runs.resume import code_hash, find_state
from tinkering.runs.state import LoadedState, LoopState, StateFile, TrainState, restore
from tinkering.runtime.distributed import SINGLE_PROCESS, Group
from tinkering.train import is_due, next_due


class Run:
    """A training run that is saved, found again and continued.

    Args:
        files: of the run.
        flags: of this start, as they were resolved.
        train_state: the objects that an optimizer step changes.
        loaders: of training, validation and test.
        arch_args: what the network was built with.
        classes: the name of each label.
        group: the processes of the run, of which rank 0 writes.

    Attributes:
        loop: the state of the loop.
        notices: lines about how the run begins.
    """

    def __init__(
        self,
        files: RunFiles,
        flags: dict[str, Any],
        train_state: TrainState,
        loaders: Loaders,
        arch_args: dict[str, Any],
        classes: Sequence[str],
        group: Group = SINGLE_PROCESS,
    ):
        self.files, self.flags, self.train_state = files, flags, train_state
        self.loaders, self.classes, self.group = loaders, classes, group
        self.num_steps: int = flags["num_total_iterations"]
        self.loop = LoopState(
            flags,
            samples_per_step=loaders.train.batch_sampler.batch_size,
            data_hash="-".join(loader.dataset.fingerprint() for loader in loaders),
            code_hash=code_hash(),
        )
        self.about = {
            "arch": flags["arch"],
            "arch_args": arch_args,
            "flags": flags,
            "classes": [*classes],
            "mean": loaders.train.dataset.mean,
            "std": loaders.train.dataset.std,
            "data_hash": self.loop.data_hash,
            "code_hash": self.loop.code_hash,
        }
        self.notices: list[str] = []
        self._state_file = StateFile(files.state, files.previous_state)
        self._saved: tuple[int, int] | None = None  # step and validated_step of the newest state
        self._started = 0.0  # of the segment, on perf_counter's clock

    @contextmanager
    def started(self, mode: str, config: str, free_flags: frozenset[str]) -> Iterator[LoopState]:
        """Lock the run for the block; continue from its saved state, or start from scratch.

        Args:
            mode, free_flags: as in find_state.
            config: the text of the run's config file.

        Yields:
            the state of the loop.

        Raises: as RunFiles.locked and claim, and find_state.
        """
        lock = self.files.locked()
        self._on_rank0(lock.__enter__)
        try:
            self._begin(mode, config, free_flags)
            yield self.loop
        finally:
            if self.group.is_rank0:
                lock.__exit__(None, None, None)

    def _begin(self, mode: str, config: str, free_flags: frozenset[str]) -> None:
        modules = self.train_state.model.modules()
        has_batch_norm = any(isinstance(module, _BatchNorm) for module in modules)
        loaded, self.notices = self._on_rank0(
            lambda: find_state(self.files, mode, self.loop, free_flags, has_batch_norm)
        )
        if loaded:
            self._continue_from(loaded)
        self._on_rank0(lambda: self.files.claim(config))
        if self.loop.best:  # the file may be missing
            self._on_rank0(lambda: checkpoint.save(self.files.model, self.loop.best))
        self.group.seed_by_rank(self.flags["seed"], self.loop.step)

    def _continue_from(self, loaded: LoadedState) -> None:
        self.loop = restore(loaded.content, self.train_state)
        old_steps = self.loop.flags["num_total_iterations"]
        self.loop.flags = self.flags
        self._saved = self.loop.step, self.loop.validated_step
        name = f"the run {self.files.run_id}"
        if self.is_finished:
            self.notices.append(f"{name} is finished: testing its best checkpoint")
            return
        self.notices.append(f"continuing {name} at step {self.loop.step:,}")
        if self.num_steps != old_steps:
            self.notices.append(self._describe_growth(loaded, old_steps))

    def _describe_growth(self, loaded: LoadedState, old_steps: int) -> str:
        text = f"it grows from {old_steps:,} to {self.num_steps:,} steps"
        if not depends_on_num_steps(self.flags["schedule"]):
            return text
        old_lr = loaded.content["optimizer"]["param_groups"][0]["lr"]
        new_lr = self.train_state.optimizer.param_groups[0]["lr"]
        return (
            f"{text}: the learning-rate schedule is stretched over all of them, and the rate is "
            f"{new_lr:.2e} here instead of {old_lr:.2e}"
        )

    @property
    def is_finished(self) -> bool:
        return self.loop.is_finished(self.num_steps, self.flags["patience"])

    @property
    def awaits_validation(self) -> bool:
        return self.loop.awaits_validation(self.flags["eval_interval_iters"], self.num_steps)

    @property
    def _save_interval(self) -> int:
        return self.flags["checkpoint_interval_iters"] or self.flags["eval_interval_iters"]

    @contextmanager
    def segment(self) -> Iterator[int]:
        """Time a training segment; yield its steps, up to the next validation or save.

        Raises:
            NonFiniteLossError: the one of the block, with the images it came from.
        """
        intervals = self.flags["eval_interval_iters"], self._save_interval
        self._started = perf_counter() - self.loop.train_seconds
        try:
            yield next_due(self.loop.step, intervals, self.num_steps) - self.loop.step
        except NonFiniteLossError as error:
            raise self._explained(error) from error
        finally:
            self.update_seconds()

    def update_seconds(self) -> None:
        """Bring train_seconds up to date within a segment."""
        self.loop.train_seconds = perf_counter() - self._started

    def _explained(self, error: NonFiniteLossError) -> NonFiniteLossError:
        """Add the images that a loss came from and what to do to its error."""
        indices = self.loaders.train.batch_sampler.batch_indices(error.step - 1)
        positions = self.loaders.train.dataset.positions(indices).tolist()
        state = "no state is saved yet"
        if self.files.state.exists():
            state = f"the last good state is in {self.files.state}"
        return NonFiniteLossError(
            error.step,
            error.lr,
            error.loss,
            f"from images {textwrap.shorten(', '.join(map(str, positions)), 500)} of the training "
            f"file; {state}. Try a smaller --lr or --clip_grad_norm 1 in a new run, or leave such "
            "batches out with --on_nonfinite skip",
        )

    def record_validation(self, val_loss: float, val_accuracy: float) -> bool:
        """Note a validation and keep the model if it is the best; return whether it is.

        Raises:
            NonFiniteLossError: the validation loss is not finite, unless such losses are skipped.
        """
        if not math.isfinite(val_loss):
            if self.flags["on_nonfinite"] == "stop":
                lr = self.train_state.optimizer.param_groups[0]["lr"]
                raise NonFiniteLossError(self.loop.step, lr, val_loss, "in validation")
            val_accuracy = math.nan  # never the best
        is_best = self.loop.record_validation(val_accuracy, self.flags["min_delta"])
        step_with_validation(self.train_state.scheduler, val_loss)
        if is_best:
            scores = {"val_loss": val_loss, "val_accuracy": val_accuracy}
            self.loop.best = checkpoint.model_content(
                self.train_state.eval_model, **self.about, step=self.loop.step, **scores
            )
            self._on_rank0(lambda: checkpoint.save(self.files.model, self.loop.best))
        return is_best

    def save_if_due(self) -> None:
        """Save the state at the steps of checkpoint_interval_iters and at the run's end."""
        if self.is_finished or is_due(self.loop.step, self._save_interval, self.num_steps):
            self.save()

    def save(self) -> None:
        """Save the state, unless the newest saved state is this one."""
        progress = self.loop.step, self.loop.validated_step
        if self._saved != progress:
            self._on_rank0(lambda: self._state_file.save(self.loop, self.train_state))
            self._saved = progress

    def best_model(self) -> nn.Module:
        """Return a network with the weights of the best checkpoint.

        Raises:
            NonFiniteLossError: no validation had a finite loss.
        """
        if not self.loop.best:
            lr = self.train_state.optimizer.param_groups[0]["lr"]
            raise NonFiniteLossError(self.loop.step, lr, math.nan, "in every validation")
        model = copy.deepcopy(self.train_state.eval_model)
        model.load_state_dict(self.loop.best["model"])
        return model

    def _on_rank0(self, function: Callable[[], Any]) -> Any:
        """Call a function in the process of rank 0; its value or error reaches all processes."""
        return self.group.broadcast_from_rank0(function)
