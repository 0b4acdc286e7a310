"""Users' own arrays, files and folders: what becomes of them, and what is said of bad ones."""

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data.own import registry
from jaxrobust.errors import InputError

RANDOM = np.random.default_rng(0)
SERIES = RANDOM.normal(size=(60, 80, 5))
LABELS = np.arange(60) % 3


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_ids", {})
    monkeypatch.setattr(registry, "_said", set())


def refused(train, message, **more):
    with pytest.raises(InputError, match=message) as caught:
        data.register("bad", train, **more)
    assert str(caught.value).count("\n") == 0


def test_arrays_are_kept_under_their_digest_and_missing_parts_are_drawn_and_said(caplog):
    name = data.register("mine", (SERIES, LABELS), classes=("a", "b", "c"))
    assert name.startswith("mine@")
    assert "validation and test drawn from the training data with seed 0" in caplog.text
    loaded = data.load(name)
    assert [len(loaded.train), len(loaded.validation), len(loaded.test)] == [42, 6, 12]
    assert loaded.train.inputs.dtype == np.float32
    assert isinstance(loaded.train.inputs, np.memmap)
    assert loaded.train.counts(3) == (14, 14, 14)
    assert loaded.classes == ("a", "b", "c")
    assert "drawn from the training data" in loaded.source
    kept = np.concatenate([loaded.train.inputs, loaded.validation.inputs, loaded.test.inputs])
    assert len(np.unique(kept[:, 0, 0])) == 60  # no sample in two parts


def test_the_digest_is_that_of_the_numbers():
    first = data.register("one", (SERIES, LABELS))
    assert data.register("one", (SERIES.copy(), LABELS)) == first == data.identify("one")
    assert data.register("other", (SERIES, LABELS)).split("@")[1] == first.split("@")[1]
    assert data.register("third", (SERIES + 1, LABELS)).split("@")[1] != first.split("@")[1]
    registry._ids.clear()  # a worker process: only the name with the digest
    assert len(data.load(first).train) == 42
    with pytest.raises(InputError, match="no data set 'one'"):
        data.load("one")


def test_all_parts_as_given():
    part = (SERIES[:9], LABELS[:9])
    loaded = data.load(data.register("mine", part, validation=part, test=(SERIES[:4], LABELS[:4])))
    assert len(loaded.test) == 4
    assert loaded.source == "mine"
    assert loaded.classes == ("0", "1", "2")


@pytest.mark.parametrize("kind", [bool, np.int16, np.uint8])
def test_events_may_be_bool_or_whole_numbers(kind):
    events = RANDOM.integers(0, 2, (20, 10, 3)).astype(kind)
    loaded = data.load(data.register("events", (events, LABELS[:20])))
    assert set(np.unique(loaded.train.inputs)) == {0.0, 1.0}


def test_pixels_of_eight_bits_become_fractions():
    images = np.full((20, 16, 16, 1), 255, np.uint8)
    assert data.load(data.register("images", (images, LABELS[:20]))).train.inputs.max() == 1.0


def test_words_are_classes_and_numbers_with_fractions_are_targets():
    words = data.load(data.register("words", (SERIES, np.array(["b", "a", "c"])[LABELS])))
    assert words.classes == ("a", "b", "c")
    targets = data.load(data.register("targets", (SERIES, SERIES[:, :2, 0])))
    assert targets.is_regression
    assert targets.n_outputs == 2


def test_padding_is_marked_and_not_looked_at():
    padded = SERIES.copy()
    padded[0, 50:] = np.nan
    lengths = np.full(60, 80)
    lengths[0] = 50
    part = (padded[:30], LABELS[:30])
    loaded = data.load(
        data.register(
            "mine", part, part, part, lengths=dict.fromkeys(("train", "validation", "test"), lengths[:30])
        )
    )
    assert loaded.has_lengths
    assert loaded.train.inputs.shape == (30, 80, 6)
    assert loaded.train.inputs[0, :, 5].sum() == 50
    assert np.abs(loaded.train.inputs[0, 50:]).max() == 0


@pytest.mark.parametrize(
    ("labels", "padding"),
    [
        (np.arange(60 * 80).reshape(60, 80) % 3, -1),
        (np.array(["a", "b", "c"])[np.arange(60 * 80).reshape(60, 80) % 3], -1),
        (RANDOM.normal(size=(60, 80, 2)), np.nan),
    ],
)
def test_labels_per_step_end_with_the_sequence(labels, padding):
    lengths = np.where(np.arange(60) % 2, 80, 50)
    bad = labels.copy()
    bad[0, 50:] = "z" if labels.dtype.kind == "U" else -7 if labels.dtype.kind == "i" else np.inf
    loaded = data.load(data.register("steps", (SERIES, bad), lengths={"train": lengths}))
    for part in (loaded.train, loaded.validation, loaded.test):
        is_padding = part.inputs[..., -1] == 0
        assert is_padding.any()
        np.testing.assert_array_equal(part.labels[is_padding], padding)
        assert np.isfinite(part.labels[~is_padding]).all()
        assert part.labels[~is_padding].min() > padding if padding == -1 else True
    assert loaded.n_outputs == (2 if loaded.is_regression else 3)
    assert loaded.has_steps != loaded.is_regression
    bad[0, 49] = bad[0, 50]
    refused((SERIES, bad), "name the class 'z'|reach from -7|must be finite", lengths={"train": lengths},
            **{} if loaded.is_regression else {"classes": ("a", "b", "c")})  # fmt: skip


def test_groups_are_not_divided():
    groups = np.arange(60) // 6
    loaded = data.load(
        data.register("mine", (SERIES, np.zeros(60, int)), groups={"train": groups}, classes=("a", "b"))
    )
    parts = [set(np.asarray(part.groups).tolist()) for part in (loaded.train, loaded.validation, loaded.test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 10


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:, None], r"a column \(60, 1\): give labels\[:, 0\]"),
        (np.eye(3, dtype=int)[LABELS], r"one-hot .*argmax\(axis=1\)"),
        (np.eye(3)[LABELS], r"one-hot .*argmax\(axis=1\)"),
        (LABELS - 1, "reach from -1 to 1"),
        (LABELS[:50], "60 inputs but 50 labels"),
        (LABELS.reshape(20, 3), "60 inputs but 20 labels"),
        (LABELS * 1j, "give whole numbers"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    refused((SERIES, labels), message)


def test_other_bad_input_is_refused():
    refused((SERIES, LABELS), "reach from 0 to 2, but there are 2 classes", classes=("a", "b"))
    refused((SERIES, LABELS * 1.0), "targets of a regression", classes=("a", "b", "c"))
    refused((np.where(SERIES > 2, np.nan, SERIES), LABELS), "not finite in .* samples, the first is")
    refused((SERIES, LABELS), r"Samples of test have shape \(79, 5\)", test=(SERIES[:, 1:], LABELS))
    refused(
        (SERIES, LABELS),
        "lengths are given for some parts",
        lengths={"train": LABELS + 1},
        test=(SERIES, LABELS),
    )
    refused((SERIES, LABELS), "lengths of train reach from 0 to 2", lengths={"train": LABELS})
    refused((SERIES, LABELS), "lengths of train are float64", lengths={"train": LABELS + 1.0})
    targets = {"lengths": {"train": np.full(60, 70)}}
    refused((SERIES, SERIES[..., 0]), r"give \(n, time, targets\), \(60, 80, 1\) for one", **targets)
    with pytest.raises(InputError, match="'mnist' already"):
        data.register("mnist", (SERIES, LABELS))
    data.register("mine", (SERIES, LABELS))
    with pytest.raises(InputError, match="'mine' already, of other arrays"):
        data.register("mine", (SERIES + 1, LABELS))


def test_an_npz_file_is_a_data_set(tmp_path):
    path = tmp_path / "my series.npz"
    np.savez(
        path,
        train_inputs=SERIES,
        train_labels=LABELS,
        test_inputs=SERIES,
        test_labels=LABELS,
        classes=list("abc"),
    )
    loaded = data.load(str(path))
    assert loaded.name == "my_series"
    assert loaded.classes == ("a", "b", "c")
    assert len(loaded.test) == 60
    assert data.identify(str(path)).startswith("my_series@")


def test_a_file_that_is_written_again_and_one_of_the_same_name_are_other_data(tmp_path):
    (tmp_path / "other").mkdir()
    names = []
    for path, inputs in (("a.npz", SERIES), ("a.npz", SERIES + 1), ("other/a.npz", SERIES + 2)):
        np.savez(tmp_path / path, train_inputs=inputs, train_labels=LABELS)
        names.append(data.identify(str(tmp_path / path)))
    assert len(set(names)) == 3
    assert {name.partition("@")[0] for name in names} == {"a"}


def test_files_that_are_not_what_their_names_say(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "names.npz", x=SERIES)
    np.savez(tmp_path / "half.npz", train_inputs=SERIES)
    for name, message in (
        ("text.npz", "is not what its name says"),
        ("names.npz", "name arrays train_inputs, train_labels"),
        ("half.npz", "needs both train_inputs and train_labels"),
        ("none.npz", "There is no file or folder"),
    ):
        with pytest.raises(InputError, match=message):
            data.load(str(tmp_path / name))


def test_a_folder_of_images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros(0, np.uint8)
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(10):
            pixels = RANDOM.integers(0, 256, (8, 6, 3), np.uint8)
            image.fromarray(pixels).save(tmp_path / "pets" / name / f"{i}.png")
    loaded = data.load(str(tmp_path / "pets"))
    assert loaded.classes == ("cats", "dogs")
    assert loaded.train.inputs.shape == (14, 8, 6, 3)
    image.fromarray(pixels[:4]).save(tmp_path / "pets" / "dogs" / "small.png")
    with pytest.raises(InputError, match="resize all images"):
        data.load(str(tmp_path / "pets"))
    (tmp_path / "pets" / "dogs" / "small.png").write_text("no image")
    with pytest.raises(InputError, match="is not what its name says"):
        data.load(str(tmp_path / "pets"))


def test_images_of_more_bits_keep_their_range(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.linspace(0, 65535, 20, dtype=np.uint16).reshape(4, 5)
    for name in ("low", "high"):
        (tmp_path / "deep" / name).mkdir(parents=True)
        for i in range(10):
            image.fromarray(pixels).save(tmp_path / "deep" / name / f"{i}.png")
    loaded = data.load(str(tmp_path / "deep"))
    np.testing.assert_allclose(loaded.train.inputs[0, ..., 0], pixels / 65535, atol=1e-6)


def test_a_folder_of_words_of_any_rate_channels_and_length(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for word, rate, shape in (("yes", 8000, (8000,)), ("no", 44100, (2 * 44100, 2))):
        (tmp_path / "words" / word).mkdir(parents=True)
        for i in range(10):
            soundfile.write(tmp_path / "words" / word / f"{i}.wav", 0.1 * RANDOM.normal(size=shape), rate)
    loaded = data.load(str(tmp_path / "words"))
    assert loaded.classes == ("no", "yes")
    assert loaded.train.inputs.shape == (21, 98, 40)  # 7 files of two windows, 7 of one
    (tmp_path / "words" / "yes" / "x.wav").write_text("no sound")
    with pytest.raises(InputError, match="is not what its name says"):
        data.load(str(tmp_path / "words"))


def test_heartbeats_of_records_of_any_rate_and_name(tmp_path):
    wfdb = pytest.importorskip("wfdb")
    for name, rate in (("patient_a", 250), ("patient_b", 360), ("patient_c", 250)):
        signal = RANDOM.normal(size=(20 * rate, 3))
        wfdb.wrsamp(name, fs=rate, units=["mV"] * 3, sig_name=["I", "II", "V1"], p_signal=signal,
                    fmt=["16"] * 3, write_dir=str(tmp_path))  # fmt: skip
        at = np.arange(1, 20) * rate
        wfdb.wrann(name, "qrs", at, symbol=["N", "V"] * 9 + ["N"], write_dir=str(tmp_path))
    symbols = {"N": "normal", "V": "ventricular"}
    name = data.register_beats(
        "beats", tmp_path, ["patient_a"], ["patient_b"], ["patient_c"], symbols=symbols, rate=100.0,
        n_steps=64, annotator="qrs", leads=(0, 2),
    )  # fmt: skip
    loaded = data.load(name)
    assert loaded.classes == ("normal", "ventricular")
    assert loaded.train.inputs.shape == (19, 64, 2)
    assert loaded.train.counts(2) == (10, 9)
    with pytest.raises(InputError, match="cannot be read"):
        data.register_beats("more", tmp_path, ["patient_x"], symbols=symbols)


@pytest.mark.data
@pytest.mark.parametrize("form", ["flac", "original"])
def test_heartbeats_of_records_as_they_are_published(form, real_data):
    loaded = data.load(
        data.register_beats(
            f"mit_{form}", real_data / "mitdb" / form, ["100"], ["208"], ["208"],
            symbols={"N": "normal", "V": "ventricular"}, rate=128.5, n_steps=80,
        )
    )  # fmt: skip
    assert loaded.train.inputs.shape[1:] == (80, 2)
    assert len(loaded.train) > 2200
    assert loaded.test.counts(2)[1] > 900  # record 208 is full of them
    np.testing.assert_allclose(loaded.test.inputs.mean(axis=1), 0, atol=1e-4)
