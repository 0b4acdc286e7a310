import http.server
import shutil
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data.ecg import mitdb
from jaxrobust.data.ecg.mitdb_records import RECORDS, Record, read_record
from jaxrobust.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def silent(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def one_record(real_data: Path, tmp_path: Path) -> Path:
    """A folder with a copy of record 100 as PhysioNet publishes it."""
    for suffix in ("hea", "dat", "atr"):
        shutil.copyfile(real_data / "mitdb/original" / f"100.{suffix}", tmp_path / f"100.{suffix}")
    return tmp_path


@pytest.mark.data
@pytest.mark.parametrize("name", ["100", "208"])
def test_both_formats_give_the_same_record(real_data: Path, name: str):
    flac, original = (read_record(real_data / "mitdb" / form, name) for form in ("flac", "original"))
    np.testing.assert_array_equal(flac.signals, original.signals)
    np.testing.assert_array_equal(flac.starts, original.starts)
    assert flac.symbols == original.symbols


@pytest.mark.data
def test_record_100_holds_the_known_beats_at_the_r_peaks(real_data: Path):
    record = read_record(real_data / "mitdb/flac", "100")
    assert record.signals.shape == (650_000, 2)
    assert record.signals.dtype == np.float32
    assert {symbol: record.symbols.count(symbol) for symbol in "NAV"} == {"N": 2239, "A": 33, "V": 1}
    around = np.stack([record.signals[start - 50 : start + 50, 0] for start in record.starts[1:-1]])
    assert np.median(np.abs(around.argmax(axis=1) - 50)) <= 1
    # The first samples of the header: 995 and 1011 units of 5 microvolt around 1024.
    np.testing.assert_allclose(record.signals[0], [-0.145, -0.065], atol=1e-6)


@pytest.mark.data
def test_the_swapped_leads_of_record_114_are_put_right(real_data: Path):
    import wfdb

    raw = wfdb.rdrecord(str(real_data / "mitdb/flac/114"))
    assert raw.sig_name == ["V5", "MLII"]
    record = read_record(real_data / "mitdb/flac", "114")
    np.testing.assert_allclose(record.signals, raw.p_signal[:, ::-1], atol=1e-6)


@pytest.mark.data
def test_noisy_beats_are_marked(real_data: Path):
    assert read_record(real_data / "mitdb/flac", "100").clean.all()
    noisy = ~read_record(real_data / "mitdb/flac", "105").clean
    assert 50 < noisy.sum() < 1000


@pytest.mark.data
@pytest.mark.parametrize("suffix", ["hea", "dat", "atr"])
def test_a_missing_file_is_named(one_record: Path, suffix: str):
    (one_record / f"100.{suffix}").unlink()
    with pytest.raises(
        InputError, match=rf"record 100 is incomplete: 100\.{suffix} is missing .* physionet.org"
    ):
        read_record(one_record, "100")


@pytest.mark.data
@pytest.mark.parametrize("suffix", ["dat", "atr"])
@pytest.mark.parametrize("kept", [0, 0.5, 0.999])
def test_a_file_cut_short_is_refused(one_record: Path, suffix: str, kept: float):
    file = one_record / f"100.{suffix}"
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) // 2 * 2])
    with pytest.raises(
        InputError, match=rf"100\.{suffix} in .* is damaged \(.*\): delete it and get it again"
    ):
        read_record(one_record, "100")


@pytest.mark.data
def test_a_cut_flac_record_is_refused(real_data: Path, tmp_path: Path):
    for suffix in ("hea", "dat", "atr"):
        shutil.copyfile(real_data / "mitdb/flac" / f"100.{suffix}", tmp_path / f"100.{suffix}")
    file = tmp_path / "100.dat"
    file.write_bytes(file.read_bytes()[:300_000])
    with pytest.raises(InputError, match=r"100\.dat in .* is damaged"):
        read_record(tmp_path, "100")


@pytest.mark.data
def test_a_changed_sample_is_refused_by_the_checksum(one_record: Path):
    file = one_record / "100.dat"
    content = bytearray(file.read_bytes())
    content[30_000] ^= 4
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"100\.dat .* do not have the checksums in 100\.hea"):
        read_record(one_record, "100")


@pytest.mark.data
def test_a_record_missing_from_the_folder_stops_the_preparation(real_data: Path, tmp_path: Path):
    with pytest.raises(InputError, match="record 101 is incomplete"):
        data.load("mitdb", folder=real_data / "mitdb/original", cache=tmp_path)
    assert not list((tmp_path / "prepared").glob("mitdb*"))


@pytest.mark.data
def test_the_published_split_has_the_published_sizes(real_data: Path, cache: Path):
    beats = data.load("mitdb", split="published", folder=real_data / "mitdb/flac", cache=cache)
    assert beats.train.inputs.shape == (10720, 100, 2)
    assert data.blank("mitdb").train.inputs.shape == (1, 100, 2)
    assert [part.counts(4) for part in (beats.train, beats.validation, beats.test)] == [
        (2680,) * 4,
        (335,) * 4,
        (335,) * 4,
    ]
    assert beats.classes == ("normal", "LBBB", "RBBB", "PVC")
    assert beats.source == "MIT-BIH Arrhythmia Database 1.0.0"
    assert not beats.synthetic


@pytest.mark.data
@pytest.mark.parametrize(
    ("split", "counts"),
    [
        ("patients", [(2500, 2469, 2500, 2295), (250, 250, 85, 250), (500, 500, 500, 500)]),
        ("patients_normal_pvc", [(2500, 2295), (250, 250), (500, 500)]),
    ],
)
def test_the_patient_splits_share_no_patient(real_data: Path, cache: Path, split: str, counts):
    beats = data.load("mitdb", split=split, folder=real_data, cache=cache)
    parts = (beats.train, beats.validation, beats.test)
    assert [part.counts(len(beats.classes)) for part in parts] == counts
    train, validation, test = ({str(record) for record in part.groups} for part in parts)
    assert train <= set(mitdb.TRAINING_RECORDS)
    assert validation <= set(mitdb.VALIDATION_RECORDS)
    assert test <= set(mitdb.TEST_RECORDS)
    everyone = train | validation | test
    assert len(everyone) == len(train) + len(validation) + len(test)
    assert not everyone & {"102", "104", "107", "217"}, "paced"
    assert not {"201", "202"} <= everyone, "the same patient"


def test_the_record_lists_divide_the_database():
    used = mitdb.TRAINING_RECORDS + mitdb.VALIDATION_RECORDS + mitdb.TEST_RECORDS
    assert len(used) == len(set(used)) == 43
    assert set(RECORDS) - set(used) == {"102", "104", "107", "217", "201"}


def _record(name: str, symbols: str) -> Record:
    random = np.random.default_rng(int(name))
    starts = 300 * np.arange(1, len(symbols) + 1)
    return Record(
        name,
        random.normal(size=(starts[-1] + 300, 2)).astype(np.float32),
        starts,
        tuple(symbols),
        np.ones(len(symbols), bool),
        np.zeros(len(symbols), bool),
    )


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("patients", "no usable beats of class 'RBBB' in the train records: check"),
        ("published", "only 0 usable beats of class 'R' where the published split takes 3350: check"),
    ],
)
def test_a_class_without_beats_is_named(monkeypatch: pytest.MonkeyPatch, split: str, message: str):
    monkeypatch.setattr(mitdb, "read_record", lambda folder, name: _record(name, "NLVVNL"))
    with pytest.raises(InputError, match=message):
        mitdb.build(split, Path(), silent)


class _PhysioNet(http.server.SimpleHTTPRequestHandler):
    """Serves the records below /files and the page with the version below /content."""

    def do_GET(self) -> None:
        if self.path.startswith("/content"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<p>\nVersion: 1.0.0</p>\n")
        else:
            self.path = self.path.replace("/files/mitdb/1.0.0", "")
            super().do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *arguments) -> None:
        pass


@pytest.mark.data
def test_download_from_physionet(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from wfdb.io import download

    serve = partial(_PhysioNet, directory=str(real_data / "mitdb/original"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(download, "PN_CONTENT_URL", f"{address}/content/")
        monkeypatch.setattr(download.config, "db_index_url", f"{address}/files/")
        monkeypatch.setattr(mitdb, "RECORDS", ("100", "208"))
        mitdb.fetch(tmp_path, silent)
    finally:
        server.shutdown()
        server.server_close()
    for name in ("100.hea", "100.dat", "208.dat", "208.atr"):
        assert (tmp_path / name).read_bytes() == (real_data / "mitdb/original" / name).read_bytes()


def test_without_files_and_network_the_caller_learns_to_use_a_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from wfdb.io import download

    monkeypatch.setattr(download, "PN_CONTENT_URL", "http://127.0.0.1:9/content/")
    with pytest.raises(data.DataNotFound, match=r"could not be downloaded .* 100\.hea"):
        data.load("mitdb", cache=tmp_path)
