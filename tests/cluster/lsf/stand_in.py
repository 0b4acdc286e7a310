"""A stand-in for LSF: bsub, bjobs and bkill over real processes, with faults that a test can order.

It keeps the parts of LSF that decide: the script comes on standard input, #BSUB lines count, an array's
elements get LSB_JOBINDEX from 1, exit status 85 queues an element again under -Q, a signal comes before the
end of the wall time and the end after it. One keeper process lives for each array, as LSF's daemons would.

Its folder is named by $LSF_STAND_IN:
    jobs/<id>/job.json        the job             jobs/<id>/<index>        an element's state, code and reason
    jobs/<id>/<index>.warn    a test wants it to be warned now
    jobs/<id>/<index>.overtime  … and ended, as if its wall time were over
    faults/<name>             a fault to commit once; its content is the argument
    closed, forgets           as long as they exist: nothing is started; bjobs knows no job
    lag                       seconds for which bjobs does not know a new job
    log                       one line a command

$LSF_STAND_IN_MINUTE is the length of a minute in seconds.
"""

import json
import os
import pwd
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

HOME = Path(os.environ["LSF_STAND_IN"])
MINUTE = float(os.environ.get("LSF_STAND_IN_MINUTE", "60"))
SLOTS = 2
TICK = 0.03


def main():
    command, words = Path(sys.argv[1]).name, sys.argv[2:]
    (HOME / "faults").mkdir(parents=True, exist_ok=True)
    (HOME / "jobs").mkdir(exist_ok=True)
    if words != ["-V"]:
        with (HOME / "log").open("a") as log:
            log.write(shlex.join([command, *words]) + "\n")
    if fault(f"{command}_hangs") is not None:
        time.sleep(600)
    return {"bsub": bsub, "bjobs": bjobs, "bkill": bkill}[command](words)


def fault(name):
    """The argument of a fault that a test ordered, once; None if it did not."""
    path = HOME / "faults" / name
    try:
        text = path.read_text()
        path.unlink()
    except FileNotFoundError:
        return None
    return text


def bsub(words):
    script = sys.stdin.read()
    lines = [line[5:].strip() for line in script.splitlines() if line.startswith("#BSUB")]
    options = [word for line in lines for word in shlex.split(line)] + words
    values = {options[i]: options[i + 1] for i in range(len(options) - 1) if options[i].startswith("-")}
    name, count, at_once = re.fullmatch(r"([^\[]+)\[1-(\d+)\](?:%(\d+))?", values["-J"]).groups()
    if values.get("-q", "normal") != "normal":
        print(f"{values['-q']}: No such queue. Job not submitted.", file=sys.stderr)
        return 255
    if (reason := fault("bsub_refuses")) is not None:
        print(f"{reason} Job not submitted.", file=sys.stderr)
        return 255
    if int(count) > 1000:
        print("Job array index too large. Job not submitted.", file=sys.stderr)
        return 255
    number = len(list((HOME / "jobs").iterdir())) + 1
    folder = HOME / "jobs" / str(number)
    folder.mkdir()
    if (hidden := fault("hides")) is not None:  # the nodes do not see this path
        script = script.replace(hidden, "/nowhere")
    job = {
        "name": name,
        "script": script,
        "count": int(count),
        "slots": min(SLOTS, int(at_once or SLOTS)),
        "minutes": minutes(values["-W"]),
        "warning": minutes(values["-wt"]),
        "signal": values["-wa"],
        "again": [int(code) for code in values.get("-Q", "").split()],
        "output": values["-o"],
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "after": re.findall(r"ended\((\d+)\)", values.get("-w", "")),
    }
    (folder / "job.json").write_text(json.dumps(job))
    for index in range(1, int(count) + 1):
        (folder / str(index)).write_text("PEND|-|-")
    subprocess.Popen(
        [sys.executable, "-S", __file__, "keeper", str(number)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(HOME / "keeper.log").open("a"),
    )
    if fault("bsub_reply_lost") is not None:
        print("Failed in an LSF library call: communication time out", file=sys.stderr)
        return 255
    if (victim := fault("bsub_kills")) is not None:  # whoever submitted dies before it hears the answer
        os.kill(os.getppid() if victim == "parent" else int(victim), signal.SIGKILL)
    if "BSUB_QUIET" not in os.environ:
        print(f"Job <{number}> is submitted to default queue <normal>.")
    return 0


def minutes(text):
    hours, _, rest = text.rpartition(":")
    return 60 * int(hours or 0) + int(rest)


def bjobs(words):
    if words == ["-V"]:
        print(fault("bjobs_version") or "IBM Spectrum LSF Standard 10.1.0.13, Apr 15 2022", file=sys.stderr)
        return 0
    assert words[:5] == ["-a", "-u", "all", "-noheader", "-o"], words
    assert "delimiter='|'" in words[5], words
    wanted = words[6:]
    absent = fault("bjobs_omits")  # an element that is left out of this answer
    if (said := fault("bjobs_fails")) is not None:
        print(said, file=sys.stderr)
        return 255
    found, unknown = [], []
    if wanted[:1] == ["-J"]:
        for folder in sorted((HOME / "jobs").iterdir(), key=lambda p: int(p.name)):
            if json.loads((folder / "job.json").read_text())["name"] == wanted[1] and is_listed(folder):
                found.append(folder)
        if not found:
            unknown.append(wanted[1])
    else:
        for job in wanted:
            folder = HOME / "jobs" / job
            (found if is_listed(folder) else unknown).append(folder if is_listed(folder) else job)
    for folder in found:
        job = json.loads((folder / "job.json").read_text())
        for index in range(1, job["count"] + 1):
            if f"{folder.name}[{index}]" != absent:
                state = (folder / str(index)).read_text()
                print(f"{folder.name}[{index}]|{index}|{state}|{job['user']}|{job['name']}[{index}]")
    for job in unknown:
        print(f"Job <{job}> is not found", file=sys.stderr)
    return 255 if unknown or fault("bjobs_fails_with_output") is not None else 0


def is_listed(folder):
    if (HOME / "forgets").exists() or not folder.exists():  # as LSF forgets an hour after the end of a job
        return False
    lag = HOME / "lag"  # in seconds: its answers may be old
    return not lag.exists() or time.time() - folder.stat().st_ctime > float(lag.read_text())


def bkill(words):
    folder = HOME / "jobs" / words[0]
    if not folder.exists():
        print(f"Job <{words[0]}>: No matching job found", file=sys.stderr)
        return 255
    (folder / "killed").touch()
    print(f"Job <{words[0]}> is being terminated")
    return 0


class Element:
    """A running element, seen by the keeper."""

    def __init__(self, folder, job, index):
        self.path = folder / str(index)
        self.job = job
        self.started = time.monotonic()
        self.warned = False
        self.told_to_end = 0.0
        output = Path(job["output"].replace("%I", str(index)))
        environment = {**os.environ, "LSB_JOBID": folder.name, "LSB_JOBINDEX": str(index)}
        self.process = subprocess.Popen(
            ["/bin/bash", "-s"],
            stdin=subprocess.PIPE,
            stdout=output.open("a") if output.parent.exists() else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        script = folder / f"{index}.sh"
        script.write_text(job["script"])
        self.process.stdin.write(f"exec /bin/bash {script}\n".encode())
        self.process.stdin.close()
        self.path.write_text("RUN|-|-")

    def signal(self, number):
        """As LSF does: to every process of the job, those in other process groups included."""
        for pid in descendants(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def look(self, killed):
        """Whether it has ended; warn it, end it, write down its end."""
        spent = (time.monotonic() - self.started) / MINUTE
        if self.path.with_suffix(".overtime").exists():
            spent = self.job["minutes"] + 1
        order = self.path.with_suffix(".warn")
        if not self.warned and (order.exists() or spent > self.job["minutes"] - self.job["warning"]):
            self.warned = True
            order.unlink(missing_ok=True)
            self.signal(getattr(signal, f"SIG{self.job['signal']}"))
        if spent > self.job["minutes"] or killed:
            if not self.told_to_end:
                self.told_to_end = time.monotonic()
                self.signal(signal.SIGINT)
                self.signal(signal.SIGTERM)
            elif time.monotonic() > self.told_to_end + 8:
                self.signal(signal.SIGKILL)
        status = self.process.poll()
        if status is None:
            return False
        if status in self.job["again"] and not killed:
            self.path.write_text("PEND|-|-")
        elif status == 0:
            self.path.write_text("DONE|-|-")
        else:
            reason = "-"
            if self.told_to_end:
                reason = "TERM_OWNER: job killed by owner" if killed else "TERM_RUNLIMIT: run limit reached"
            self.path.write_text(f"EXIT|{status if status > 0 else 128 - status}|{reason}")
        return True


def descendants(pid):
    found, rest = [], [pid]
    while rest:
        one = rest.pop()
        found.append(one)
        try:
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            children = []
        rest += map(int, children)
    return found


def has_ended(number):
    folder = HOME / "jobs" / number
    count = json.loads((folder / "job.json").read_text())["count"]
    states = [(folder / str(index)).read_text().split("|")[0] for index in range(1, count + 1)]
    return not {"PEND", "RUN"}.intersection(states)


def keeper(number):
    """Run the elements of an array until all have ended."""
    folder = HOME / "jobs" / number
    job = json.loads((folder / "job.json").read_text())
    indices = range(1, job["count"] + 1)
    running = {}
    while not (folder / "killed").exists() and not all(map(has_ended, job["after"])):
        time.sleep(TICK)
    while True:
        killed = (folder / "killed").exists()
        if (victim := fault(f"kills_{number}")) is not None and int(victim) in running:
            running[int(victim)].signal(signal.SIGKILL)  # the node went down
        waiting = [i for i in indices if (folder / str(i)).read_text().startswith("PEND")]
        pending = [i for i in waiting if i not in running]
        if killed:
            for index in pending:
                (folder / str(index)).write_text("EXIT|130|TERM_OWNER: job killed by owner")
            pending = []
        if not pending and not running:
            return 0
        if not (HOME / "closed").exists():  # a test may hold all starts back
            for index in pending[: job["slots"] - len(running)]:
                running[index] = Element(folder, job, index)
        for index in [index for index, element in running.items() if element.look(killed)]:
            del running[index]
        time.sleep(TICK)


if __name__ == "__main__":
    sys.exit(keeper(sys.argv[2]) if sys.argv[1] == "keeper" else main())
