"""report.md: a run on one page."""

from collections.abc import Iterable, Sequence

MOST_VALIDATIONS = 100  # that the page shows


def page(
    run_id: str, plan: dict[str, str], results: dict[str, str], rows: list[dict], has_plots: bool
) -> str:
    """The page, in Markdown.

    Args:
        plan, results: by headings; results are empty until there are any.
        rows: of metrics.csv, by the names of its columns.
        has_plots: whether there are any to show.
    """
    parts = [f"# {run_id}"]
    if results:
        parts += ["## Results", *_table(("", ""), results.items())]
    if has_plots:
        names = {"epoch_metrics": "Validation by validation", "batch_metrics": "Line by line"}
        names["samples"] = "What the network sees, by classes"
        parts += [f"## {text}\n\n![{text}](plots/{name}.png)" for name, text in names.items()]
    parts += ["## Plan", *_table(("", ""), plan.items()), "## Validations", *_validations(rows)]
    return "\n\n".join(parts) + "\n"


def _validations(rows: list[dict]) -> list[str]:
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
    cut = []
    if len(found) > MOST_VALIDATIONS:
        cut = [f"The last {MOST_VALIDATIONS} of {len(found):,}; all are in metrics.csv."]
    return [*cut, *_table(heads, found[-MOST_VALIDATIONS:])]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["\n".join(f"| {' | '.join(line)} |" for line in lines)]
