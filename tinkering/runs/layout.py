"""Names and files of a run, and the locks that keep two runs from sharing one."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tinkering.errors import InputError, WriteError
from tinkering.files import remove_parts, replace_file

WITH_WIDTH = ("resnet4stage", "mlp")  # networks whose size is set by --width
CLAIM_SECONDS = 10  # to wait for another run that is choosing its model file


def run_names(flags: dict) -> tuple[str, str]:
    """Return the run_id and the name of the model file that these flags lead to.

    Each follows from the other where only one is given. Without either, EMNIST runs of the
    default network are called resnet_emnist, all others after their data set and network.
    """
    run_id, model_name = flags["run_id"], flags["model_name"]
    if run_id is None and model_name is None:
        run_id = _name_by_content(flags)
    elif run_id is None:
        run_id = Path(model_name).stem
    return run_id, model_name or f"{run_id}.pt"


def _name_by_content(flags: dict) -> str:
    dataset, arch = flags["dataset"], flags["arch"]
    if (dataset, arch) == ("emnist", "resnet4stage"):
        return "resnet_emnist"
    width = f"-w{flags['width']}" if arch in WITH_WIDTH else ""
    return re.sub(r"[^\w.-]", "-", f"{dataset}-{arch}{width}")


def _has_line(config: str, name: str, value: str) -> bool:
    """Return whether the text of a config gives a flag this value, in whatever quotes."""
    return re.search(rf"^{name}: (['\"]?){re.escape(value)}\1$", config, re.MULTILINE) is not None


class RunFiles:
    """The files of one run: its folder, and its model file beside the folder.

    Args:
        save_path: the folder of all runs.
        run_id: name of the run's folder.
        model_name: name of the model file, which holds the best checkpoint.
    """

    def __init__(self, save_path: Path | str, run_id: str, model_name: str):
        self.run_id = run_id
        self.save_path = Path(save_path)
        self.folder = self.save_path / run_id
        self.model = self.save_path / model_name
        self.state = self.folder / "state.pt"
        self.previous_state = self.folder / "state.previous.pt"
        self.metrics = self.folder / "metrics.csv"
        self.results = self.folder / "results.json"
        self.config = self.folder / "config.yaml"
        self.report = self.folder / "report.md"
        self.plots = self.folder / "plots"
        self.samples = self.plots / "samples.png"
        self._lock = self.folder / "lock"
        self._owner = self.folder / "lock.pid"
        if self.model == self.folder:
            raise InputError(
                f"--model_name {model_name} is the name of the run's folder; choose another"
            )

    def prepare(self) -> None:
        """Make the folders and try every name that the run will write.

        Raises:
            InputError: a folder or a file cannot be written.
        """
        for file in (self.model, self.state, self.plots / "epoch_metrics.png"):
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                prefix = f".{file.name}."
                with tempfile.NamedTemporaryFile(dir=file.parent, prefix=prefix, suffix=".part"):
                    pass
            except OSError as error:
                raise InputError(f"cannot write {file}: {error.strerror}") from error
            if file.is_dir():
                raise InputError(f"{file} is a folder; choose another name for the file")

    def check(self) -> None:
        """Raise InputError if the folders could not be made; writes nothing."""
        existing = self.existing_parent()
        if not (existing.is_dir() and os.access(existing, os.W_OK)):
            raise InputError(f"cannot write {self.folder}: {existing} is no folder to write in")

    def existing_parent(self) -> Path:
        """Return the nearest path above the run's files that exists, or the folder itself."""
        path = self.folder.absolute()
        while not os.path.lexists(path):
            path = path.parent
        return path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from this run while the block runs.

        The lock is the operating system's and ends with its process, however that ends. Once
        it is held, half-written files of killed processes are removed.

        Raises:
            InputError: another process holds the lock; names that process.
            WriteError: the folder cannot be written.
        """
        lock = FileLock(self._lock)
        try:
            held = lock.acquire(timeout=0)
        except Timeout as error:
            number = self._owner.read_text() if self._owner.exists() else "that has just started"
            raise InputError(
                f"the run {self.run_id} is being trained by process {number}: wait for it, stop "
                "it, or give this run a --run_id of its own"
            ) from error
        except OSError as error:
            raise WriteError(lock.lock_file, error) from error
        with held:
            for folder in (self.folder, self.plots):
                remove_parts(folder)
            remove_parts(self.save_path, self.model.name)
            with replace_file(self._owner) as file:
                file.write(str(os.getpid()).encode())
            try:
                yield
            finally:
                with suppress(OSError):  # on a disk that became read-only, the run's error counts
                    self._owner.unlink()

    def claim(self, config: str) -> None:
        """Write the config of the run, which also claims its model file.

        Raises:
            InputError: another run has claimed the same model file; names both.
            WriteError: the config cannot be written.
        """
        try:
            with FileLock(self.save_path / ".claims.lock").acquire(timeout=CLAIM_SECONDS):
                self.refuse_claimed_model()
                with replace_file(self.config) as file:
                    file.write(config.encode())
        except Timeout as error:
            raise InputError(f"another process keeps {self.save_path} locked; try again") from error

    def refuse_claimed_model(self) -> None:
        """Raise InputError if another run has claimed the model file; names both."""
        for other in self._claimants():
            raise InputError(
                f"the model file {self.model} belongs to the run {other}: give the run "
                f"{self.run_id} a --model_name of its own, {self.run_id}.pt for example"
            )

    def _claimants(self) -> Iterator[str]:
        """Find the other runs whose config names the same model file."""
        claim = "model_name", self.model.name
        for config in self.save_path.glob("*/config.yaml"):
            with suppress(OSError):
                text, name = config.read_text(errors="replace"), config.parent.name
                is_its_own = _has_line(text, "run_id", name)  # not so in a folder moved aside
                if name != self.run_id and is_its_own and _has_line(text, *claim):
                    yield name

    def has_former_run(self) -> bool:
        """Return whether a run without a state has left results or metrics in the folder."""
        if self.results.exists():
            return True
        with suppress(OSError), self.metrics.open() as file:
            return len(file.readlines()) > 1
        return False

    def former_files(self) -> list[Path]:
        """List everything that a former run has left: the contents of its folder, and its model."""
        kept = self._lock, self._owner
        return [path for path in self.folder.iterdir() if path not in kept] + [self.model]

    def set_aside(self, *files: Path) -> Path:
        """Move files, as far as they exist, into a new folder beside the run's; return that."""
        stamp = f"{datetime.now():%Y-%m-%d_%H.%M.%S}"
        number = 1
        while True:
            suffix = f"-{number}" if number > 1 else ""
            target = self.save_path / f"{self.run_id}.{stamp}{suffix}"
            try:
                target.mkdir()
                break
            except FileExistsError:
                number += 1
            except OSError as error:
                raise WriteError(target, error) from error
        for path in files:
            if path.exists():
                shutil.move(path, target / path.name)
        return target

    def free_run_id(self) -> str:
        """Return a run_id like this one that no run has yet."""
        number = 2
        while True:
            name = f"{self.run_id}-{number}"
            if not ((self.save_path / name).exists() or (self.save_path / f"{name}.pt").exists()):
                return name
            number += 1
