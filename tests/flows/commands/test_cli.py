"""What stops everything is one sentence with a remedy on stderr, and exit status 2."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
import yaml

import sonic_ops
from flows.cli import app, main
from flows.rows.config import RenderConfig, load_preset
from flows.rows.manifest import Line
from flows.rows.rows import Row, parse_row
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.presets import preset_names
from tests.flows.conftest import REPOSITORY, Cells, WriteManifest

Sonic = Callable[..., tuple[object, str, str]]


@pytest.fixture
def sonic(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sonic:
    """Runs the command line in this process; exit status, stdout, stderr."""

    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["sonic", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def weightless(tmp_path: Path) -> str:
    path = tmp_path / "weightless.yaml"
    path.write_text(f"models: {{weights: {tmp_path}}}")
    return str(path)


@pytest.fixture
def preset(tmp_path: Path) -> str:
    """A preset with a weights folder, which nothing here gets as far as loading."""
    (tmp_path / "weights" / "unet").mkdir(parents=True)
    (tmp_path / "weights" / "unet" / "config.json").write_text("{}")
    path = tmp_path / "preset.yaml"
    path.write_text(f"models: {{weights: {tmp_path}/weights}}")
    return str(path)


def commands(group: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    """All commands, by how they are called."""
    for name, command in (group or typer.main.get_group(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_help_shows_two_examples_that_the_command_takes(
    sonic: Sonic, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    status, text, _ = sonic(*name.split(), "--help")
    assert status == 0
    examples = re.findall(rf"^ +sonic {name}( .*|$)", text, re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        dict(commands())[name].make_context(name, shlex.split(example))


def test_help_says_the_exit_status(sonic: Sonic) -> None:
    text = " ".join(sonic("--help")[1].split())
    assert all(said in text for said in ("0 every row", "1 some", "2 nothing", "130 stopped"))


def test_help_loads_nothing_that_takes_long() -> None:
    told = "import sys, flows.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    arguments = [sys.executable, "-c", told]
    loaded = subprocess.run(
        arguments, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "typer" in loaded
    assert not {"numpy", "pydantic", "pyarrow", "fsspec", "torch", "prefect", "ray"} & set(loaded)


def test_the_driver_imports_no_networks_and_no_librosa() -> None:
    """Each takes seconds, which workers and the report spend while the driver goes on."""
    told = "import sys, flows.pipeline.launch, flows.pipeline.prefect_flows; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", told], check=True, capture_output=True, text=True
    ).stdout.split()
    assert {"diffusers", "transformers", "librosa", "numba"}.isdisjoint(found)


def test_a_manifest_is_required(sonic: Sonic) -> None:
    status, _, problem = sonic("render")
    assert status == 2
    assert "MANIFEST" in problem


def test_the_module_is_the_command() -> None:
    arguments = [sys.executable, "-m", "flows", "render", "nowhere.txt"]
    ran = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("sonic: ")
    assert len(ran.stderr.splitlines()) == 1


def test_unknown_preset(sonic: Sonic, good: Cells, write_manifest: WriteManifest) -> None:
    status, _, problem = sonic("render", write_manifest(good), "--preset", "baroque")
    assert status == 2
    assert problem.startswith("sonic: There is no preset 'baroque'. Use one of lite, ")


def test_preset_without_weights(
    sonic: Sonic, good: Cells, write_manifest: WriteManifest, weightless: str
) -> None:
    status, _, problem = sonic("render", write_manifest(good), "--preset", weightless)
    assert status == 2
    assert "There are no weights in" in problem


def test_missing_manifest(sonic: Sonic, preset: str) -> None:
    status, _, problem = sonic("render", "nowhere.parquet", "--preset", preset)
    assert status == 2
    assert "nowhere.parquet cannot be opened" in problem


def test_missing_column(sonic: Sonic, preset: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,portrait,output\na,b,c.mp4\n")
    status, _, problem = sonic("render", str(tmp_path / "m.csv"), "--preset", preset)
    assert status == 2
    assert "has no column audio" in problem


def test_every_shipped_preset_is_right() -> None:
    assert preset_names() == ["lite", "lite-hd", "sketch", "sketch-fast", "sonic", "sonic-fast"]
    for name in preset_names():
        assert load_preset(name).models.weights


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {weights: w}\nsampling: {stpes: 3}", "sampling.stpes"),
        ("models: {weights: w}\nseed: -1\nworker: 2", "seed"),
        ("{}", "models"),
        ("models: {weights: w}\nprovenance: {key: k.pem}", "key and certificate need each other"),
        ("models: {weights: w}\nprovenance: {label: ''}", "provenance.label"),
        ("models: {weights: w}\nprovenance: {label: KI-Übung}", "provenance.label"),
        (
            "models: {weights: w}\nprovenance: {mark: false, key: k, certificate: c}",
            "what is not marked cannot be signed",
        ),
        ("models: [", "cannot be read"),
        ("- 1", "wrong"),
    ],
)
def test_a_wrong_preset_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml") as caught:
        load_preset(str(tmp_path / "mine.yaml"))
    assert said in str(caught.value)
    assert caught.value.remedy


def test_a_row_speaks_before_the_preset() -> None:
    cells = json.loads('{"id": "a", "portrait": "p", "audio": "s", "output": "o.mp4"}')
    cells |= {"seed": 9, "resolution": 256, "expression": 0, "audio_guidance": 3}
    row = parse_row(Line(1, cells), "/", None)
    assert isinstance(row, Row)
    config = load_preset("sketch").for_row(row)
    assert (config.seed, config.portrait.resolution) == (9, 256)
    assert (config.sampling.expression, config.sampling.audio_guidance) == (0, (3, 3))
    assert config.sampling.head_motion == load_preset("sketch").sampling.head_motion


@pytest.mark.parametrize(
    ("settings", "num_workers", "num_rows"),
    [
        ({"cluster": {"workers": 0}}, 1, 1),
        ({}, 1, 2),
        ({}, 8, 8),
        ({}, 1000, 32),
        ({"rows_in_flight": 50}, 8, 50),
    ],
)
def test_rows_in_flight_follow_the_workers_unless_the_preset_says(
    settings: dict[str, object], num_workers: int, num_rows: int
) -> None:
    config = RenderConfig.model_validate({"models": {"weights": "w"}} | settings)
    assert config.num_rows_in_flight(num_workers) == num_rows


def test_a_relative_work_folder_counts_from_here_and_a_url_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for written, read in (("work", str(tmp_path / "work")), ("s3://b/work", "s3://b/work")):
        (tmp_path / "p.yaml").write_text(f"models: {{weights: w}}\nwork: {written}")
        assert load_preset("p.yaml").work == read


def test_clean_says_and_removes(sonic: Sonic, tmp_path: Path) -> None:
    orphan = tmp_path / "out" / ".sonic" / "unknown"
    orphan.mkdir(parents=True)
    (orphan / "sound.wav").write_bytes(bytes(1000))
    status, text, _ = sonic("clean", str(tmp_path))
    assert (status, orphan.exists()) == (0, True)
    assert "to be removed: 1, 1.0 kB" in text
    status, text, _ = sonic("clean", str(tmp_path), "--yes")
    assert (status, orphan.exists()) == (0, False)
    status, _, problem = sonic("clean", str(tmp_path / "nowhere"))
    assert status == 2
    assert problem.startswith("sonic: The manifest ")


def test_a_manifest_of_bad_rows_alone_ends_with_status_1_and_a_table(
    sonic: Sonic, preset: str, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    manifest = write_manifest(good | {"audio": "no.wav"}, good | {"id": "b", "seed": "x"})
    status, text, _ = sonic("render", manifest, "--preset", preset)
    assert status == 1
    assert "2 of 2 rows cannot be rendered:" in text
    assert " (good), column audio: " in text
    assert " (b), column seed: 'x' is not a whole number" in text
    table = pq.read_table(tmp_path / "manifest.results.parquet")
    assert table.column("error_class").to_pylist() == ["MissingFileError", "FieldError"]


@pytest.mark.parametrize(("option", "writes"), [("--preview-only", False), ("--preview", True)])
def test_previews_alone_write_no_results_of_rows(
    sonic: Sonic,
    preset: str,
    good: Cells,
    write_manifest: WriteManifest,
    tmp_path: Path,
    option: str,
    writes: bool,
) -> None:
    manifest = write_manifest(good | {"audio": "no.wav"})
    status, text, _ = sonic("render", manifest, "--preset", preset, "--no-report", option)
    assert status == 1
    assert text.count(" (good), column audio: ") == 1
    assert "no previews: no row is left to render" in text
    assert (tmp_path / "manifest.results.parquet").exists() == writes


def test_validate_checks_as_a_render_does_and_writes_no_table(
    sonic: Sonic, preset: str, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    other = good | {"id": "b", "seed": "x", "output": "b.mp4"}
    manifest = write_manifest(good | {"framng": "full"}, other)
    status, text, _ = sonic("validate", manifest, "--preset", preset)
    assert status == 1
    assert "the column 'framng' is unknown; did you mean 'framing'?" in text
    assert " (b), column seed: 'x' is not a whole number" in text
    assert "2 rows: 1 to render, 0 finished, 1 wrong" in text
    assert not (tmp_path / "manifest.results.parquet").exists()
    status, text, _ = sonic("validate", write_manifest(good), "--preset", preset)
    assert (status, text) == (0, "1 rows: 1 to render, 0 finished, 0 wrong\n")


def test_for_programs_and_logs_what_is_wrong_is_said_in_their_form(
    sonic: Sonic, preset: str, good: Cells, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(good | {"audio": "no.wav"})
    _, text, _ = sonic("render", manifest, "--preset", preset, "--json-lines")
    events = [json.loads(line) for line in text.splitlines()]
    assert {"problem", "message"} == {event["event"] for event in events}
    _, text, _ = sonic("render", manifest, "--preset", preset, "--quiet")
    assert len(text.splitlines()) == 2  # said at once, and not repeated
    assert "no.wav" in text


def test_results_that_cannot_be_written_are_a_sentence(
    sonic: Sonic, preset: str, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    (tmp_path / "manifest.results.parquet").mkdir()
    manifest = write_manifest(good | {"audio": "no.wav"})
    status, text, problem = sonic("render", manifest, "--preset", preset)
    assert status == 1
    assert " (good), column audio: " in text
    assert problem.startswith("sonic: A file could not be read or written ")
    assert len(problem.splitlines()) == 1


def ids_planned(text: str) -> str:
    return text.splitlines()[-1]


def test_rows_are_selected_by_id_number_and_failure(
    sonic: Sonic, preset: str, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    others = [good | {"id": name, "output": str(tmp_path / f"{name}.mp4")} for name in "abc"]
    manifest = write_manifest(*others, good | {"id": "bad", "audio": "no.wav", "output": "x.mp4"})
    run = ("validate", manifest, "--preset", preset)
    status, text, _ = sonic(*run, "--rows", "a,c")
    assert (status, ids_planned(text)) == (
        0,
        "4 rows: 2 to render, 0 finished, 0 wrong, 2 not selected",
    )
    _, text, _ = sonic(*run, "--limit", "1")
    assert "1 to render" in text
    status, _, problem = sonic(*run, "--rows", "a,bda")
    assert status == 2
    assert "There is no row with the id 'bda'. Did you mean 'bad'?" in problem
    status, _, _ = sonic("render", manifest, "--preset", preset, "--no-report", "--rows", "bad")
    assert status == 1
    table = pq.read_table(tmp_path / "manifest.results.parquet").to_pylist()
    assert [row["status"] for row in table] == ["waiting", "waiting", "waiting", "failed"]
    assert [row["notes"] for row in table[:3]] == ["not selected"] * 3
    status, text, _ = sonic(*run, "--only-failed")
    assert (status, ids_planned(text)) == (
        1,
        "4 rows: 0 to render, 0 finished, 1 wrong, 3 not selected",
    )


def test_keys_of_a_preset_are_set_for_one_command(sonic: Sonic) -> None:
    status, text, _ = sonic("presets", "show", "lite", "--set", "sampling.steps=3")
    assert status == 0
    shown = yaml.safe_load(text)
    assert RenderConfig.model_validate(shown) == load_preset("lite", ["sampling.steps=3"])
    assert load_preset("lite", ["sampling.steps=3"]).sampling.steps == 3
    for change, said in (
        ("sampling.stpes=3", "did you mean sampling.steps?"),
        ("sampling.steps", "sets no key"),
        ("sampling.steps=many", "sampling.steps: "),
    ):
        status, _, problem = sonic("presets", "show", "lite", "--set", change)
        assert status == 2
        assert said in problem, problem


def test_presets_are_listed_and_near_names_are_asked_for(sonic: Sonic, tmp_path: Path) -> None:
    _, text, _ = sonic("presets", "list")
    assert [line.split()[0] for line in text.splitlines()] == preset_names()
    _, _, problem = sonic("presets", "show", "scetch")
    assert "Did you mean 'sketch'?" in problem
    (tmp_path / "talks.csv").write_text("id,portrait,audio\na,b,c\n")
    _, _, problem = sonic("render", str(tmp_path / "talk.csv"))
    assert "Did you mean talks.csv?" in problem


def test_the_version_and_short_options(sonic: Sonic) -> None:
    assert sonic("--version")[:2] == (0, f"sonic-render {sonic_ops.__version__}\n")
    for name, _ in commands():
        assert sonic(*name.split(), "-h")[0] == 0


def test_a_report_without_results_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    told = (
        "import sys; sys.argv = ['sonic', 'report', 'm.csv']\n"
        "from flows.cli import main\n"
        "try: main()\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", told], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "There are no results at" in ran.stderr
    assert not {"torch", "cv2", "scipy"} & set(ran.stdout.split())
