"""What LSF 9 and 10 say, from IBM's documentation and public reports (golden/lsf_sayings.toml)."""

import tomllib
from pathlib import Path

import pytest

import datajuicer as dj
from datajuicer.clusters import lsf
from datajuicer.clusters.commands import Reply
from datajuicer.clusters.endings import cause
from datajuicer.clusters.lsf import Lsf, parse_bjobs
from datajuicer.clusters.refusals import setting_behind
from datajuicer.clusters.scheduler import NoAnswer

SAID = tomllib.loads((Path(__file__).parent / "golden" / "lsf_sayings.toml").read_text())


def each(kind):
    return pytest.mark.parametrize("case", SAID[kind], ids=lambda case: str(next(iter(case.values())))[:40])


@pytest.fixture
def says(monkeypatch):
    """Has the next command of LSF answer so."""

    def answer(status, out="", err=""):
        monkeypatch.setattr(lsf, "ask", lambda *_, **__: Reply(status, out, err))

    return answer


def test_every_saying_has_a_source():
    for cases in SAID.values():
        assert all(case["source"].startswith("https://") for case in cases)


@each("version")
def test_versions(says, case):
    says(0, err=case["said"])
    if case["is_new_enough"]:
        Lsf().check()
    else:
        with pytest.raises(dj.UsageError, match=r"array jobs need 10\.1 or later"):
            Lsf().check()


@each("submission")
def test_answers_to_a_submission(says, case):
    says(case["status"], *((case["said"], "") if "job" in case else ("", case["said"])))
    found = Lsf().submit("")
    assert found.job == case.get("job", "")
    assert bool(found.unclear) == case.get("unclear", False)
    if "setting" in case:
        assert f"is {case['setting']} " in setting_behind(found.refused)


@each("ending")
def test_reasons_for_an_end(case):
    seen = parse_bjobs(f"1|1|EXIT|{case['code']}|{case['reason']}: {case['said'].lower()}|me|grid-1[1]")[
        "1", 1
    ]
    assert seen.state == "ended"
    assert case["reason"] in seen.words
    found = cause(seen.ending, seen.words, True)
    assert case["cause"] in found if case["cause"] else found == ""


@each("answer")
def test_delimited_answers(case):
    job, state, code, reason, _ = case["line"].split("|")
    seen = parse_bjobs(f"{job}|1|{state}|{code}|{reason}|me|grid-1[1]")[job, 1]
    assert (seen.state, seen.words) == (case["state"], state)


@each("id")
def test_ids_of_elements(case):
    assert list(parse_bjobs(f"{case['said']}|{case['index']}|RUN|-|-|me|grid-1[1]")) == [("3532", 1)]


@each("state")
def test_states(case):
    assert parse_bjobs(f"1|1|{case['said']}|-|-|me|grid-1[1]")["1", 1].state == case["state"]


@each("nothing")
def test_answers_without_a_job(says, case):
    says(case["status"], err=case["said"])
    if case["known"]:
        assert Lsf().poll(["1"]) == {}
    else:
        with pytest.raises(NoAnswer):
            Lsf().poll(["1"])
