"""What goes wrong on clusters, injected into the stand-in for LSF: nothing is sent twice, nothing is lost."""

import importlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import datajuicer as dj
from datajuicer.clusters import campaign as campaigns
from datajuicer.clusters import submission, survey
from datajuicer.clusters.lsf import Lsf
from datajuicer.clusters.site import Site
from datajuicer.clusters.submission import SubmitOptions, cancel, prepare, submit
from datajuicer.running.plan import plan

HERE = Path(__file__).parent
SITE = Site(cores=1, memory="200MB")
KNOWN = {"lsf": Lsf()}
IMPATIENT = {"lsf": Lsf(patience=1.0)}


@pytest.fixture
def closed(lsf) -> Path:
    """A cluster on which nothing starts yet."""
    (lsf / "closed").touch()
    return lsf


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Two looks at a scheduler follow each other at once."""
    monkeypatch.setattr(submission, "ASK_AGAIN", (0.05,))
    monkeypatch.setattr(survey, "SECOND_LOOK", 0.05)


@pytest.fixture
def store(tmp_path) -> dj.Store:
    return dj.Store(tmp_path / "store")


@pytest.fixture
def points(importable, starts):
    import points

    return points


def calls_of(function, *numbers, arguments=("{n}",)):
    return plan([{"n": n} for n in numbers], function, arguments, {})


def send(store, calls, known=KNOWN, site=SITE, **more):
    return submit(store, calls, SubmitOptions(known["lsf"], site, "grid", **more), known)


def states(store, calls, known=KNOWN):
    return [one.state for one in survey.survey(store, calls, known)]


def reasons(store, calls):
    return [one.reason for one in survey.survey(store, calls, KNOWN)]


def to_the_end(store, calls):
    return [one.state for one in survey.follow(store, calls, KNOWN, lambda _: None, slowest=1.0)]


def commit(lsf, name, argument=""):
    (lsf / "faults" / name).write_text(str(argument))


def jobs(lsf):
    return sorted(path.name for path in (lsf / "jobs").glob("*"))


def folders(store):
    return [path.parent.name for path in (store.root / "campaigns").glob("*/plan.json")]


def asked(lsf, command):
    return [line for line in (lsf / "log").read_text().splitlines() if line.split()[0] == command]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def later(store, seconds=400):
    """Have some time passed since the campaigns of a store were sent."""
    for path in (store.root / "campaigns").glob("*/plan.json"):
        plan = json.loads(path.read_text())
        path.write_text(json.dumps(plan | {"created": plan["created"] - seconds}))


def change_job(lsf, job, **changes):
    """Have the scheduler give a number to another job."""
    path = lsf / "jobs" / job / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# -- submitted once


def test_the_same_command_submits_once(closed, store, points):
    calls = calls_of(points.twenty, 0, 1)
    (campaign,) = send(store, calls)
    assert send(store, calls) == []
    assert states(store, calls) == ["pending", "pending"]
    (more,) = send(store, calls_of(points.twenty, 0, 1, 2))
    assert (len(campaign.elements), len(more.elements)) == (2, 1)
    assert len(asked(closed, "bsub")) == 2


def test_a_lost_reply_is_found_by_the_name_of_the_job(closed, store, points):
    commit(closed, "bsub_reply_lost")
    calls = calls_of(points.twenty, 0)
    (campaign,) = send(store, calls)
    assert campaigns.known_job(store, campaign) == "1"
    assert send(store, calls) == []
    assert jobs(closed) == ["1"]


def test_a_submission_that_hangs_is_given_up_and_made_anew(closed, store, points):
    commit(closed, "bsub_hangs")
    calls = calls_of(points.twenty, 0)
    with pytest.raises(dj.UsageError, match=r"bsub gave no answer within 1 s.*nothing was submitted"):
        send(store, calls, IMPATIENT)
    assert folders(store) == []
    send(store, calls)
    assert jobs(closed) == ["1"]


def test_a_refusal_is_told_in_the_words_of_the_scheduler(closed, store, points):
    commit(closed, "bsub_refuses", "User cannot use the queue.")
    calls = calls_of(points.twenty, 0)
    with pytest.raises(dj.UsageError, match=r"nothing was submitted: User cannot use the queue\."):
        send(store, calls)
    with pytest.raises(dj.UsageError, match="nix: No such queue"):
        send(store, calls, site=Site(queue="nix"))
    assert folders(store) == []
    assert states(store, calls) == ["missing"]


def test_no_scheduler_here(store, points, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(dj.UsageError, match="there is no bjobs on PATH"):
        send(store, calls_of(points.twenty, 0))
    assert folders(store) == []


def test_who_submits_is_killed_before_the_scheduler_hears_of_it(closed, store, points, tmp_path, monkeypatch):
    deadly = tmp_path / "deadly" / "bsub"
    deadly.parent.mkdir()
    deadly.write_text("#!/bin/sh\nkill -KILL $PPID\n")
    deadly.chmod(0o755)
    with monkeypatch.context() as here:
        here.setenv("PATH", f"{deadly.parent}{os.pathsep}{os.environ['PATH']}")
        words = [sys.executable, str(HERE / "compute.py"), "lsf", str(store.root), "-submit"]
        assert subprocess.run(words, capture_output=True, check=False).returncode == -9
    (left,) = campaigns.read_all(store)
    script = (campaigns.folder(store, left.name) / campaigns.SCRIPT).read_text()
    calls = plan(points.GRID, points.twenty, ("{n}",), {})
    assert states(store, calls) == ["missing"] * 20
    (campaign,) = send(store, calls)
    assert campaign.name != left.name
    assert folders(store) == [campaign.name]
    assert jobs(closed) == ["1"]
    # should the first submission arrive after all, its elements end at once
    late = subprocess.run(["bash"], input=script, text=True, capture_output=True, check=False)
    assert late.returncode == 86
    assert "cannot read" in late.stderr


def test_two_who_submit_at_the_same_time_submit_once(closed, store, points):
    words = [sys.executable, str(HERE / "compute.py"), "lsf", str(store.root), "-submit"]
    with ThreadPoolExecutor(2) as pool:
        started = [pool.submit(subprocess.run, words, capture_output=True, text=True) for _ in range(2)]
        both = [one.result() for one in started]
    assert [done.returncode for done in both] == [0, 0]
    for done in both:
        assert {state for state, _ in json.loads(done.stdout).values()} == {"pending"}
    assert jobs(closed) == ["1"]


def test_a_second_copy_of_a_job_computes_nothing(lsf, store, points, starts):
    (lsf / "closed").touch()
    calls = calls_of(points.twenty, 0)
    (campaign,) = send(store, calls)
    campaigns.set_job(store, campaign.name, "99")
    (lsf / "closed").unlink()
    until(lambda: "EXIT" in (lsf / "jobs" / "1" / "1").read_text())
    assert "second copy" in (campaigns.folder(store, campaign.name) / "logs" / "1.txt").read_text()
    assert starts() == {}


def test_more_points_than_an_array_takes_become_several(closed, store, points):
    calls = calls_of(points.twenty, *range(5))
    sent = send(store, calls, site=Site(array_limit=2))
    assert [len(campaign.elements) for campaign in sent] == [2, 2, 1]
    assert send(store, calls) == []
    assert states(store, calls) == ["pending"] * 5
    assert len(asked(closed, "bjobs")) == 2  # one question, however many jobs


def test_a_damaged_plan_is_said_with_its_place(closed, store, points):
    calls = calls_of(points.twenty, 0)
    (campaign,) = send(store, calls)
    path = campaigns.folder(store, campaign.name) / campaigns.PLAN
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(dj.UsageError, match=f"{path} cannot be read"):
        send(store, calls)
    assert jobs(closed) == ["1"]


# -- where it stands


def test_a_job_that_is_absent_from_one_answer_is_not_lost(closed, store, points):
    calls = calls_of(points.twenty, 0, 1)
    send(store, calls)
    commit(closed, "bjobs_omits", "1[2]")
    assert states(store, calls) == ["pending", "pending"]


def test_a_question_that_hangs_is_asked_again(closed, store, points):
    calls = calls_of(points.twenty, 0)
    send(store, calls)
    commit(closed, "bjobs_hangs")
    assert states(store, calls, IMPATIENT) == ["pending"]


def test_a_failing_command_with_a_usable_answer_is_read(closed, store, points):
    calls = calls_of(points.twenty, 0)
    send(store, calls)
    commit(closed, "bjobs_fails_with_output")
    assert states(store, calls) == ["pending"]
    assert not (closed / "faults" / "bjobs_fails_with_output").exists()


def test_while_the_scheduler_is_silent_nothing_is_submitted(closed, store, points):
    calls = calls_of(points.twenty, 0)
    send(store, calls)
    commit(closed, "bjobs_fails", "LSF is down. Please wait ...")
    (one,) = survey.survey(store, calls, KNOWN)
    assert (one.state, "LSF is down" in one.reason) == ("unknown", True)
    commit(closed, "bjobs_fails", "LSF is down. Please wait ...")
    with pytest.raises(dj.UsageError, match=r"LSF is down.*nothing was submitted"):
        send(store, calls_of(points.twenty, 0, 1), retry=True)
    assert jobs(closed) == ["1"]


def test_a_forgotten_job_is_lost_and_only_retry_submits_it_again(closed, store, points):
    calls = calls_of(points.twenty, 0)
    send(store, calls)
    (closed / "forgets").touch()
    later(store)
    assert states(store, calls) == ["lost"]
    assert "does not know its job any more" in reasons(store, calls)[0]
    assert send(store, calls) == []
    assert len(send(store, calls, retry=True)) == 1
    (closed / "forgets").unlink()
    (closed / "closed").unlink()
    assert to_the_end(store, calls) == ["done"]


def test_cancelled_points_are_missing_and_can_be_submitted_again(closed, store, points):
    calls = calls_of(points.twenty, 0, 1)
    (campaign,) = send(store, calls)
    found = cancel(store, survey.survey(store, calls, KNOWN), KNOWN)
    assert [c.name for c in found] == [campaign.name]
    until(lambda: states(store, calls) == ["missing", "missing"])
    assert len(send(store, calls)) == 1
    assert states(store, calls) == ["pending", "pending"]


@pytest.mark.parametrize("change", [{"name": "theirs"}, {"user": "somebody"}], ids=str)
def test_a_number_that_is_another_job_by_now_is_lost_and_is_left_alone(closed, store, points, change):
    calls = calls_of(points.twenty, 0)
    send(store, calls)
    later(store)
    assert states(store, calls) == ["pending"]
    before = survey.survey(store, calls, KNOWN)
    change_job(closed, "1", **change)
    assert states(store, calls) == ["lost"]
    assert cancel(store, survey.survey(store, calls, KNOWN), KNOWN) == []
    if "name" in change:  # looked at before, cancelled after: a look at the name comes first
        cancel(store, before, KNOWN)
    assert not (closed / "jobs" / "1" / "killed").exists()
    assert len(send(store, calls, retry=True)) == 1
    assert states(store, calls) == ["pending"]


def test_a_forged_id_cancels_nothing(closed, store, points):
    calls = calls_of(points.twenty, 0)
    (campaign,) = send(store, calls)
    send(store, calls_of(points.twenty, 1))
    campaigns.set_job(store, campaign.name, "2")
    cancel(store, survey.survey(store, calls, KNOWN), KNOWN)
    assert not (closed / "jobs" / "2" / "killed").exists()


@pytest.mark.parametrize("text", ["[]", "{", '{"job": 1, "odd": 2}', "[" * 100_000], ids=lambda t: t[:9])
def test_damaged_traces_are_no_tracebacks(closed, store, points, text):
    calls = calls_of(points.twenty, 0)
    (campaign,) = send(store, calls)
    place = campaigns.folder(store, campaign.name)
    (place / "elements" / "1.json").write_text(text)
    (place / campaigns.JOB).write_text(text)
    assert states(store, calls) == ["pending"]


def test_a_new_job_that_is_not_listed_yet_is_pending(closed, store, points):
    (closed / "lag").write_text("1000")
    calls = calls_of(points.twenty, 0, 1)
    send(store, calls)
    assert states(store, calls) == ["pending", "pending"]
    assert "does not list it yet" in reasons(store, calls)[0]
    assert send(store, calls, retry=True) == []
    later(store)
    assert states(store, calls) == ["lost", "lost"]
    (closed / "lag").unlink()
    assert states(store, calls) == ["pending", "pending"]


def test_variables_of_the_environment_change_no_answer(closed, store, points, monkeypatch):
    monkeypatch.setenv("BSUB_QUIET", "Y")
    calls = calls_of(points.twenty, 0)
    (campaign,) = send(store, calls)
    assert campaigns.known_job(store, campaign) == "1"
    assert states(store, calls) == ["pending"]


@pytest.mark.parametrize("version", ["Platform LSF 9.1.3.0, Jul 04 2014", "IBM Platform LSF Standard 10.0.0"])
def test_an_lsf_that_is_too_old_is_said_before_anything_is_sent(closed, store, points, version):
    commit(closed, "bjobs_version", version)
    with pytest.raises(dj.UsageError, match=r"this is LSF \d+\.\d; array jobs need 10\.1 or later"):
        send(store, calls_of(points.twenty, 0))
    assert (jobs(closed), folders(store)) == ([], [])


def test_a_version_that_says_nothing_is_new_enough(closed, store, points):
    commit(closed, "bjobs_version", "Fujitsu something")
    assert len(send(store, calls_of(points.twenty, 0))) == 1


def test_a_refusal_names_the_setting_behind_it(closed, store, points):
    commit(closed, "bsub_refuses", "RUNLIMIT: Cannot exceed queue's hard limit(s).")
    with pytest.raises(dj.UsageError, match=r"the setting behind it is time \(typed, or in launch_settings"):
        send(store, calls_of(points.twenty, 0))


# -- on the node


def test_a_set_up_that_fails_computes_nothing_and_says_so(lsf, store, points, starts):
    calls = calls_of(points.twenty, 0)
    send(store, calls, site=replace(SITE, set_up=("module load cuda/12.4",)))
    assert to_the_end(store, calls) == ["lost"]
    (reason,) = reasons(store, calls)
    assert reason.startswith("a command of set_up failed on its node")
    assert (
        f"logs/1.txt ends with: {os.uname().nodename}: this command of set_up failed: module load" in reason
    )
    assert starts() == {}


def test_a_node_without_the_python_that_submitted(lsf, store, points, monkeypatch):
    calls = calls_of(points.twenty, 0)
    with monkeypatch.context() as here:
        here.setattr(submission.sys, "executable", "/nowhere/bin/python")
        send(store, calls)
    assert to_the_end(store, calls) == ["lost"]
    assert reasons(store, calls)[0].startswith("its node does not find the Python that submitted it")
    assert "No such file" in reasons(store, calls)[0]


@pytest.fixture
def layered(tmp_path, points) -> dj.Store:
    """A store over one that has three results."""
    dj.run([{"n": n} for n in (0, 1, 2)], points.twenty, cache_dir=tmp_path / "below")("{n}")
    return dj.Store(tmp_path / "above", below=[tmp_path / "below"])


def files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_jobs_read_the_stores_below_and_write_to_the_first(lsf, layered, points):
    before = files(layered.below[0])
    parents = dj.planned([{"n": n} for n in (0, 1, 2, 4)], points.twenty, cache_dir=layered)("{n}")
    children = plan([{"model": parent} for parent in parents], points.doubled, ("{model}",), {})
    calls = [*calls_of(points.twenty, 0, 1, 2, 4), *children]
    sent = send(layered, calls)
    assert sorted(len(campaign.elements) for campaign in sent) in ([1, 4], [1, 1, 3])
    assert to_the_end(layered, calls) == ["done"] * 8
    found = dj.run([{"model": one} for one in parents], points.doubled, cache_dir=layered, run_mode="load")
    assert found("{model}") == [0, 2, 8, 32]
    assert len(list(dj.Store(layered.root).records("twenty"))) == 1
    assert files(layered.below[0]) == before


def test_a_node_that_does_not_see_a_store_below_says_so(closed, layered, points, tmp_path):
    calls = calls_of(points.twenty, 4)
    send(layered, calls)
    layered.below[0].rename(tmp_path / "away")
    (closed / "closed").unlink()
    until(lambda: any("stores" in path.read_text() for path in layered.root.glob("campaigns/*/elements/*")))
    (tmp_path / "away").rename(layered.below[0])
    assert to_the_end(layered, calls) == ["lost"]
    assert "keep them where all nodes see them" in reasons(layered, calls)[0]


@pytest.mark.parametrize("when", ["in set_up", "while Python starts"])
def test_a_warning_that_comes_early_waits(lsf, store, points, starts, tmp_path, monkeypatch, when):
    """The signal comes before anybody can take it: the point is queued again and computed."""
    once = f"if ! [ -e {tmp_path}/once ]; then touch {tmp_path}/once; {{ sleep 0.3; kill -USR2 $$; }}; fi"
    if when == "while Python starts":
        once = once.replace("{ sleep 0.3; kill -USR2 $$; };", "( sleep 0.15; kill -USR2 $$ ) &")
    calls = calls_of(points.counting, 0, arguments=("{n}", 60))
    (campaign,) = send(store, calls, site=replace(SITE, set_up=(once,)))
    assert to_the_end(store, calls) == ["done"]
    (record,) = store.records("counting")
    assert record["value"][1] == 60
    trace = campaigns.read_trace(campaigns.folder(store, campaign.name), 1)
    assert trace is not None
    assert trace.starts == 2  # it was queued again, whether or not the point had begun


def test_after_a_full_disk_the_advice_is_one_that_works(lsf, store, points, tmp_path, monkeypatch):
    module = tmp_path / "modules" / "fills.py"
    module.parent.mkdir()
    module.write_text(
        "import datajuicer as dj\n\n@dj.cachable()\ndef fills(n):\n"
        "    raise OSError(28, 'No space left on device')\n"
    )
    monkeypatch.syspath_prepend(str(module.parent))
    import fills  # type: ignore[import-not-found]

    calls = calls_of(fills.fills, 1)
    send(store, calls)
    assert to_the_end(store, calls) == ["lost"]
    (reason,) = reasons(store, calls)
    assert "make room or name another store, and submit again with -retry" in reason
    assert "same command" not in reason


def test_a_store_that_the_nodes_cannot_see(lsf, store, points):
    commit(lsf, "hides", store.root.parent)
    calls = calls_of(points.twenty, 0)
    send(store, calls)
    assert to_the_end(store, calls) == ["lost"]
    assert reasons(store, calls)[0].startswith("its node cannot read ")
    assert len(send(store, calls, retry=True)) == 1
    assert to_the_end(store, calls) == ["done"]


def test_other_code_on_the_node_is_said_and_computes_nothing(closed, store, tmp_path, monkeypatch):
    module = tmp_path / "modules" / "its_own.py"
    module.parent.mkdir()
    module.write_text("import datajuicer as dj\n\n@dj.cachable()\ndef mine(n):\n    return n\n")
    monkeypatch.syspath_prepend(str(module.parent))
    import its_own  # type: ignore[import-not-found]

    calls = calls_of(its_own.mine, 1)
    send(store, calls)
    module.write_text(module.read_text() + "\n# changed while the job waited\n")
    (closed / "closed").unlink()
    assert to_the_end(store, calls) == ["lost"]
    assert "has other code of its_own than the plan was made with" in reasons(store, calls)[0]
    send(store, calls, retry=True)
    assert to_the_end(store, calls) == ["done"]


@pytest.mark.parametrize("kind", ["module", "package"])
def test_with_a_snapshot_what_is_edited_while_a_job_waits_changes_nothing(
    closed, store, tmp_path, monkeypatch, kind
):
    folder = tmp_path / "modules" / (f"of_{kind}" if kind == "package" else "")
    folder.mkdir(parents=True)
    file = folder / ("__init__.py" if kind == "package" else f"of_{kind}.py")
    (folder / "word.txt").write_text("before")
    file.write_text(
        "import pathlib\nimport datajuicer as dj\n\n@dj.cachable()\ndef mine(n):\n"
        "    return ['before', (pathlib.Path(__file__).parent / 'word.txt').exists(), dj.__file__]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    module = importlib.import_module(f"of_{kind}")
    calls = calls_of(module.mine, 1)
    (campaign,) = send(store, calls, snapshot=True)
    file.write_text(file.read_text().replace("'before'", "'after'"))
    (closed / "closed").unlink()
    assert to_the_end(store, calls) == ["done"]
    (record,) = store.records("mine")
    code = campaigns.folder(store, campaign.name) / "code"
    assert record["value"] == ["before", kind == "package", str(code / "datajuicer" / "__init__.py")]


def test_another_library_version_on_the_node_is_said(lsf, store, points, starts, monkeypatch):
    real = submission.made_with
    monkeypatch.setattr(submission, "made_with", lambda names: real(names) | {"numpy": "0.1"})
    calls = calls_of(points.twenty, 0)
    send(store, calls)
    assert to_the_end(store, calls) == ["lost"]
    import numpy

    assert f"numpy {numpy.__version__} instead of 0.1" in reasons(store, calls)[0]
    assert starts() == {}


@pytest.mark.parametrize("file", [campaigns.PLAN, campaigns.TASKS])
def test_what_was_changed_after_the_submission_is_not_unpickled(closed, store, points, starts, file):
    calls = calls_of(points.twenty, 0)
    (campaign,) = send(store, calls)
    path = campaigns.folder(store, campaign.name) / file
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    (closed / "closed").unlink()
    until(lambda: "EXIT" in (closed / "jobs" / "1" / "1").read_text())
    assert "is not" in (campaigns.folder(store, campaign.name) / "logs" / "1.txt").read_text()
    assert starts() == {}


def test_a_node_that_goes_down_loses_its_point_until_it_is_submitted_again(lsf, store, points, starts):
    calls = calls_of(points.counting, 0, arguments=("{n}", 100_000))
    send(store, calls)
    until(lambda: starts() == {0: 1})
    commit(lsf, "kills_1", 1)
    assert to_the_end(store, calls) == ["lost"]
    assert "EXIT 137" in reasons(store, calls)[0]
    send(store, calls, retry=True)
    until(lambda: starts() == {0: 2})
    assert states(store, calls) == ["running"]


def test_what_is_cancelled_while_it_runs_writes_its_checkpoint_and_is_no_failure(lsf, store, points, starts):
    calls = calls_of(points.counting, 0, arguments=("{n}", 100_000))
    send(store, calls)
    until(lambda: starts() == {0: 1})
    cancel(store, survey.survey(store, calls, KNOWN), KNOWN)
    assert to_the_end(store, calls) == ["missing"]
    assert (store.folder("counting", calls[0].key) / "counted").exists()


def test_warned_of_the_end_it_writes_a_checkpoint_and_is_queued_again(lsf, store, points, starts):
    calls = calls_of(points.counting, 0, arguments=("{n}", 60))
    send(store, calls)
    until(lambda: starts() == {0: 1})
    (lsf / "jobs" / "1" / "1.warn").touch()
    assert to_the_end(store, calls) == ["done"]
    (record,) = store.records("counting")
    first, reached = record["value"]
    assert 0 < first < reached == 60
    assert starts() == {0: 2}
    assert len(asked(lsf, "bsub")) == 1


def test_what_comes_no_further_is_not_queued_for_ever(lsf, store, points, starts):
    calls = calls_of(points.stubborn, 0)
    send(store, calls)
    for turn in (1, 2):
        until(lambda turn=turn: starts() == {0: turn})
        (lsf / "jobs" / "1" / "1.warn").touch()
    assert to_the_end(store, calls) == ["failed"]
    (record,) = store.records("stubborn", "failed")
    assert "came no further than step 1" in record["error"]


def test_retry_computes_failures_again_and_batches_share_an_element(lsf, store, points, starts):
    calls = calls_of(points.together, 1, 2, 3, 4)
    (campaign,) = send(store, calls, batch=3)
    assert [len(element.points) for element in campaign.elements] == [3, 1]
    assert to_the_end(store, calls) == ["done", "failed", "done", "done"]
    assert starts() == {1: 1, 2: 1, 3: 1, 4: 1}
    assert send(store, calls) == []
    (again,) = send(store, calls, batch=3, retry=True)
    assert [element.points for element in again.elements] == [((calls[1].name, calls[1].key),)]
    assert to_the_end(store, calls) == ["done", "failed", "done", "done"]
    assert starts() == {1: 1, 2: 2, 3: 1, 4: 1}


def test_what_would_be_sent_is_shown_without_writing_anything(closed, store, points):
    calls = calls_of(points.twenty, 0, 1)
    (one,) = prepare(store, survey.survey(store, calls, KNOWN), SubmitOptions(Lsf(), SITE, "my grid!"))
    assert '#BSUB -J "my_grid-' in one.script(store, Lsf())
    assert not store.root.exists()
    assert not (closed / "log").exists()


def test_a_result_that_its_checker_finds_bad_is_computed_again(lsf, store, points, starts):
    calls = calls_of(points.checked, 0)
    send(store, calls)
    assert to_the_end(store, calls) == ["done"]
    (store.folder("checked", calls[0].key) / "good").unlink()
    send(store, calls, retry=True)
    assert to_the_end(store, calls) == ["done"]
    assert starts() == {0: 2}
