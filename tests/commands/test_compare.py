import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.helpers import ROOT, write_metrics
from tinkering.commands.compare import compare, short_names
from tinkering.errors import InputError

FLAGS = {
    **{"dataset": "emnist", "emnist_split": "balanced", "arch": "resnet4stage"},
    **{"optimizer": "adamw", "lr": 1e-5, "betas": [0.9, 0.999], "nesterov": False},
    **{"num_total_iterations": 2000, "clip_grad_norm": None, "run_id": "run"},
}
RESULTS = {
    **{"test_accuracy": 0.86123, "best_val_accuracy": 0.875, "best_step": 1000, "note": ""},
    **{"num_parameters": 1234567, "images_per_second": 1532.4, "train_seconds": 83.7},
    **{"num_steps": 2000},
}
METRICS = [
    "1000,1.0,0.001,2.5,0.25,,,1000.0,40.0",
    "1000,1.0,,,,1.6,0.875,,40.0",
    "2000,2.0,0.001,1.5,0.5,,,1200.0,80.0",
    "2000,2.0,,,,1.6,0.8749,,80.0",
]


def leave_run(folder, metrics=METRICS, results=RESULTS, **flags):
    """Writes what is compared of a run; one that is still training has no results."""
    write_metrics(folder, *metrics)
    flags = FLAGS | flags
    (folder / "config.yaml").write_text(yaml.safe_dump(flags))
    if results:
        (folder / "results.json").write_text(json.dumps(results | {"flags": flags}))
    return str(folder)


@pytest.fixture
def compared(tmp_path, monkeypatch, capsys):
    """Compares runs in an empty folder; returns the lines that it prints."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def lines(*runs, **flags):
        compare(*runs, **flags)
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return lines


def cells(line):
    """The cells of a line, two spaces or more apart."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_a_run_is_a_row_of_its_scores_and_speed(tmp_path, compared):
    heading, row, *_ = compared(leave_run(tmp_path / "one"))
    assert dict(zip(cells(heading), cells(row), strict=True)) == {
        **{"run": "one", "data set": "emnist balanced", "network": "resnet4stage"},
        **{"parameters": "1,234,567", "optimizer": "adamw", "steps": "2,000"},
        **{"best validation": "87.50%", "at step": "1,000", "test": "86.12%"},
        **{"seconds": "84", "images/s": "1,532"},
    }


def test_a_run_that_is_still_training_is_shown_as_far_as_it_has_come(tmp_path, compared):
    row = compared(leave_run(tmp_path / "one", METRICS[:3], results=None))[1]
    assert cells(row) == [
        *("one", "emnist balanced", "resnet4stage", "-", "adamw", "2,000 of 2,000"),
        *("87.50%", "1,000", "-", "80", "1,100"),
    ]


def test_a_run_that_has_just_begun_is_shown_with_dashes(tmp_path, compared):
    path = leave_run(tmp_path / "one", [], results=None)
    Path(path, "config.yaml").unlink()
    assert cells(compared(path)[1]) == ["one", *"----", "0 so far", *"-----"]


def test_results_of_fewer_steps_than_the_metrics_are_outdated(tmp_path, compared):
    row = compared(leave_run(tmp_path / "one", results=RESULTS | {"num_steps": 1000}))[1]
    assert "2,000 of 2,000" in row
    assert "86.12%" not in row


def test_a_note_on_the_scores_is_printed(tmp_path, compared):
    lines = compared(leave_run(tmp_path / "one", results=RESULTS | {"note": "OPTIMISTIC: why"}))
    assert "the scores of one are OPTIMISTIC: why" in lines


def test_only_the_flags_in_which_runs_differ_are_printed(tmp_path, compared):
    lines = compared(
        leave_run(tmp_path / "one"),
        leave_run(
            tmp_path / "other",
            **{"results": None, "lr": 0.1, "betas": [0.8, 0.9], "nesterov": True},
            **{"clip_grad_norm": 1.0, "momentum": 0.9, "run_id": "other"},
        ),
    )
    table = lines[lines.index("") + 1 : -2]
    assert sorted(map(cells, table)) == [
        ["betas", "0.9,0.999", "0.8,0.9"],
        ["clip_grad_norm", "none", "1.0"],
        ["flag", "one", "other"],
        ["lr", "1e-05", "0.1"],
        ["momentum", "-", "0.9"],
        ["nesterov", "no", "yes"],
    ]


def test_many_runs_that_differ_in_few_flags_have_a_row_each(tmp_path, compared):
    lines = compared(*(leave_run(tmp_path / f"run_{seed}", seed=seed) for seed in range(3)))
    table = lines[lines.index("") + 1 : -2]
    assert list(map(cells, table)) == [
        ["run", "seed"],
        *([f"run_{seed}", str(seed)] for seed in range(3)),
    ]


def test_runs_with_the_same_flags_differ_in_none(tmp_path, compared):
    assert "no flags differ" in compared(leave_run(tmp_path / "one"), leave_run(tmp_path / "other"))


def test_a_run_given_twice_is_shown_once(tmp_path, compared):
    path = leave_run(tmp_path / "one")
    lines = compared(path, path + "/", path + "/../one")
    assert sum(line.startswith("one") for line in lines) == 1


def test_the_current_folder_may_be_a_run(tmp_path, compared, monkeypatch):
    monkeypatch.chdir(leave_run(tmp_path / "one"))
    assert compared(".")[1].startswith("one ")


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["/a/one", "/a/two"], ["one", "two"]),
        (["/a/one", "/b/one", "/b/two"], ["a/one", "b/one", "two"]),
        (["/a/x/one", "/b/x/one"], ["a/x/one", "b/x/one"]),
        (["/one", "/a/one"], ["/one", "a/one"]),
    ],
)
def test_a_name_has_as_much_of_the_path_as_makes_it_unique(folders, expected):
    assert short_names([Path(folder) for folder in folders]) == expected


def test_the_curves_are_drawn(tmp_path, compared):
    lines = compared(leave_run(tmp_path / "one"), plot_file="plots/curves.png")
    assert lines[-1] == "drew plots/curves.png"
    with Image.open("plots/curves.png") as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    compared(leave_run(tmp_path / "other"))
    assert sorted(os.listdir()) == ["comparison.png", "plots"]


def test_lines_in_a_pipe_are_plain_and_whole_and_torch_is_not_loaded(tmp_path):
    long = leave_run(tmp_path / ("a" * 150), arch="[red]net :smile:")
    program = "import sys; from tinkering.commands.compare import compare; "
    program += "compare(*sys.argv[1:], plot_file="
    program += f"{str(tmp_path / 'p.png')!r}); sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, long, leave_run(tmp_path / "b")],
        cwd=ROOT,
        env=os.environ | {"FORCE_COLOR": "1", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert done.stdout.replace("\n", "").isprintable()
    row = next(line for line in done.stdout.splitlines() if line.startswith("aaa"))
    assert cells(row)[0] == "a" * 150
    assert cells(row)[2] == "[red]net :smile:"
    assert cells(row)[-1] == "1,532"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("width", [80, 200])
def test_in_a_terminal_the_table_fits(tmp_path, monkeypatch, width):
    runs = [leave_run(tmp_path / "one"), leave_run(tmp_path / "other", lr=0.5)]
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    compare(*runs, plot_file=str(tmp_path / "plot.png"))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= max(width, len(lines[-1]))
    for words in ("emnist balanced", "resnet4stage", "1,234,567", "87.50%", "86.12%"):
        assert words in screen.getvalue()


def test_there_must_be_a_run(compared):
    with pytest.raises(InputError, match="name at least one run"):
        compared()


def test_a_folder_that_is_not_a_run_is_named_as_it_was_given(compared):
    with pytest.raises(InputError, match=r"^no_run is not the folder of a run"):
        compared("no_run")


def test_a_plot_that_would_not_be_a_png_is_refused(tmp_path, compared):
    with pytest.raises(InputError, match=r"--plot_file a\.pdf: .* must end in \.png"):
        compared(leave_run(tmp_path / "one"), plot_file="a.pdf")


@pytest.mark.parametrize("name", ["results.json", "config.yaml"])
@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xff", b""])
def test_a_damaged_file_is_named(tmp_path, compared, name, content):
    path = Path(leave_run(tmp_path / "one"), name)
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} .*damaged"):
        compared(str(path.parent))


@pytest.mark.parametrize("key", ["num_steps", "test_accuracy", "best_step", "flags"])
def test_text_in_the_results_where_a_number_belongs_is_named(tmp_path, compared, key):
    path = leave_run(tmp_path / "one")
    Path(path, "results.json").write_text(json.dumps(RESULTS | {key: "high"}))
    with pytest.raises(InputError, match=rf"results\.json is damaged: {key} is 'high'"):
        compared(path)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_missing_number_in_the_results_is_a_dash(tmp_path, compared, value):
    results = RESULTS | {"test_accuracy": value, "best_val_accuracy": value}
    _, row, *_ = compared(leave_run(tmp_path / "one", results=results))
    assert cells(row)[6:9] == ["-", "1,000", "-"]


def test_results_without_any_numbers_are_those_of_a_run_without_scores(tmp_path, compared):
    path = leave_run(tmp_path / "one")
    Path(path, "results.json").write_text(json.dumps(dict.fromkeys([*RESULTS, "flags"])))
    assert cells(compared(path)[1])[5:] == ["2,000", "-", "-", "-", "-", "-"]


@pytest.mark.parametrize("last", ["nan,nan", "0.9,nan"])
def test_an_accuracy_that_is_not_a_number_is_never_the_best(tmp_path, compared, last):
    metrics = [f"500,0.5,,,,{last},,20.0", *METRICS, f"3000,3.0,,,,{last},,90.0"]
    row = compared(leave_run(tmp_path / "one", metrics, results=None))[1]
    assert cells(row)[6:8] == ["87.50%", "1,000"]


def test_a_run_whose_accuracies_are_all_not_a_number_has_none(tmp_path, compared):
    metrics = ["500,0.5,,,,nan,nan,,20.0"]
    row = compared(leave_run(tmp_path / "one", metrics, results=None))[1]
    assert cells(row)[6:8] == ["-", "-"]


def test_a_loop_of_symbolic_links_is_named(tmp_path, compared):
    Path("loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"^cannot read loop/metrics\.csv: Too many levels"):
        compared(leave_run(tmp_path / "one"), "loop")


@pytest.mark.parametrize("name", ["a$b", r"a$\frac{", "a|b", "a\udcffb", "a\nb", "_a", "[red]a"])
def test_odd_characters_in_a_name_are_harmless(tmp_path, compared, name):
    assert "drew comparison.png" in compared(leave_run(tmp_path / name))


def test_yaml_that_is_nested_too_deep_is_refused(tmp_path, compared):
    path = Path(leave_run(tmp_path / "one"), "config.yaml")
    path.write_text("[" * 1000 + "]" * 1000)
    with pytest.raises(InputError, match=r"config\.yaml cannot be read or is damaged"):
        compared(str(path.parent))


def test_names_in_a_config_may_be_numbers(tmp_path, compared):
    path = leave_run(tmp_path / "one")
    Path(path, "config.yaml").write_text("1: 2\n")
    lines = compared(path, leave_run(tmp_path / "other"))
    assert ["1", "2", "-"] in map(cells, lines)
