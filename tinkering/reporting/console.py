"""The console of a run: bars in a terminal, plain lines anywhere else."""

import io
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

    In a terminal rich shows its bar over the whole run and, below it, the text that tqdm writes for
    the current segment or validation. tqdm never writes to the terminal itself.

    Args:
        num_steps: optimizer steps of the whole run.
        images_per_step: for images/s.
        quiet: whether to show nothing.
    """

    def __init__(self, num_steps: int, images_per_step: int, quiet: bool = False):
        self.images_per_step, self.quiet = images_per_step, quiet
        self.console = Console()
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
        self._live = Live(console=self.console, get_renderable=self._render, transient=True)

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
        # A full last column would wrap the line, and so would the ^C that a terminal shows.
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
            grid = Table.grid(padding=(0, 2))
            for name, value in rows.items():
                grid.add_row(Text(name, style="bold"), Text(value))
            self.console.print(Panel(grid, title=title, title_align="left"))
        else:
            self.line(aligned(rows))

    def line(self, text: str) -> None:
        """Show a text, above the bars if there are any."""
        if self.in_terminal:
            self.console.print(text, highlight=False, markup=False)
        elif not self.quiet:
            print(text, flush=True)


def aligned(rows: dict[str, str]) -> str:
    """Return a line for each heading and its value, the values aligned."""
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


class _Line(io.TextIOBase):
    """A file that keeps the text that tqdm would show on its line of the terminal."""

    text = ""

    def write(self, text: str) -> int:
        self.text = text.rsplit("\r", 1)[-1].rstrip("\n") or self.text
        return len(text)
