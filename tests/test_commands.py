"""train.py and make_figures.py as a user types them, in real processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TINY = ["-n_epochs=2,1", "-n_attack_steps=2"]
SMALL_LSNN = ["-n_epochs=0.1,0.1", "-n_hidden=8", "-beta_robustness=0"]


def run(*words: str, cwd: Path, status: int = 0, **environment: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.parametrize("words", ["train.py -exp=ecg_experiment -status", "train.py -arch=ecg_lsnn -help"])
def test_a_reader_who_has_seen_enough_is_no_error(words, tmp_path):
    command = [sys.executable, str(ROOT / words.split()[0]), *words.split()[1:]]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()  # as `| head` does after its lines
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGPIPE
    assert b"Traceback" not in said
    assert b"BrokenPipe" not in said


@pytest.fixture
def train(tmp_path):
    return lambda *words, **more: run(str(ROOT / "train.py"), *words, cwd=tmp_path, **more)


def records(folder: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in (folder / "my_sessions").glob("*/*/*.json")}


def test_a_second_run_computes_nothing(train, tmp_path):
    train("-arch=digits_mlp", *TINY)
    first = records(tmp_path)
    assert len(first) == 1
    began = time.time_ns()
    train("-arch=digits_mlp", *TINY)
    assert records(tmp_path) == first
    assert not [
        p for p in (tmp_path / "my_sessions").rglob("*") if p.is_file() and p.stat().st_mtime_ns > began
    ]


def test_dashes_and_spaces_are_as_good_as_equals_signs(train, tmp_path):
    train("-arch=digits_mlp", "-n_epochs=2,1", "-n_attack_steps=2", "-seed=3")
    train("--arch", "digits_mlp", "--n-epochs", "2,1", "-n_attack-steps", "2", "--seed=3")
    assert len(records(tmp_path)) == 1


def test_status_computes_nothing(train, tmp_path):
    assert "1 missing" in train("-arch=digits_mlp", *TINY, "-status").stdout
    assert not records(tmp_path)
    train("-arch=digits_mlp", *TINY)
    assert "1 done" in train("-arch=digits_mlp", *TINY, "-status").stdout


def test_an_experiment_trains_evaluates_and_draws_from_numbers_alone(train, tmp_path):
    words = ["-exp=quickstart", "-only=architecture=digits_mlp", "-n_epochs=1,1", "-n_attack_steps=1"]
    train(*words, "-n_threads=2", XLA_FLAGS="")  # this one computes more than it compiles
    # Figures need no weights and no data: both are gone now.
    for weights in (tmp_path / "my_sessions").rglob("*.safetensors"):
        weights.unlink()
    run(str(ROOT / "make_figures.py"), *words, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "no_data"))
    png = tmp_path / "figures" / "quickstart.png"
    assert png.read_bytes().startswith(b"\x89PNG")
    table = (tmp_path / "figures" / "quickstart.md").read_text()
    assert "| 0.7 |" in table
    assert "scikit-learn" in table
    assert "2 networks per method (seeds 0 and 1), 100 devices per network and level" in table


@pytest.mark.parametrize(
    "only",
    [["ecg_experiment", "mismatch_experiment"], pytest.param([], marks=pytest.mark.slow)],
    ids=["what README shows", "all"],
)
def test_readme_and_docs_show_what_the_shipped_results_say(only, tmp_path):
    """Every row of a table headed by its file is drawn from sessions/ by the command beside it."""
    results = "".join(page.read_text() for page in sorted((ROOT / "docs" / "results").glob("*.md")))
    readme = (ROOT / "README.md").read_text()
    names = re.findall(r"^<!-- figures/(\w+)\.md -->$", results, re.MULTILINE)
    assert re.search(r"^python make_figures.py -exp=ecg_experiment ", readme, re.MULTILINE)
    assert {"ecg_experiment", "mismatch_experiment"} <= set(names)
    names = [name for name in names if not only or name in only]
    experiments = [path.stem for path in (ROOT / "experiments").glob("*/*.py")]
    shown = [it for it in experiments if any(name == it or name.startswith(f"{it}_") for name in names)]
    words = [f"-exp={','.join(shown)}", f"-sessions={ROOT / 'sessions'}"]
    run(str(ROOT / "make_figures.py"), *words, cwd=tmp_path)
    for name in names:
        drawn = (tmp_path / "figures" / f"{name}.md").read_text().splitlines()
        rows = [line for line in drawn if line.startswith("| ")]
        assert rows
        assert not [row for row in rows if row not in results]
        if name == "ecg_experiment":
            shown = [row for row in readme.splitlines() if row.startswith("| ") and row.endswith("] |")]
            assert len(shown) == 6
            assert set(shown) <= set(rows)


def test_results_hold_their_data_source(train, tmp_path):
    train(
        "-arch=ecg_lsnn", "-dataset=generated_ecg", "-n_epochs=0.1,0.1", "-n_hidden=8", "-beta_robustness=0"
    )
    (text,) = records(tmp_path).values()
    assert "generated heartbeats (synthetic)" in json.dumps(json.loads(text))


@pytest.fixture
def heartbeats(real_data) -> str:
    return f"-data_folder={real_data / 'mitdb' / 'flac'}"


@pytest.mark.data
def test_real_heartbeats_are_named_in_the_record(train, tmp_path, heartbeats):
    train("-arch=ecg_lsnn", *SMALL_LSNN, heartbeats, XDG_CACHE_HOME=str(tmp_path / "cache"))
    (text,) = records(tmp_path).values()
    notes = json.loads(text)["notes"]
    assert notes["data_source"] == "MIT-BIH Arrhythmia Database 1.0.0"
    assert notes["data_split"] == "patients"


@pytest.mark.data
@pytest.mark.slow
def test_the_ecg_experiment_on_real_heartbeats(train, tmp_path, heartbeats):
    words = ["-exp=ecg_experiment", "-n_epochs=0.02,0.01", "-n_hidden=8", "-n_attack_steps=1", heartbeats]
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert "16 missing" in train(*words, "-status", **cache).stdout
    train(*words, "-n_threads=2", **cache)
    assert "16 done" in train(*words, "-status", **cache).stdout
    run(str(ROOT / "make_figures.py"), *words, cwd=tmp_path, **cache)
    table = (tmp_path / "figures" / "ecg_experiment.md").read_text()
    assert table.count("MIT-BIH Arrhythmia Database") == 2
    assert table.count("| 0.5 |") == 2


def test_missing_data_are_replaced_with_a_notice_and_never_mixed(train, tmp_path):
    # An empty cache and no network: downloads fail at once because the proxy does not exist.
    offline = {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "JAXROBUST_DATA": str(tmp_path),
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    words = ["-arch=ecg_lsnn", "-n_epochs=0.1,0.1", "-n_hidden=8", "-beta_robustness=0"]
    done = train(*words, **offline)
    assert "stand-in" in done.stderr
    (text,) = records(tmp_path).values()
    dependencies = json.dumps(json.loads(text)["dependencies"])
    assert "generated_ecg" in dependencies
    assert "mitdb" not in dependencies


def test_results_that_are_there_need_no_data(train, tmp_path):
    nowhere = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "JAXROBUST_DATA": str(tmp_path)}
    words = ["-exp=precision_experiment", "-protocol=short", f"-sessions={ROOT / 'sessions'}"]
    before = subprocess.run(["git", "status", "--short"], cwd=ROOT, capture_output=True, check=False).stdout
    done = train(*words, "-status", **nowhere)
    assert "8 done, 0 running, 0 failed, 0 missing" in done.stdout
    done = train(*words, **nowhere)
    assert "8 models trained and evaluated" in done.stdout
    assert "stand-in" not in done.stderr
    after = subprocess.run(["git", "status", "--short"], cwd=ROOT, capture_output=True, check=False).stdout
    assert after == before


def test_status_says_which_data_are_not_there(train, tmp_path):
    nowhere = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "JAXROBUST_DATA": str(tmp_path)}
    done = train("-arch=ecg_lsnn", "-status", **nowhere)
    assert "1 missing" in done.stdout
    assert "'mitdb' is not prepared here" in done.stderr


def test_help_shows_defaults_and_experiments(train):
    said = train("-h").stdout
    assert said == train("-help").stdout
    assert "-n_threads=1" in said
    assert "mismatch_experiment" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-exp=quikstart"], "Did you mean 'quickstart'?"),
        (["-arch=ecg_lsn"], "Did you mean 'ecg_lsnn'?"),
        (["-arch=digits_mlp", "-beta_robustnes=1"], "Did you mean 'beta_robustness'?"),
        (["-arch=digits_mlp", "-batch_size=many"], "batch_size must be a whole number"),
        (["-arch=digits_mlp", "-n_epochs=1,1,1"], "number of phases"),
        (["-arch=digits_mlp", "-attack_size_mismatch=-0.1"], "at least 0"),
        (["-arch=digits_mlp", "-boundary_loss=kk"], "boundary_loss must be one of"),
        (["-arch=digits_mlp", "-boundary_loss=madry", "-treat_as_constant"], "no gradient"),
        (["-arch=digits_mlp", "-p_norm=3"], "p_norm must be one of inf, 2"),
        (["-arch=digits_mlp", "-attack_factors=w1"], "attack_factors takes words such as w_rec=0.5"),
        (["-arch=digits_mlp", "-attack_factors=conv=0,.*=1"], "rule 'conv' fits no parameter"),
        (["-arch=digits_mlp", "-optimizer=adm"], "optimizer must be one of"),
        (["-arch=digits_mlp", "-split=published"], "no split"),
        (["-arch=digits_mlp", "-dataset=mitdb", "-split=patients"], "digits_mlp learns images"),
        (["-arch=digits_mlp", "-n_epochs=nan,1"], "n_epochs must be finite"),
        (["-arch=digits_mlp", "-noisy_forward_std=0.1", "-noisy_forward_params=w["], "regular expression"),
        (["-arch=digits_mlp", "-exp=quickstart"], "not both"),
        (["-exp="], "-exp needs a name"),
        (["-exp"], "-exp needs a name"),
        (["-exp=quickstart", "-status", "-force"], "not both"),
        (["-exp=quickstart", "-sessions=", "-status"], "-sessions needs"),
        (["-exp=quickstart", "-models_per_job=0"], "-models_per_job=0 must be"),
        (["digits_mlp"], "stands alone"),
        (["-arch=ecg_lsnn", "-data_folder=nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(train, tmp_path, words, says):
    done = train(*words, status=2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error")] == done.stderr.splitlines()
    assert not records(tmp_path)


def test_an_unwritable_store_is_said_before_anything_is_computed(train, tmp_path):
    (tmp_path / "my_sessions").write_text("in the way")
    done = train("-arch=digits_mlp", *TINY, status=2)
    assert "my_sessions" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_said_with_its_place(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs rights that this process does not have")
    try:
        words = ["-arch=digits_mlp", *TINY, f"-sessions={disk / 'sessions'}"]
        done = run(str(ROOT / "train.py"), *words, cwd=tmp_path, status=2)
    finally:
        subprocess.run(["umount", disk], check=True)
    assert "No space left" in done.stderr
    assert str(disk) in done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_diverging_training_names_step_and_settings_and_keeps_its_neighbour(train, tmp_path):
    done = train(
        "-arch=digits_mlp",
        "-n_epochs=3,1",
        "-beta_robustness=0",
        "-learning_rate=1e30,1e30",
        "-optimizer=sgd",
        status=1,
    )
    assert "no longer finite at step" in done.stderr
    assert "learning_rates=(1e+30" in done.stderr


def test_ctrl_c_keeps_a_checkpoint_and_the_same_command_goes_on(tmp_path):
    words = [sys.executable, str(ROOT / "train.py"), "-arch=ecg_lsnn", "-dataset=generated_ecg"]
    words += ["-n_hidden=8", "-n_epochs=2,1", "-eval_step_interval=10", "-n_attack_steps=1"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    metrics = wait_for(tmp_path, "metrics.jsonl", lambda path: path.read_text().count("\n") >= 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "goes on" in errors
    assert (metrics.parent / "checkpoint.safetensors").exists()
    assert not records(tmp_path)
    subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=300)
    (interrupted,) = (tmp_path / "my_sessions").rglob("parameters.safetensors")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(words, cwd=elsewhere, env=environment, check=True, capture_output=True, timeout=300)
    (uninterrupted,) = (elsewhere / "my_sessions").rglob("parameters.safetensors")
    assert interrupted.read_bytes() == uninterrupted.read_bytes()


def wait_for(folder: Path, name: str, ready, seconds: float = 120) -> Path:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for path in folder.rglob(name):
            if ready(path):
                return path
        time.sleep(0.05)
    raise AssertionError(f"no {name} in {folder} after {seconds} s")
