"""The results of a run: results.json, the table at its end, and report.md."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from tinkering.reporting.plan import num_parameters, split_of
from tinkering.runs import checkpoint
from tinkering.runs.run import Run

Rows = list[dict[str, Any]]  # of metrics.csv, by column

OPTIMISTIC = "OPTIMISTIC: the checkpoint was chosen on the test set (val_size 0)"
OVERFIT = "OF THE TRAINING IMAGES: a single batch of them (overfit_one_batch)"
SUBSET = "OF A PART of the test set (test_subset)"
MAX_VALIDATIONS = 100  # that report.md lists


def notes(flags: dict[str, Any]) -> list[str]:
    """Return what must be said beside every score of a run with these flags."""
    if flags["overfit_one_batch"]:
        return [OVERFIT]
    holds = {OPTIMISTIC: flags["val_size"] == 0, SUBSET: flags["test_subset"] is not None}
    return [note for note, is_true in holds.items() if is_true]


def make_results(
    run: Run, device: torch.device, compile_seconds: float, test_loss: float, test_accuracy: float
) -> dict[str, Any]:
    """Collect what results.json holds."""
    loop, flags = run.loop, run.flags
    num_images = run.loaders.train.batch_sampler.num_samples_before(loop.step)
    return {
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
        "best_val_accuracy": loop.best_accuracy,
        "best_step": loop.best_step,
        "num_steps": loop.step,
        "num_parameters": num_parameters(run.train_state.model),
        "images_per_second": num_images / loop.train_seconds,
        "train_seconds": loop.train_seconds,
        "compile_seconds": compile_seconds,
        "num_skipped_batches": loop.meter.num_skipped,
        "seed": flags["seed"],
        "dataset": flags["dataset"],
        "emnist_split": split_of(flags),
        "device": str(device),
        "note": "; ".join(notes(flags)),
        "data_hash": loop.data_hash,
        "code_hash": loop.code_hash,
        "versions": checkpoint.versions(),
        "flags": flags,
    }


def results_table(results: dict[str, Any], run: Run) -> dict[str, str]:
    """Describe the results for the console and the report, by headings."""
    return {
        "test accuracy": f"{results['test_accuracy']:.2%}  {results['note']}".rstrip(),
        "test loss": f"{results['test_loss']:.4f}",
        "best validation": f"{results['best_val_accuracy']:.2%} at step {results['best_step']:,}",
        "training": f"{results['train_seconds']:.0f} s, "
        f"{results['images_per_second']:,.0f} images/s",
        "best checkpoint": str(run.files.model),
        "figures": f"{run.files.results}, {run.files.metrics}",
    }


def report_page(
    run_id: str, plan: dict[str, str], results: dict[str, str], rows: Rows, has_plots: bool
) -> str:
    """Write report.md, a run on one page; results are empty before the end."""
    parts = [f"# {run_id}"]
    if results:
        parts += ["## Results", _table(("", ""), results.items())]
    if has_plots:
        names = {"epoch_metrics": "Validation by validation", "batch_metrics": "Line by line"}
        names["samples"] = "What the network sees, by classes"
        parts += [f"## {text}\n\n![{text}](plots/{name}.png)" for name, text in names.items()]
    parts += ["## Plan", _table(("", ""), plan.items()), "## Validations", _validations(rows)]
    return "\n\n".join(parts) + "\n"


def _validations(rows: Rows) -> str:
    """List the validations, each with the line of training metrics before it."""
    found, trained = [], {}
    for row in rows:
        if row["val_loss"] == "":
            trained = row
            continue
        losses = [f"{row['val_loss']:.4f}", f"{row['val_accuracy']:.2%}"]
        if trained:
            losses += [f"{trained['train_loss']:.4f}", f"{trained['train_accuracy']:.2%}"]
        found.append((f"{row['step']:,}", f"{row['epoch']:.2f}", *losses, f"{row['seconds']:.0f}"))
    heads = ("step", "epoch", "validation loss", "accuracy", "training loss", "accuracy", "seconds")
    table = _table(heads, found[-MAX_VALIDATIONS:])
    if len(found) <= MAX_VALIDATIONS:
        return table
    return f"The last {MAX_VALIDATIONS} of {len(found):,}; all are in metrics.csv.\n\n{table}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
