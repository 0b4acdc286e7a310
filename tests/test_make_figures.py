"""make_figures.py: what is missing, what is broken, and what its exit status says."""

import sys
from pathlib import Path

import pytest

from jaxrobust.cli import drawing, figures, train
from jaxrobust.cli.experiments import load_experiments

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = ROOT / "experiments"
SHIPPED = f"-sessions={ROOT / 'sessions'}"


def broken(step):
    """The heartbeat experiment with a bug in one of its steps."""

    def fail(*_words, **_named):
        raise ZeroDivisionError("a bug")

    experiment = load_experiments(["ecg_experiment"], EXPERIMENTS)["ecg_experiment"]
    setattr(experiment, step, fail)
    return experiment


@pytest.mark.parametrize("step", ["import", "train_grid", "visualize"])
def test_a_broken_experiment_does_not_stop_the_others(step, monkeypatch, tmp_path, capsys):
    def load(names, folder):
        if names == ["ecg_experiment"]:
            return load_experiments(names, folder)
        if step == "import":
            raise SyntaxError("a bug")
        return {"broken": broken(step)}

    monkeypatch.setattr(drawing, "load_experiments", load)
    monkeypatch.setattr(figures, "check_experiments", lambda names, folder: names)
    assert figures.main(["-exp=broken,ecg_experiment", SHIPPED, f"-figures={tmp_path}"], EXPERIMENTS) == 1
    said = capsys.readouterr()
    assert "error: broken: this is a bug of the experiment" in said.err
    assert "a bug" in said.err
    assert "1 of 2 experiments drawn" in said.out
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".pdf", ".txt", ".md", ".tex", ".csv"}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A working directory without results that ship."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_missing_is_one_line_with_the_command_that_computes_it(elsewhere, tmp_path, capsys):
    words = [
        "-exp=mismatch_experiment,quickstart",
        f"-sessions={tmp_path}",
        f"-figures={tmp_path / 'figures'}",
    ]
    assert figures.main(words, EXPERIMENTS) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["mismatch_experiment", "quickstart"]
    assert all(line.startswith("missing: ") for line in lines)
    assert lines[0].endswith(f"python train.py -exp=mismatch_experiment -sessions={tmp_path}")


def test_what_has_no_results_yet_is_no_failure_if_nobody_asked_for_it(monkeypatch, tmp_path, capsys):
    """As in a fresh clone, where some experiments ship without results."""
    some = {name: EXPERIMENTS / "parameter_noise" / f"{name}.py" for name in ("ecg_experiment", "quickstart")}
    monkeypatch.setattr(figures, "check_experiments", lambda names, folder: some)
    assert figures.main([SHIPPED, f"-figures={tmp_path}"], EXPERIMENTS) == 0
    said = capsys.readouterr()
    assert "without all their results yet: quickstart; python train.py -exp=quickstart" in said.out
    assert "1 of 2 experiments drawn" in said.out
    assert said.err == ""


def test_the_command_names_the_protocol_that_was_begun(elsewhere, tmp_path, capsys):
    words = ["-exp=mismatch_experiment", "-protocol=short", f"-sessions={tmp_path}"]
    assert figures.main(words, EXPERIMENTS) == 1
    assert "python train.py -exp=mismatch_experiment -protocol=short" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nothere\n", "cannot be imported: ModuleNotFoundError: No module named 'nothere'"),
        ("x = 1\n", "must define a class named mine"),
        ("class mine:\n    def train_grid(self):\n        return []\n", "mine has no models"),
    ],
)
def test_an_own_experiment_that_cannot_be_used_is_one_sentence(text, says, monkeypatch, tmp_path, capsys):
    own = tmp_path / "experiments"
    own.mkdir()
    (own / "mine.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "experiments.mine", raising=False)
    assert figures.main([SHIPPED, f"-figures={tmp_path / 'figures'}"], own) == 1
    assert train.main(["-status"], own) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(says in line for line in lines)


def test_two_experiments_of_one_name_are_one_sentence(tmp_path, capsys):
    for study in ("one", "other"):
        (tmp_path / study).mkdir()
        (tmp_path / study / "mine.py").touch()
    assert train.main(["-status"], tmp_path) == 2
    assert "have the same name" in capsys.readouterr().err


def test_folders_that_are_none_are_said_before_anything_is_drawn(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert figures.main([SHIPPED, "-exp=ecg_experiment", f"-figures={tmp_path / 'file'}"], EXPERIMENTS) == 2
    assert figures.main(["-exp=ecg_experiment", f"-sessions={tmp_path / 'nothing'}"], EXPERIMENTS) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "-figures=folder names another" in lines[0]
    assert "-sessions=folder names another" in lines[1]


def test_a_mistyped_word_is_the_users_to_mend(capsys):
    assert figures.main(["-exp=quikstart"], EXPERIMENTS) == 2
    assert "Did you mean 'quickstart'?" in capsys.readouterr().err
