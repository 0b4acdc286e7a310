"""Site settings and the scripts that are made of them."""

import re
import subprocess
from pathlib import Path

import pytest

import datajuicer as dj
from datajuicer.clusters.dask_cluster import job_cluster
from datajuicer.clusters.lsf import Lsf
from datajuicer.clusters.site import Site, checked_set_up, read_site
from datajuicer.clusters.slurm import Slurm
from datajuicer.clusters.submission import SubmitOptions, prepare
from datajuicer.clusters.survey import survey
from datajuicer.running.plan import plan

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EVERYTHING = Site(
    time="4:00",
    warning="0:15",
    cores=4,
    memory="8GB",
    gpus=2,
    queue="gpu.4h",
    project="snn",
    max_running=8,
    extra=("--exclusive",),
    set_up=("module load cuda/12.4", "export JAX_PLATFORMS=cuda"),
    login_shell=True,
)


def write(folder, text):
    path = folder / "launch_settings.toml"
    path.write_text(text)
    return path


def test_the_shipped_file_says_the_built_in_defaults():
    assert read_site(ROOT / "launch_settings.toml") == Site()
    assert Site() == Site(time="24:00", cores=16, memory="4096MB")  # the published line


def test_a_profile_changes_the_default_and_a_typed_word_changes_both(tmp_path):
    path = write(tmp_path, 'cores = 2\nqueue = "short"\n[gpu]\ngpus = 1\nqueue = "gpu"\nset_up = ["a b"]\n')
    assert read_site(path) == Site(cores=2, queue="short")
    assert read_site(path, "gpu") == Site(cores=2, queue="gpu", gpus=1, set_up=("a b",))
    assert read_site(path, "gpu", {"cores": 8, "queue": None}).cores == 8
    assert read_site(path, "gpu", {"cores": 8, "queue": None}).queue == "gpu"


def test_without_a_file_there_are_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_site() == Site()
    write(tmp_path, "cores = 3")
    assert read_site() == Site(cores=3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('tiem = "1:00"', "did you mean 'time'?"),
        ('time = "24h"', "must be H:MM"),
        ('time = "1:75"', "must be H:MM"),
        ('time = "0:10"', "shorter than time"),
        ('warning = "0:00"', "longer than 0:00"),
        ('cores = "16"', "must be a whole number"),
        ("cores = true", "must be a whole number"),
        ("cores = 0", "at least 1"),
        ("array_limit = 0", "at least 1"),
        ("gpus = -1", "at least 0"),
        ('memory = "4096"', "needs a unit"),
        ("memory = 4096", "text in quotation marks"),
        ('queue = "a b"', "one word"),
        ('project = "x; rm -rf"', "one word"),
        ('extra = "-x"', "must be a list of lines"),
        ('extra = ["exclusive"]', "must be an option"),
        ('set_up = ["a\\nb"]', "line break"),
        ('set_up = ["if true; then", "a"]', "no complete command of bash"),
        ('login_shell = "yes"', "must be true or false"),
        ("cores = 1.5", "must be a whole number"),
        ('warning = "20:00"', "at most 18:12"),
        ('time = "1-25h"', "D-HH:MM"),
        ("cores = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, says):
    path = write(tmp_path, text)
    with pytest.raises(dj.UsageError, match=re.escape(says)) as error:
        read_site(path)
    assert str(path) in str(error.value)


def test_a_file_or_profile_that_is_not_there(tmp_path):
    with pytest.raises(dj.UsageError, match="cannot be read"):
        read_site(tmp_path / "none.toml")
    path = write(tmp_path, "[gpu]\ngpus = 1")
    with pytest.raises(dj.UsageError, match="did you mean 'gpu'"):
        read_site(path, "gpus")


@pytest.mark.parametrize("scheduler", [Lsf(), Slurm()], ids=lambda s: s.name)
@pytest.mark.parametrize(("kind", "site"), [("default", Site()), ("everything", EVERYTHING)])
def test_scripts(scheduler, kind, site, tmp_path, importable):
    import points  # type: ignore[import-not-found]

    store = dj.Store(tmp_path / "store")
    items = plan(points.GRID, points.twenty, ("{n}",), {})
    (one,) = prepare(store, survey(store, items, {}), SubmitOptions(scheduler, site, "mismatch_experiment"))
    text = one.script(store, scheduler)
    script = re.sub(r"mismatch_experiment-[0-9a-f]{6}", "mismatch_experiment-123abc", text)
    script = script.replace(str(tmp_path), "/home/me/project").replace(str(ROOT), "/home/me/project")
    script = re.sub(r"exec \S+", "exec python", re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", script))
    assert script == (HERE / "golden" / f"{scheduler.name}_{kind}.sh").read_text()
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


def test_jobs_of_dask_ask_for_the_same(tmp_path, lsf):
    with job_cluster("slurm", EVERYTHING, tmp_path) as cluster:
        script = cluster.job_script()
    for line in (
        "-p gpu.4h",
        "-A snn",
        "--cpus-per-task=4",
        "--mem=32768M",
        "-t 4:00:00",
        "--exclusive",
        "--gpus=2",
    ):
        assert f"#SBATCH {line}" in script
    assert "module load cuda/12.4\n" in script
    with job_cluster("lsf", EVERYTHING, tmp_path) as cluster:
        script = cluster.job_script()
    for line in (
        "-q gpu.4h",
        '-P "snn"',
        "-n 4",
        "-W 4:00",
        '-R "rusage[mem=8192MB]"',
        "--exclusive",
        '-gpu "num=2"',
    ):
        assert f"#BSUB {line}" in script
    assert "module load cuda/12.4\n" in script


@pytest.mark.parametrize(
    ("typed", "is_"),
    [
        ("24:00", "24:00"),
        ("1-00:00:00", "24:00"),
        ("2-12", "60:00"),
        ("0-4:30", "4:30"),
        ("1-02:15", "26:15"),
    ],
)
def test_times_with_days_as_slurm_writes_them(tmp_path, typed, is_):
    assert read_site(write(tmp_path, f'time = "{typed}"')).time == is_


def run_set_up(*lines):
    script = "\n".join(["#!/bin/bash", *checked_set_up(Site(set_up=lines)), "echo computes $A"])
    return subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "lines",
    [
        ("no_such_command load cuda/12.4",),
        ("A=1", "false"),
        ("if true; then", "  false", "fi", "A=1"),
        ("A=1 # it's a comment", "source /no/such/file"),
    ],
)
def test_a_command_of_set_up_that_fails_ends_the_job(lines):
    done = run_set_up(*lines)
    assert done.returncode == 87
    assert "computes" not in done.stdout
    assert "this command of set_up failed" in done.stderr


@pytest.mark.parametrize(
    "lines",
    [
        ("A=1",),
        ("if false; then", "  B=2", "fi", "export A=1  # and 'so on'"),
        ("false || A=1",),
        ("f() {", "  return 1", "}", "f || true", "A=1"),
        ("A=$(cat <<EOF", "1", "EOF", ")"),
    ],
)
def test_a_set_up_that_works_is_what_the_job_runs_with(lines):
    done = run_set_up(*lines)
    assert (done.returncode, done.stdout, done.stderr) == (0, "computes 1\n", "")


def test_names_of_jobs_are_not_long(tmp_path, importable):
    import points  # type: ignore[import-not-found]

    store = dj.Store(tmp_path / "store")
    items = plan(points.GRID, points.twenty, ("{n}",), {})
    (one,) = prepare(store, survey(store, items, {}), SubmitOptions(Slurm(), Site(), "a_long_name_" * 40))
    assert len(one.campaign.name) <= 70
