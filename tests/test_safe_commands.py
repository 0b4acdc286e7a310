"""Help and misspelt words at once, estimates before a run, and -list: nothing starts by accident."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import datajuicer as dj
from datajuicer.running.plan import plan
from datajuicer.workers import progress_file
from jaxrobust.cli import command, estimate
from jaxrobust.cli.estimate import core_time
from jaxrobust.cli.status import MAX_LISTED
from jaxrobust.studies.costs import Cost, Costs

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_JAX = """
import json, sys, time
from pathlib import Path
from jaxrobust.cli import console, figures, train

folder = Path(sys.argv[1])
for command, *words in json.loads(sys.argv[2]):
    main = {"train": train.main, "figures": figures.main, "jaxrobust": console.main}[command]
    print("status", main(words) if command == "jaxrobust" else main(words, folder), *words, file=sys.stderr)
print(sorted({"jax", "flax", "optax", "matplotlib"} & set(sys.modules)), time.process_time())
"""
ANSWERED = {
    "train -help": "",
    "train -arch=ecg_lsnn --help": "",
    "figures --help": "",
    "jaxrobust --help": "",
    "train -exp=quikstart": "There is no experiment 'quikstart'. Did you mean 'quickstart'?",
    "train -exp=zzz": "There is no experiment 'zzz'; there are adversarial_landscape_experiment, ",
    "train -arch=ecg_lsn": "There is no architecture 'ecg_lsn'. Did you mean 'ecg_lsnn'?",
    "train -arch=digits_mlp -beta_robustnes=1": "Did you mean 'beta_robustness'?",
    "train -arch=digits_mlp -n_thread=2": "Did you mean 'n_threads'?",
    "train -arch=digits_mlp -batch_size=many": "batch_size must be a whole number",
    "train -arch=digits_mlp -boundary_loss=mdry": "Did you mean 'madry'?",
    "train -exp=quickstart -stop_after=-1": "must be seconds",
    "train -mode=slum": "There is no -mode 'slum'. Did you mean 'slurm'?",
    "train -mode=bsub -n_threads=2": "-max_running",
    "figures -exp=quikstart": "Did you mean 'quickstart'?",
    "jaxrobust trian": "There is no command 'trian'. Did you mean 'train'?",
}


def test_help_and_misspelt_words_are_answered_at_once_without_jax(tmp_path):
    (tmp_path / "sessions").mkdir()
    commands = json.dumps([words.split() for words in ANSWERED])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_JAX, ROOT / "experiments", commands],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    loaded, _, seconds = done.stdout.splitlines()[-1].rpartition(" ")
    assert loaded == "[]"
    assert float(seconds) < 3  # all of them: one takes half a second of processor time, most of it numpy's
    said = iter(done.stderr.splitlines())
    for words, answer in ANSWERED.items():
        if answer:
            line = next(said)
            assert line.startswith("error: ")
            assert answer in line
        assert next(said) == " ".join(["status", "2" if answer else "0", *words.split()[1:]])


def record_of(store: dj.Store, seconds: float, notes=None, **dependencies) -> None:
    """A result that took some seconds, in a store."""
    described = {f"model:{name}": value for name, value in dependencies.items()}
    store.write(
        {
            "format": 1,
            "function": "train_it",
            "key": f"{len(list(store.records('train_it'))):040x}",
            "outcome": "done",
            "dependencies": described,
            "seconds": seconds,
            "notes": notes or {},
            "value": None,
        }
    )


@dj.cachable(
    dependencies=[f"model:{name}" for name in ("dataset", "n_epochs", "n_attack_steps", "beta_robustness")],
    table_name="train_it",
)
def train_it(model):
    """Stands for a training."""


def test_a_training_costs_what_the_most_similar_one_took_per_gradient(tmp_path):
    store = dj.Store(tmp_path)
    epochs = {"$tuple": [8.0, 2.0]}
    record_of(store, 110.0, dataset="mitdb", n_epochs=epochs, n_attack_steps=10, beta_robustness=0.5)
    record_of(store, 5.0, dataset="digits", n_epochs=epochs, n_attack_steps=10, beta_robustness=0.5)

    def cost(**settings) -> Cost:
        point = {"dataset": "mitdb", "n_epochs": (80.0, 20.0), "n_attack_steps": 10, "beta_robustness": 0.5}
        return Costs(store).of(plan([point | settings], train_it, ("{*}",), {}))

    assert cost().seconds == pytest.approx(1100.0)
    assert cost(n_attack_steps=21).seconds == pytest.approx(2200.0)
    assert cost(beta_robustness=0.0).seconds == pytest.approx(100.0)
    assert cost(dataset="digits").seconds == pytest.approx(50.0)
    assert cost(dataset="speech") == Cost(0.0, 0, 1)


def test_times_of_a_gpu_are_no_core_hours(tmp_path):
    store = dj.Store(tmp_path)
    record_of(store, 60.0, {"device": "NVIDIA H200"}, dataset="mitdb", n_epochs={"$tuple": [1.0]})
    call = plan(
        [{"dataset": "mitdb", "n_epochs": (1.0,)}],
        dj.cachable(dependencies=["model:dataset", "model:n_epochs"], table_name="train_it")(
            lambda model: None
        ),
        ("{*}",),
        {},
    )
    assert Costs(store).of(call) == Cost(0.0, 0, 1)


def test_times_are_said_with_two_digits():
    assert [core_time(s) for s in (0.2, 40, 720, 9360, 468_000, 36_000_000)] == [
        "1 seconds",
        "40 seconds",
        "12 minutes",
        "2.6 hours",
        "130 hours",
        "10,000 hours",
    ]


@pytest.fixture
def watched(monkeypatch):
    """A person at a terminal who gives an answer; returns what was asked."""
    asked = []

    def watch(answer: str, is_watched: bool = True) -> list[str]:
        monkeypatch.setattr(estimate, "_is_watched", lambda: is_watched)
        monkeypatch.setattr(estimate, "_answers_yes", lambda: asked.append(answer) or answer == "y")
        return asked

    return watch


def started(monkeypatch) -> list[str]:
    """What the command would compute, instead of computing it."""
    found = []
    monkeypatch.setattr(
        command, "compute_and_evaluate", lambda stages, _, plans, words: found.extend(plans) or 0
    )
    return found


EXPENSIVE = "-exp=ecg_experiment"


@pytest.mark.parametrize(
    ("answer", "is_watched", "words", "asks", "starts"),
    [
        ("n", True, [], True, False),
        ("y", True, [], True, True),
        ("n", True, ["-yes"], False, True),
        ("n", False, [], False, True),
    ],
    ids=["no", "yes", "-yes", "no terminal"],
)
def test_more_than_an_hour_is_asked_about(
    answer, is_watched, words, asks, starts, monkeypatch, watched, capsys
):
    from jaxrobust.cli import train

    asked, found = watched(answer, is_watched), started(monkeypatch)
    monkeypatch.setattr(command, "with_available_data", lambda points, **how: points)
    status = train.main([EXPENSIVE, f"-sessions={ROOT / 'sessions'}", *words], ROOT / "experiments")
    assert (bool(asked), bool(found), status) == (asks, starts, 0 if starts else 1)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("estimate: ")]
    hours = float(re.search(r"16 models to train, about ([\d.]+) hours of one core", line)[1])
    assert 10 < hours < 200


def test_a_short_run_starts_without_a_question(typed, watched):
    asked = watched("n")
    said = typed("train.py", "-exp=chain")
    assert "estimate: 6 models to train; nothing alike is stored" in said.err
    assert not asked
    assert "estimate" not in typed("train.py", "-exp=chain").err  # nothing is left to compute


def test_list_shows_each_experiment_with_its_cost_and_computes_nothing(typed, tmp_path):
    said = typed("train.py", "-list").out
    assert "chain\n  published  6 models, 6 missing; nothing alike is stored" in said
    assert not (tmp_path / "my_sessions").exists()
    typed("train.py", "-exp=chain")
    assert "6 models, all there; about 1 seconds" in typed("train.py", "-list", "-exp=chain").out
    assert "not both" in typed("train.py", "-list", "-status", status=2).err


def test_list_names_a_broken_experiment_beside_the_others_and_leaves_out_what_only_leaves_out(
    typed, tmp_path
):
    typed("train.py", "-list")
    empty = "class empty:\n    train_grid, visualize = lambda self: [], lambda self, grid, folder: []\n"
    (tmp_path / "experiments" / "empty.py").write_text(empty)
    said = typed("train.py", "-list").out
    assert "empty\n  broken  empty has no models: its train_grid is empty" in said
    assert "chain\n  published  6 models" in said
    assert "no model" in typed("train.py", "-list", "-exp=chain", "-only=seed=77", status=2).err.lower()


def test_list_shows_both_protocols_of_what_ships(capsys):
    from jaxrobust.cli import train

    words = ["-list", "-exp=ecg_experiment", f"-sessions={ROOT / 'sessions'}"]
    assert train.main(words, ROOT / "experiments") == 0
    first, published, two_cores, short, last = capsys.readouterr().out.splitlines()
    assert first == (
        "ecg_experiment: Heartbeats under mismatch: four training methods of a spiking network on MIT-BIH, "
        "with both splits."
    )
    assert re.fullmatch(r"  published  16 models, 16 missing; about \d+ hours", published)
    assert re.fullmatch(r"  two_cores  14 models, all there; about [\d.]+ (hours|minutes)", two_cores)
    assert re.fullmatch(r"  short      16 models, all there; about [\d.]+ hours", short)
    assert last.startswith("Times are of training on one core")


def test_status_shows_every_protocol_and_does_not_list_hundreds(monkeypatch, capsys):
    from jaxrobust.cli import train

    monkeypatch.setattr(command, "with_available_data", lambda points, **how: points)
    words = ["-status", "-exp=adversarial_landscape_experiment", f"-sessions={ROOT / 'sessions'}"]
    assert train.main(words, ROOT / "experiments") == 0
    published, *lines = capsys.readouterr().out.splitlines()
    n_missing = int(re.fullmatch(r"published: \d+ done, 0 running, 0 failed, (\d+) missing", published)[1])
    assert n_missing > MAX_LISTED
    lines = [line for line in lines if "of the done were made by" not in line]
    assert [line[:9] for line in lines[:MAX_LISTED]] == ["  missing"] * MAX_LISTED
    assert lines[MAX_LISTED] == f"  … and {n_missing - MAX_LISTED} more missing"
    assert re.match(r"short: [1-9]\d* done, 0 running, 0 failed, 0 missing", lines[MAX_LISTED + 1])
    assert train.main([*words, "-protocol=short"], ROOT / "experiments") == 0
    assert re.match(r"[1-9]\d* done", capsys.readouterr().out)


def test_status_shows_how_far_a_stopped_point_is(typed, tmp_path):
    typed("train.py", "-exp=chain", "-status")  # the toys are written
    experiments = tmp_path / "experiments" / "slow.py"
    experiments.write_text(SLOW)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(progress_file, "EVERY", -1.0)
        typed("train.py", "-exp=slow", status=2)
        assert ": 30 %, 3/10 loss 0.5\n" in typed("train.py", "-exp=slow", "-status").out
        (tmp_path / "go").touch()
        typed("train.py", "-exp=slow")
    assert typed("train.py", "-exp=slow", "-status").out == "1 done, 0 running, 0 failed, 0 missing\n"
    assert not list((tmp_path / "my_sessions").rglob(progress_file.NAME))


SLOW = """
from pathlib import Path
import datajuicer as dj
from datajuicer.running.plan import plan
from datajuicer.workers import progress_file

@dj.cachable(dependencies=["model:seed"], on_code_change="ignore")
def learn(model, job):
    job.progress(3, 10, "loss 0.5")
    if not Path("go").exists():
        raise dj.Interrupted("stopped at step 3")
    return {"weights": 1}

class slow:
    def train_grid(self):
        return [{"seed": 0, "train": learn}]

    def visualize(self, grid, folder):
        return []
"""
