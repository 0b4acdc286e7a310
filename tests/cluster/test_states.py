"""What the schedulers' answers mean, and the state of a point as a function of answer and store."""

import pytest

from datajuicer.clusters import survey
from datajuicer.clusters.endings import Ending
from datajuicer.clusters.lsf import parse_bjobs
from datajuicer.clusters.scheduler import Seen
from datajuicer.clusters.slurm import parse_squeue
from datajuicer.clusters.states import Evidence, state_of

RUN, PEND, SUSP = Seen("running", "RUN"), Seen("pending", "PEND"), Seen("suspended", "USUSP")
ENDED = Seen("ended", "EXIT 1")


@pytest.mark.parametrize(
    ("state", "known"),
    [
        ("missing", Evidence("missing")),
        ("done", Evidence("done")),
        ("failed", Evidence("failed")),
        ("running", Evidence("running")),
        # the store decides what is done, whatever the scheduler says
        ("done", Evidence("done", submitted=True, polls=[RUN])),
        ("done", Evidence("done", submitted=True, cancelled=True, polls=[None])),
        ("failed", Evidence("failed", submitted=True, polls=[RUN])),  # a neighbour in its element still runs
        ("failed", Evidence("failed", submitted=True, polls=[ENDED])),
        # a living claim counts even if the scheduler hides the job
        ("running", Evidence("running", submitted=True, polls=[None, None])),
        ("suspended", Evidence("running", submitted=True, polls=[SUSP])),
        ("running", Evidence("running", submitted=True, polls=[PEND])),  # another process computes it
        ("pending", Evidence("missing", submitted=True, polls=[PEND])),
        ("running", Evidence("missing", submitted=True, polls=[RUN])),
        ("suspended", Evidence("missing", submitted=True, polls=[SUSP])),
        ("pending", Evidence("missing", submitted=True, polls=[PEND, None])),  # absent from one answer
        ("pending", Evidence("missing", submitted=True, polls=[None, PEND])),
        ("lost", Evidence("missing", submitted=True, polls=[PEND, ENDED])),
        # a missing job is never a success
        ("lost", Evidence("missing", submitted=True, polls=[None, None])),
        ("lost", Evidence("missing", submitted=True, polls=[ENDED])),
        ("lost", Evidence("missing", submitted=True, polls=[Seen("ended", "DONE")])),
        # a failure that is computed again counts again when that has ended
        ("pending", Evidence("failed", submitted=True, retry=True, polls=[PEND])),
        ("failed", Evidence("failed", submitted=True, retry=True, polls=[ENDED])),
        # a job that was sent just now may not be listed yet; one that left a trace has been
        ("pending", Evidence("missing", submitted=True, polls=[None, None], is_new=True)),
        ("lost", Evidence("missing", submitted=True, polls=[None, None], is_new=True, note="")),
        ("lost", Evidence("missing", submitted=True, polls=[ENDED], is_new=True)),
        ("missing", Evidence("missing", submitted=True, cancelled=True, polls=[None], is_new=True)),
        ("unknown", Evidence("missing", submitted=True, polls=[None], silence="bjobs: down")),
        ("done", Evidence("done", submitted=True, silence="bjobs: down")),
        ("missing", Evidence("missing", submitted=True, cancelled=True, polls=[ENDED])),
        ("running", Evidence("missing", submitted=True, cancelled=True, polls=[RUN])),  # not ended yet
        ("missing", Evidence("missing", submitted=False, polls=[None])),  # never reached the scheduler
    ],
)
def test_the_state_of_a_point(state, known):
    assert state_of(known)[0] == state


@pytest.mark.parametrize(
    ("reason", "known"),
    [
        ("refused: no room", Evidence("missing", submitted=True, polls=[ENDED], note="refused: no room")),
        (
            "its job ended (EXIT 1) before there was a result",
            Evidence("missing", True, polls=[ENDED], note=""),
        ),
        ("left no trace in the store", Evidence("missing", submitted=True, polls=[ENDED])),
        ("does not know its job any more", Evidence("missing", submitted=True, polls=[None], note="")),
        ("bjobs: down", Evidence("missing", submitted=True, silence="bjobs: down")),
        ("PEND", Evidence("missing", submitted=True, polls=[PEND])),
        ("out of memory", Evidence("missing", True, polls=[ENDED], cause="out of memory", log="its log x")),
        ("; its log x ends", Evidence("missing", True, polls=[ENDED], log="its log x ends with: no")),
        ("before there was a result", Evidence("missing", True, polls=[ENDED], log="its log x is empty")),
    ],
)
def test_the_reason(reason, known):
    assert reason in state_of(known)[1]


@pytest.mark.parametrize(
    ("words", "state"),
    [(w, "pending") for w in ("PEND", "WAIT")]
    + [(w, "running") for w in ("RUN", "PROV", "UNKWN", "SOMETHING_NEW")]
    + [(w, "suspended") for w in ("PSUSP", "USUSP", "SSUSP")]
    + [(w, "ended") for w in ("DONE", "EXIT", "ZOMBI")],
)
def test_states_of_lsf(words, state):
    assert parse_bjobs(f"12[3]|3|{words}|-|-")["12", 3].state == state


@pytest.mark.parametrize(
    ("words", "state"),
    [(w, "pending") for w in ("PENDING", "REQUEUED", "REQUEUE_HOLD")]
    + [(w, "running") for w in ("RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT", "SOMETHING_NEW")]
    + [(w, "suspended") for w in ("SUSPENDED", "STOPPED")]
    + [(w, "ended") for w in ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY")],
)
def test_states_of_slurm(words, state):
    assert parse_squeue(f"12   3   {words}   0:0   me  grid  None")["12", 3].state == state


def test_usable_lines_are_read_and_others_are_left_out():
    text = "LSF is busy\n12|3|RUN|-|-\n12[4]|4|EXIT|140|TERM_RUNLIMIT: job killed\n|||\n12|0|PEND|-|-\n"
    assert parse_bjobs(text) == {
        ("12", 3): Seen("running", "RUN"),
        ("12", 4): Seen("ended", "EXIT 140 (SIGUSR2) TERM_RUNLIMIT: job killed", ending=Ending(signal=12)),
        ("12", 0): Seen("pending", "PEND"),
    }
    text = "slurm_load_jobs error\n 12  4  FAILED  9:0 me grid-1 NonZeroExitCode \n 13  N/A RUNNING 0 a b\n"
    failed = Seen("ended", "FAILED exit 9 NonZeroExitCode", "grid-1", "me", Ending(9))
    assert parse_squeue(text) == {("12", 4): failed}


def test_an_answer_names_job_and_user():
    assert parse_bjobs("12|4|PEND|-|-|me|grid-1[4]")["12", 4] == Seen("pending", "PEND", "grid-1", "me")
    assert parse_squeue("12 4 PENDING 0 me grid-1 Priority")["12", 4].name == "grid-1"


@pytest.mark.parametrize(
    ("answers", "end"),
    [
        (["running", "lost", "lost", "running", "done"], "done"),
        (["lost", "lost", "lost", "done"], "lost"),
        (["running", "failed", "done"], "failed"),
    ],
)
def test_who_waits_looks_again_for_what_seems_lost(answers, end, monkeypatch):
    coming = iter(answers)
    monkeypatch.setattr(survey, "survey", lambda *_: [survey.PointStatus(None, next(coming))])
    monkeypatch.setattr(survey.time, "sleep", lambda _: None)
    (found,) = survey.follow(None, [], {}, lambda _: None)
    assert found.state == end
