"""Shell completion, in a real bash: commands, options, and the names that these take."""

import shutil
import subprocess
from pathlib import Path

import pytest

from jaxrobust.cli import console
from jaxrobust.cli.completion import script

ROOT = Path(__file__).resolve().parent.parent
ASK = """
eval "$SCRIPT"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_jaxrobust
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(*typed: str) -> list[str]:
    """What bash offers for the last of the words; as in bash, "=" is a separate word."""
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", *typed],
        env={"SCRIPT": script("bash"), "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["t"], ["train"]),
        (["train", "-n_th"], ["-n_threads="]),
        (["train", "-sta"], ["-status"]),
        (["train", "-exp", "=", "quick"], ["quickstart"]),
        (
            ["train", "-exp", "=", "lipschitz_d"],
            ["lipschitz_digits", "lipschitz_digits_seeds"],
        ),
        (["train", "-arch", "=", "ecg"], ["ecg_lsnn"]),
        (["train", "-protocol", "="], ["published", "full", "short"]),
        (["train", "-exp", "=", "quickstart", "-mode", "=", "s"], ["slurm"]),
        (["figures", "-fig"], ["-figures="]),
        (["completion", "z"], ["zsh"]),
        (["figures", "-n_threads"], []),
    ],
)
def test_bash_offers_what_there_is(typed, offered):
    assert completed("jaxrobust", *typed) == offered


def test_the_command_prints_it(capsys):
    assert console.main(["completion", "zsh"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("autoload -U +X compinit")
    assert "complete -F _jaxrobust jaxrobust" in said
    assert console.main(["completion", "fsh"]) == 2
    assert "There is no completion for 'fsh'" in capsys.readouterr().err
