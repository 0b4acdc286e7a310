"""What the schedulers' words mean: exit codes, causes, refusals, and the environment of their commands."""

import pytest

from datajuicer.clusters.commands import ask, plain_environment
from datajuicer.clusters.endings import Ending, cause, from_shell, from_slurm
from datajuicer.clusters.refusals import setting_behind


@pytest.mark.parametrize(
    ("code", "ending", "words"),
    [
        ("0", Ending(), ""),
        ("0:0", Ending(), ""),
        ("22016", Ending(86), "exit 86"),  # raw wait statuses, as squeue of 22.05 prints them
        ("256", Ending(1), "exit 1"),
        ("9", Ending(signal=9), "SIGKILL"),
        ("139", Ending(signal=11), "SIGSEGV"),  # 11, with the bit of a core dump
        ("32512", Ending(127), "exit 127"),
        ("35072", Ending(signal=9), "SIGKILL"),  # exit 137 of a shell whose child was killed
        ("86:0", Ending(86), "exit 86"),
        ("1:0", Ending(1), "exit 1"),
        ("0:9", Ending(signal=9), "SIGKILL"),
        ("0:15", Ending(signal=15), "SIGTERM"),
        ("137:0", Ending(signal=9), "SIGKILL"),
        ("4021", Ending(error=4021), "SLURM error 4021"),
        ("N/A", Ending(), ""),
    ],
)
def test_exit_codes_of_slurm_in_both_forms(code, ending, words):
    assert from_slurm(code) == ending
    assert str(ending) == words


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("-", Ending()),
        ("1", Ending(1)),
        ("86", Ending(86)),
        ("130", Ending(signal=2)),
        ("137", Ending(signal=9)),
        ("140", Ending(signal=12)),
        ("255", Ending(255)),
    ],
)
def test_exit_codes_of_lsf(code, ending):
    assert from_shell(code) == ending


@pytest.mark.parametrize(
    ("ending", "words", "has_started", "says"),
    [
        (Ending(127), "FAILED exit 127 NonZeroExitCode", True, "does not find the Python"),
        (Ending(126), "EXIT 126", True, "does not find the Python"),
        (Ending(87), "EXIT 87", True, "a command of set_up failed"),
        (Ending(), "OUT_OF_MEMORY OutOfMemory", True, "ran out of memory"),
        (Ending(signal=9), "EXIT 137 (SIGKILL) TERM_MEMLIMIT: job killed", True, "ran out of memory"),
        (Ending(signal=9), "FAILED SIGKILL JobLaunchFailure", True, "killed by SIGKILL"),
        (Ending(error=4021), "FAILED SLURM error 4021 JobLaunchFailure", False, "does not see the folder"),
        (Ending(), "FAILED BadConstraints", False, "ended it before it started (FAILED BadConstraints)"),
    ],
)
def test_each_cause_has_its_own_sentence(ending, words, has_started, says):
    assert says in cause(ending, words, has_started)


@pytest.mark.parametrize(
    ("ending", "words", "has_started"),
    [
        (Ending(1), "FAILED exit 1 NonZeroExitCode", True),
        (Ending(signal=9), "EXIT 137 (SIGKILL) TERM_RUNLIMIT: job killed", True),
        (Ending(signal=15), "CANCELLED SIGTERM", False),
        (Ending(), "COMPLETED", True),
    ],
)
def test_what_says_nothing_more_has_no_cause(ending, words, has_started):
    assert cause(ending, words, has_started) == ""


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        ("sbatch: error: Batch job submission failed: Invalid job array specification", "array_limit"),
        ("Job array index too large. Job not submitted.", "array_limit"),
        ("sbatch: error: Invalid --signal specification", "warning"),
        ("error: Memory specification can not be satisfied", "memory"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "time"),
        ("RUNLIMIT: Cannot exceed queue's hard limit(s). Job not submitted.", "time"),
        ("Invalid account or account/partition combination specified", "project or queue"),
        ("invalid partition specified: gpuu", "queue"),
        ("nix: No such queue. Job not submitted.", "queue"),
        ("Invalid generic resource (gres) specification", "gpus"),
        ("Too many processors requested. Job not submitted.", "cores"),
        ("sbatch: unrecognized option '--exlusive'", "extra"),
    ],
)
def test_a_refusal_names_the_setting(said, setting):
    assert f"is {setting}" in setting_behind(said)


def test_words_that_are_not_known_name_no_setting():
    assert setting_behind("Slurm temporarily unable to accept job, sleeping and retrying") == ""


def test_commands_run_without_variables_that_change_what_they_do(monkeypatch):
    changing = [
        "SQUEUE_PARTITION",
        "SBATCH_TIMELIMIT",
        "BSUB_QUIET",
        "LSB_JOBID",
        "SLURM_JOB_ID",
        "SCANCEL_NAME",
    ]
    kept = {"SLURM_CONF": "/etc/slurm.conf", "SLURM_CLUSTERS": "big", "LSF_ENVDIR": "/lsf", "PATH": "/bin"}
    assert plain_environment(dict.fromkeys(changing, "1") | kept) == kept
    for name in changing:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LSF_ENVDIR", "/lsf")
    seen = ask(["env"]).out.splitlines()
    assert "LSF_ENVDIR=/lsf" in seen
    assert not [line for line in seen if line.partition("=")[0] in changing]
