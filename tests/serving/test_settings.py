"""Settings are read from a file, and an error in the file is described in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.serving.settings import load_settings


def test_load_settings_reads_the_file_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "serve.yaml"
    monkeypatch.setenv("EXVAD_SERVE", str(path))
    with pytest.raises(ValueError, match=r"serve\.yaml \(named by EXVAD_SERVE\) does not exist"):
        load_settings()
    path.write_text("clip: {max_replicas: 2}\nurl_networks: [10.1.0.0/16]\n")
    assert load_settings().clip.max_replicas == 2
    path.write_text("# no settings\n")
    assert load_settings() == load_settings(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("maxwaiting: 2", r"there is no setting 'maxwaiting': did you mean 'max_waiting'\?$"),
        ("clip: {gpu: 1}", r"there is no setting 'clip\.gpu': did you mean 'gpus'\?$"),
        ("weather: fine", "there is no setting 'weather'$"),
        ("clip: {min_replicas: 3, max_replicas: 2}", "clip: max_replicas is smaller than min_re"),
        ("analyst: {concurrency: 0}", r"analyst\.concurrency: .*greater than or equal to 1"),
        ("url_networks: [10.1.2.3/16]", r"url_networks: 10\.1\.2\.3/16 has host bits set"),
        ("database: postgresql://there/exvad", "PostgreSQL is not"),
        ("just words", "write one `setting: value` per line"),
        ("a: [", "not YAML"),
    ],
)
def test_load_settings_describes_an_error_in_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "serve.yaml"
    path.write_text(text + "\n")
    with pytest.raises(ValueError, match=message) as refused:
        load_settings(str(path))
    assert str(refused.value).startswith(str(path))


def test_load_settings_names_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"serve\.yaml: not YAML"):
        load_settings(str(path))
    with pytest.raises(ValueError, match="can't be read"):
        load_settings(str(tmp_path))
