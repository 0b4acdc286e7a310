"""Files as settings: keyed by content."""

import os
import pickle

import pytest

import datajuicer as dj
from datajuicer import File, Store, UsageError


@dj.cachable(["data"], table_name="length", on_code_change="ignore")
def length(data):
    with open(data, "rb") as file:
        return len(file.read())


def run(root, *files, **how):
    return dj.run([{"data": file} for file in files], length, cache_dir=root, **how)("{data}")


def test_a_file_of_equal_content_is_the_same_wherever_it_lies(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"abc")
    assert run(tmp_path / "s", File(tmp_path / "a")) == [3]
    assert run(tmp_path / "s", File(str(tmp_path / "b")), run_mode="load") == [3]
    (record,) = Store(tmp_path / "s").records("length")
    assert "file" in record["dependencies"]["data"]
    assert str(tmp_path) not in str(record["dependencies"])


@pytest.mark.parametrize("age", [0, 1000])
def test_a_file_that_changed_is_another_setting(tmp_path, age):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    assert run(tmp_path / "s", File(path)) == [3]
    path.write_bytes(b"abcd")
    assert run(tmp_path / "s", File(path)) == [4]
    path.write_bytes(b"abc")
    assert run(tmp_path / "s", File(path), run_mode="load") == [3]


def test_a_file_that_is_not_there_is_said_before_anything_is_computed(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file .*none, on which a result depends"):
        run(tmp_path / "s", File(tmp_path / "none"))


def test_a_relative_file_stays_the_same_when_the_folder_changes(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    file = File("a")
    monkeypatch.chdir("/")
    assert run(tmp_path / "s", pickle.loads(pickle.dumps(file)), n_threads=2) == [3]
