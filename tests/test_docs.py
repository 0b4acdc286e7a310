"""Every page: its links lead somewhere, its commands are read as they stand, its code is run by a test."""

import re
import shlex
from pathlib import Path

import pytest

import datajuicer as dj
from jaxrobust.cli import cluster_words, figures, train
from jaxrobust.cli.command import Command
from jaxrobust.cli.experiments import load_experiments
from jaxrobust.cli.folder import check_experiments
from jaxrobust.cli.options import OPTIONS
from jaxrobust.cli.words import read_words

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in ROOT.glob("docs/**/*.md")}
PAGES["README.md"] = (ROOT / "README.md").read_text()
# The start of the console script's commands, and what takes the place of names that readers choose.
CONSOLE = {"jaxrobust train": "train.py", "jaxrobust figures": "make_figures.py"}
CHOSEN = (
    "NAME",
    "my_experiment",
    "first",
    "name",
    "mine",
    "…",
    "stitching",
    "round_",
    "series.npz",
    "images.npz",
)


def commands(text: str) -> list[str]:
    """The commands of train.py and make_figures.py in a page: lines of blocks without a language, or code."""
    fenced = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in fenced if language in ("", "bash", "sh")]
    lines = [line.partition("  #")[0].partition(" # ")[0] for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = []
    for line in lines:
        for part in re.split(r"&&|;", line):
            words = part.strip()
            for console, script in CONSOLE.items():
                words = re.sub(rf"^{console}\b", f"python {script}", words)
            words = re.sub(r"^[A-Z_]+=\S+ ", "", words)
            if re.match(r"python (train|make_figures)\.py\b", words):
                found.append(words.removeprefix("python "))
    return found


ALL = sorted({(page, command) for page, text in PAGES.items() for command in commands(text)})


def test_the_commands_are_found():
    assert len(ALL) > 20
    assert ("README.md", "train.py -list") in ALL
    assert ("docs/gpu.md", "train.py -exp=quickstart") in ALL


@pytest.mark.parametrize(("page", "command"), ALL)
def test_a_command_is_read_and_planned_as_it_stands(page, command, monkeypatch, tmp_path):
    script, *words = shlex.split(command.rstrip(" …"))
    options = OPTIONS if script == "train.py" else figures.OPTIONS
    read = read_words(words, options)
    if any(chosen in word for word in words for chosen in CHOSEN):
        return  # a name that the reader chooses
    names = list(check_experiments(read.options["exp"], ROOT / "experiments"))
    if script == "train.py":
        train._check(read.options)
        cluster_words.check({**read.options, "launch_settings": ""} if "profile" in command else read.options)
        train._check_names(read, ROOT / "experiments")
        experiments = load_experiments(names, ROOT / "experiments") if read.options["exp"] else {}
        if experiments or read.options["arch"]:
            command_ = Command(read, experiments, print)
            command_.planned(command_.grids(read.options["protocol"] or "published"))
    assert names


def test_code_blocks_are_run_by_a_test_that_names_the_page():
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    with_code = {page for page, text in PAGES.items() if "```python\n" in text}
    assert {page for page in with_code if Path(page).name not in tests} == set()


def test_the_block_of_the_page_on_clusters(tmp_path, monkeypatch):
    """docs/clusters.md: Dask's own client carries any cachable function."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGES["docs/clusters.md"], re.DOTALL)
    accuracy = dj.cachable(table_name="accuracy")(lambda model, level: model["seed"] + level)
    with distributed.Client(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as client:
        names = {"client": client, "dj": dj, "grid": [{"seed": 1}], "mismatch_accuracy": accuracy}
        exec(block, names)
    assert names["grid"][0]["accuracy"] == 1.3


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        file, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / file).resolve() if file else ROOT / page
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert anchor in {slug(title) for title in titles}, target


@pytest.mark.parametrize("page", sorted(PAGES))
def test_files_that_a_page_names_are_there(page):
    """Paths of Python files in code marks, from the root or from inside the library or the tests."""
    named = re.findall(r"`((?:\w+/)+\w+\.py)\b", PAGES[page])
    places = (ROOT, ROOT / "jaxrobust", ROOT / "tests")
    assert [path for path in named if not any((at / path).exists() for at in places)] == []


def slug(title: str) -> str:
    """The anchor that GitHub gives a title."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_index_names_every_page():
    index = PAGES["docs/index.md"]
    missing = {Path(page).name for page in PAGES if f"({page.removeprefix('docs/')})" not in index}
    assert missing == {"README.md", "index.md"}
