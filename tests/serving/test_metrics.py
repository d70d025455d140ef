from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from serving.metrics import FILE_BYTES, FILES, MULTIPROCESS_VARIABLE, SECONDS, BulkHistogram, Metrics, reserve_space


def test_many_values_at_once_count_as_each_of_them() -> None:
    values = [0.0, 0.0005, 0.000501, 0.003, 0.003, 7.0, 99.0, *SECONDS]
    texts = []
    for many in (True, False):
        registry = CollectorRegistry()
        histogram = BulkHistogram("s", "s", ["route"], buckets=SECONDS, registry=registry)
        child = histogram.labels("/x")
        if many:
            child.observe_many(values)
        else:
            for value in values:
                child.observe(value)
        texts.append([line for line in generate_latest(registry).decode().splitlines() if "_created" not in line])
    assert texts[0] == texts[1]
    assert 's_bucket{le="0.0005",route="/x"} 3.0' in texts[0]


def test_noted_requests_are_counted_when_somebody_asks() -> None:
    metrics = Metrics()
    for status in (200, 200, 503):
        metrics.note_request("/predict", status, 0.001)
    text = metrics.render().decode()
    assert 'fewlabel_requests_total{route="/predict",status="200"} 2.0' in text
    assert 'fewlabel_requests_total{route="/predict",status="503"} 1.0' in text
    assert 'fewlabel_request_seconds_count{route="/predict"} 3.0' in text
    assert metrics.render().decode() == text


def test_a_model_may_have_any_name() -> None:
    metrics = Metrics()
    metrics.set_model('Äpfel "neu"\\\n@0', "CPU")
    (line,) = [line for line in metrics.render().decode().splitlines() if line.startswith("fewlabel_model_info{")]
    assert line == r'fewlabel_model_info{model="Äpfel \"neu\"\\\n@0",provider="CPU"} 1.0'


def test_a_workers_files_have_their_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MULTIPROCESS_VARIABLE, str(tmp_path))
    reserve_space()
    reserve_space()
    files = list(tmp_path.iterdir())
    assert len(files) == len(FILES)
    assert all(512 * file.stat().st_blocks >= file.stat().st_size == FILE_BYTES for file in files)


def test_a_folder_without_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MULTIPROCESS_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match=r"the metrics have no room: .*nowhere"):
        reserve_space()
