"""What train.py computes goes to my_sessions/, over the results that ship in sessions/, which stay."""

import json
import re
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from datajuicer.store import reading
from jaxrobust.cli import figures

ROOT = Path(__file__).resolve().parent.parent
CHAIN = ("train.py", "-exp=chain")


def tree(root: Path) -> dict[str, tuple[int, str]]:
    """Every file of a folder with its time and content."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, sha256(path.read_bytes()).hexdigest()) for path in files}


def n_records(root: Path) -> int:
    return len([path for path in root.glob("*/??/*.json") if path.parts[-3] != "campaigns"])


@pytest.fixture
def shipped(typed, tmp_path):
    """The results of one experiment in sessions/, which no other command of the test may change."""
    typed(*CHAIN, "-sessions=sessions")
    assert n_records(tmp_path / "sessions") == 6
    assert not (tmp_path / "my_sessions").exists()
    before = tree(tmp_path / "sessions")
    yield tmp_path / "sessions"
    assert tree(tmp_path / "sessions") == before


def test_what_ships_is_not_computed_again(shipped, typed, tmp_path):
    assert typed(*CHAIN, "-status").out == "6 done, 0 running, 0 failed, 0 missing\n"
    assert "6 models, all there; about" in typed(*CHAIN, "-list").out
    said = typed(*CHAIN)
    assert "estimate" not in said.err
    assert said.out.rstrip().endswith("next: python make_figures.py -exp=chain")
    typed("make_figures.py", "-exp=chain")
    assert (tmp_path / "figures" / "chain.json").exists()
    assert n_records(tmp_path / "my_sessions") == 0


def test_what_is_missing_is_computed_over_what_ships(shipped, typed, tmp_path):
    typed("train.py", "-exp=pairs")  # its two networks are those of the chain
    assert n_records(tmp_path / "my_sessions") == 2
    assert typed("train.py", "-exp=pairs", "-status").out.startswith("4 done")
    assert typed("train.py", "-exp=pairs", "-sessions=sessions", "-status").out.startswith("2 done")
    typed("make_figures.py", "-exp=pairs")
    assert len(json.loads((tmp_path / "figures" / "pairs.json").read_text())) == 2


def test_force_computes_all_of_it_again_beside_what_ships(shipped, typed, tmp_path):
    typed(*CHAIN, "-force")
    assert n_records(tmp_path / "my_sessions") == 6
    typed("make_figures.py", "-exp=chain")


def test_another_folder_lies_over_what_ships_too(shipped, typed, tmp_path):
    typed("train.py", "-exp=pairs", "-sessions=other")
    assert n_records(tmp_path / "other") == 2
    assert "-exp=pairs -sessions=other" in typed("train.py", "-exp=pairs", "-sessions=other").out
    typed("make_figures.py", "-exp=pairs", "-sessions=other")
    assert "missing: pairs: 2 of 2 points" in typed("make_figures.py", "-exp=pairs", status=1).err


@pytest.mark.parametrize("name", ["sessions", "./sessions", "{here}/sessions", "link"])
def test_nothing_lies_below_what_ships_itself(name, typed, tmp_path):
    typed(*CHAIN, "-sessions=sessions")
    (tmp_path / "link").symlink_to("sessions")
    typed("train.py", "-exp=pairs", f"-sessions={name.format(here=tmp_path)}")
    assert n_records(tmp_path / "sessions") == 8
    assert not (tmp_path / "my_sessions").exists()


def test_outside_a_repository_there_is_one_folder(typed, tmp_path):
    typed(*CHAIN)
    assert n_records(tmp_path / "my_sessions") == 6
    assert not (tmp_path / "sessions").exists()
    assert "1 of 1 experiments drawn" in typed("make_figures.py", "-exp=chain").out


def test_figures_without_any_results_name_both_folders(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert figures.main([], tmp_path) == 2
    assert "There is no folder my_sessions or sessions of results" in capsys.readouterr().err
    (tmp_path / "sessions").mkdir()
    assert figures.main(["-sessions=mistyped"], tmp_path) == 2
    assert "There is no folder mistyped of results" in capsys.readouterr().err


def test_a_damaged_result_that_ships_is_computed_into_the_own_folder(typed, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "SECOND_LOOK_YOUNG", (0.01,))
    typed(*CHAIN, "-sessions=sessions")
    for path in (tmp_path / "sessions").glob("prune/??/*.json"):
        path.write_bytes(path.read_bytes()[:-9])
    before = tree(tmp_path / "sessions")
    with pytest.warns(UserWarning, match="its store is only read"):
        typed(*CHAIN)
    assert n_records(tmp_path / "my_sessions") == 4
    assert typed(*CHAIN, "-status").out.startswith("6 done")
    assert tree(tmp_path / "sessions") == before


def test_own_results_stay_out_of_version_control():
    if not (ROOT / ".git").exists():
        pytest.skip("this copy is no repository")
    ignored = subprocess.run(["git", "check-ignore", "-q", "my_sessions/f/ab/x.json"], cwd=ROOT, check=False)
    assert ignored.returncode == 0
    lines = (ROOT / ".gitignore").read_text().splitlines()
    assert not [line for line in lines if re.fullmatch(r"/?sessions/?", line)]
