import re
from pathlib import Path

import pytest

from docs import make_guide
from tests.helpers import ROOT
from tinkering.data import datasets

TEXT = make_guide.GUIDE.read_text()


def what_repeats(text):
    """The lines that every computer prints, without their numbers, which depend on rounding."""
    lines = (re.sub(r"[\d.,e%-]*\d[\d.,e%-]*", "#", line) for line in text.splitlines())
    return {re.sub(r" +", " ", line.removesuffix("  best so far")) for line in lines}


def test_its_links_lead_to_the_lines_that_they_name():
    assert make_guide.link_code(TEXT) == TEXT, "run `make readme`"


def test_a_link_to_code_that_is_gone_is_an_error():
    with pytest.raises(LookupError, match="defines no run_training"):
        make_guide.link_code("[`tinkering/train.py:run_training`](../tinkering/train.py#L1-L9)")


def test_each_of_its_steps_has_a_formula_code_a_command_its_output_and_a_question():
    _, *steps = re.split(r"^## \d+\. ", TEXT.partition("## Where to go")[0], flags=re.MULTILINE)
    assert len(steps) == 14
    for step in steps:
        for part in ("```math\n", ".py:", "```sh\n", "```text\n", "**Try:**"):
            assert part in step, f"{step.splitlines()[0]} has no {part}"


def test_its_links_to_other_files_and_headings_lead_somewhere():
    headings = re.findall(r"^## (.*)", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, anchor = link.partition("#")
        assert (ROOT / "docs" / file).exists() if file else anchor in anchors, link


def test_its_commands_print_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("docs").mkdir()
    Path("docs/guide.yaml").write_text(make_guide.CONFIG.read_text())
    # To draw all 70,000 takes longer than the rest of this test.
    monkeypatch.setattr(datasets, "NUM_GLYPHS", {"train": 6_000, "test": 1_000})
    assert what_repeats(make_guide.run_commands(TEXT)) == what_repeats(TEXT)
