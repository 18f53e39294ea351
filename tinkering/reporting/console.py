"""The console of a run: bars in a terminal, plain lines anywhere else."""

import sys
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from tqdm import tqdm


class RunConsole:
    """The console of one run; a context, inside which the bars are shown.

    In a terminal rich owns the bottom lines: its bar over the whole run, and under it the
    bar that tqdm draws for the current segment or validation. tqdm writes into a line
    of rich's display and never to the terminal, so the two cannot garble each other.

    Args:
        num_steps: optimizer steps of the whole run.
        images_per_step: for images/s.
        quiet: whether to show nothing.
    """

    def __init__(self, num_steps: int, images_per_step: int, quiet: bool = False):
        self.images_per_step = images_per_step
        self.console = Console()
        self.quiet = quiet
        self.in_terminal = sys.stdout.isatty() and not self.console.is_dumb_terminal and not quiet
        self._line = _Line()
        self._bar: tqdm | None = None  # of the current segment
        self._segment_start = 0
        self._progress = Progress(
            TextColumn("run"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:,.0f} images/s, left"),
            TimeRemainingColumn(),
            expand=True,
        )
        self._task = self._progress.add_task("run", total=num_steps, speed=0.0)
        self._live = Live(
            get_renderable=self._render,
            console=self.console,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self.in_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def progress_bar(self, *args: object, **kwargs: object) -> tqdm:
        """Return a tqdm with its bar under that of the run; a silent one without a terminal."""
        if not self.in_terminal:
            return tqdm(*args, **kwargs, disable=True)
        # A full last column would wrap the line, and so would the ^C that a terminal shows. The
        # rate is left out, because the bar of the run shows it as images/s.
        kwargs |= {"file": self._line, "ncols": self.console.width - 3, "ascii": False}
        kwargs["bar_format"] = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        return tqdm(*args, **kwargs)

    def segment_bar(self, *args: object, **kwargs: object) -> tqdm:
        """Return the progress_bar of a training segment, which also moves the bar of the run."""
        self._bar = self.progress_bar(*args, **kwargs)
        return self._bar

    def at_step(self, step: int) -> None:
        """Set the bar of the run to a number of completed steps, between two segments."""
        self._segment_start, self._bar = step, None
        self._progress.update(self._task, completed=step)

    def _render(self) -> Group:
        if self._bar is not None:
            rate = self._bar.format_dict["rate"]  # steps a second; none as a segment begins
            speed = {"speed": rate * self.images_per_step} if rate else {}
            completed = self._segment_start + self._bar.n
            self._progress.update(self._task, completed=completed, **speed)
        return Group(self._progress.get_renderable(), Text(self._line.text, no_wrap=True))

    def table(self, title: str, rows: dict[str, str]) -> None:
        """Show a panel of headings and values; plain lines without a terminal."""
        if self.in_terminal:
            self.console.print(Panel(_grid(rows), title=title, title_align="left"))
        else:
            for line in aligned(rows):
                self.line(line)

    def line(self, text: str) -> None:
        """Show one line, above the bars if there are any."""
        if self.in_terminal:
            self.console.print(text, highlight=False, markup=False)
        elif not self.quiet:
            print(text, flush=True)


def aligned(rows: dict[str, str]) -> list[str]:
    """Return a line for each heading and its value, the values aligned."""
    width = max(len(name) for name in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows.items()]


class _Line:
    """A file that keeps the text that tqdm would show on its line of the terminal."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        if shown := text.rsplit("\r", 1)[-1].rstrip("\n"):
            self.text = shown

    def flush(self) -> None:
        pass


def _grid(rows: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), Text(value))
    return table
