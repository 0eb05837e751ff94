"""The commands as people and programs meet them: output, messages, exit statuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import chain, count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import trashbin
from tests.support_cli import call, spawn
from trashbin import bench, classify, resources
from trashbin.__main__ import main as started
from trashbin.cli import main
from trashbin.decision import decide
from trashbin.errors import BrokerError, StoreError
from trashbin.model import manifest
from trashbin.model.tflite import TFLiteClassifier
from trashbin.scenes import folders
from trashbin.types import Prediction, Thresholds

LINE_KEYS = [
    *("file", "label", "second", "top1", "top2", "gap", "familiarity", "decision", "reason"),
    "scores",
]
RULES = Thresholds(gap=0.3, top1=0.4)
FIGURE_KEYS = [
    *("images", "accuracy", "accuracy_ci95", "coverage", "acted", "acted_wrong"),
    *("selective_risk", "classes", "confusion", "unknown"),
]
DEMO = resources.root() / "config" / "demo.yaml"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.jpg"
    file.write_text("no picture at all", encoding="utf-8")
    return file


# ------------------------------------------------------------------ help and errors


def test_help_loads_neither_opencv_nor_numpy_nor_a_runtime() -> None:
    code = (
        "import sys; from trashbin.cli import main\n"
        "try: main(['classify', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    heavy = ("cv2", "numpy", "ai_edge_litert", "tflite_runtime", "pydantic", "rich", "paho")
    assert "'click'" in loaded
    assert not [name for name in (*heavy, "gpiozero", "picamera2") if f"'{name}'" in loaded]


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"trashbin {command}" in result.output, "an example"
    assert "3  device or broker unreachable" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_the_six_commands_and_the_version() -> None:
    assert {"run", "demo", "classify", "evaluate", "check-config", "bench"} <= set(main.commands)
    assert call("--version").output == f"trashbin, version {trashbin.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["sort"],
        ["classify"],
        ["classify", "--gap", "2", "x.png"],
        ["run"],
        ["evaluate", "nowhere"],
        ["evaluate", "--model", "trashnet-mobilenetv3-large", "--model", "another", "."],
        ["calibrate", "--risk", "nan", "."],
        ["calibrate", "--confidence", "nan", "."],
        ["demo", "--seed", "-1"],
        ["simulate", "--rate", "nan"],
        ["bench", "--idle", "nan"],
        ["events", "--limit", "9" * 20],
        ["teach", "--back", "--dry-run"],
        ["bench", "--report", "--json"],
        ["bench", "--report", "--model", "trashnet-mobilenetv3-large", "--model", "another"],
        ["bench", "--counts", "--model", "trashnet-mobilenetv3-large", "--model", "another"],
    ],
)
def test_bad_usage_is_told_with_status_2(arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.output and "Traceback" not in result.output


@pytest.mark.parametrize("command", ["calibrate .", "teach", "export-labels labels"])
def test_that_two_ways_to_a_store_are_given_is_told_before_what_is_wrong_with_one(
    command: str,
) -> None:
    result = call(*command.split(), "--config", "no.yaml", "--store", "nowhere")
    assert result.exit_code == 2 and "give one" in result.output


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (BrokerError("no broker at localhost:1883"), 3, "trashbin: no broker at localhost:1883\n"),
        (StoreError("disk full"), 3, "trashbin: disk full\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_our_errors_and_ctrl_c_end_without_a_traceback(
    picture: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, told: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(classify, "run", fail)
    result = call("classify", picture)
    assert (result.exit_code, result.output) == (status, told)


def test_a_bug_is_not_hidden(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "run", lambda *_, **__: {}["a bug"])
    assert isinstance(call("classify", picture).exception, KeyError)


# ------------------------------------------------------------------ classify


def test_turned_views_that_disagree_make_an_answer_ambiguous() -> None:
    views = [Prediction({"glass": share, "paper": 1 - share}) for share in (0.9, 0.45, 0.45)]
    said = classify.explanation(decide(views, RULES), RULES)
    assert (
        said == "ambiguous: glass or paper (turned, it looks like another; gap 0.20, needed 0.30)"
    )


def test_classify_tells_people_class_confidence_shares_and_whether_it_is_ambiguous(
    picture: Path,
) -> None:
    result = call("classify", picture)
    assert result.exit_code == 0
    assert result.output.startswith(f"{picture}\n") or str(picture) in result.output.replace(
        "\n", ""
    )
    assert "relative confidence" in result.output and "ambiguous" in result.output
    assert all(label in result.output for label in resources.labels())
    assert "\x1b" not in result.output


def test_classify_does_the_rest_after_a_bad_file(picture: Path, text: Path, tmp_path: Path) -> None:
    files = [picture, text, tmp_path, tmp_path / "none.png", picture]
    result = call("classify", "--json", *files)
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert [line["file"] for line in lines] == [str(file) for file in files]
    assert [list(line) for line in lines] == [LINE_KEYS, *[["file", "error"]] * 3, LINE_KEYS]
    assert lines[0] == lines[-1]
    told = [line["error"] for line in lines[1:4]]
    assert ["is no picture" in told[0], "is a folder" in told[1], "no such file" in told[2]]


def test_what_may_not_be_read_is_told_by_who_reads_it_and_no_bad_usage(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may read anything
    locked = tmp_path / "locked.png"
    locked.touch()
    real = Path.open

    def opened(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == locked.name:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    done = call("classify", "--json", locked, picture)
    refused, told = (json.loads(line) for line in done.stdout.splitlines())
    assert (done.exit_code, list(told)) == (1, LINE_KEYS)
    assert refused["error"].endswith("locked.png: cannot be read (Permission denied)")
    [mistake] = json.loads(call("check-config", "--json", locked).stdout)
    assert mistake["found"] == "no readable file (Permission denied)"


def test_what_classify_says_is_one_decision(picture: Path) -> None:
    line = json.loads(call("classify", "--json", picture).output)
    ranked = sorted(line["scores"].items(), key=lambda item: -item[1])
    assert list(line["scores"]) == list(resources.labels())
    assert (line["label"], line["top1"]) == ranked[0]
    assert (line["second"], line["top2"]) == ranked[1]
    assert line["gap"] == line["top1"] - line["top2"]


def test_options_stand_above_the_configuration_and_that_above_the_manifest(
    picture: Path, tmp_path: Path
) -> None:
    def reason(*options: object) -> str:
        return str(json.loads(call("classify", "--json", *options, picture).output)["reason"])

    config = tmp_path / "strict.yaml"
    demo = DEMO.read_text(encoding="utf-8")
    assert "\nrules:" not in demo
    config.write_text(f"{demo}\nrules:\n  gap: 1.0\n", encoding="utf-8")
    free = ("--gap", 0, "--top1", 0, "--familiarity", 0)
    assert reason(*free) == "clear"
    assert reason("--config", config, "--familiarity", 0) == "low_gap"
    assert reason("--config", config, *free) == "clear"
    assert reason("--config", config, "--gap", 0, "--top1", 1, "--familiarity", 0) == "low_top1"


def test_a_picture_is_judged_by_as_many_views_as_the_bin_has_frames(
    picture: Path, tmp_path: Path
) -> None:
    config = tmp_path / "trashbin.yaml"
    demo = DEMO.read_text(encoding="utf-8")
    found = []
    for burst in (1, 3):
        text = demo.replace("\nlook:\n", f"\nlook:\n  burst: {burst}\n")
        config.write_text(text, encoding="utf-8")
        found.append(call("classify", "--json", "--config", config, picture).output)
    assert found[1] == call("classify", "--json", picture).output != found[0]


def test_a_model_is_taken_by_name_variant_or_file(picture: Path, tmp_path: Path) -> None:
    shipped = manifest.find()
    for name in (shipped.path.name, "manifest.json", "familiarity.npz"):
        shutil.copy(shipped.path.parent / name, tmp_path)
    names = [shipped.manifest.name, shipped.manifest.name + ":int8", tmp_path / shipped.path.name]
    lines = {call("classify", "--json", "--model", name, picture).output for name in names}
    assert len(lines) == 1


def test_an_unfit_model_is_one_message_and_status_2(picture: Path, tmp_path: Path) -> None:
    shipped = manifest.find()
    (tmp_path / shipped.path.name).write_bytes(shipped.path.read_bytes()[:-1])
    shutil.copy(shipped.path.parent / "manifest.json", tmp_path)
    done = spawn("classify", "--model", tmp_path / shipped.path.name, picture)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("trashbin: ") and "torn" in done.stderr
    assert done.stderr.count("\n") == 1


# ------------------------------------------------------------------ evaluate


def test_evaluate_measures_folders_and_reports_what_it_left_out(
    picture: Path, text: Path, tmp_path: Path
) -> None:
    label = json.loads(call("classify", "--json", picture).output)["label"]
    other = next(name for name in resources.labels() if name != label)
    root = tmp_path / "photographs"
    for name in (label, other, "unknown", "carboard"):
        (root / name).mkdir(parents=True)
        shutil.copy(picture, root / name / "a.png")
    shutil.copy(text, root / label)
    any_share = ("--gap", 0, "--top1", 0, "--familiarity", 0)
    result = call("evaluate", "--json", *any_share, root)
    assert result.exit_code == 1
    figures = json.loads(result.stdout)
    assert list(figures) == FIGURE_KEYS
    assert (figures["images"], figures["accuracy"], figures["acted_wrong"]) == (2, 0.5, 1)
    assert figures["unknown"] == {"images": 1, "acted": 1, "auroc": 0.5}
    assert figures["confusion"][other][label] == 1
    assert "did you mean cardboard?" in result.stderr and "text.jpg: is no picture" in result.stderr

    shutil.rmtree(root / "carboard")
    (root / label / "text.jpg").unlink()
    people = call("evaluate", "--wrong", root)
    assert people.exit_code == 0
    assert "Accuracy 50.0% on 2 pictures" in people.output
    assert f"{root / other / 'a.png'}: taken for {label}" in people.output.replace("\n", "")
    assert str(root / "unknown") not in people.output, "of no class, and so taken for none wrongly"
    [wrong] = json.loads(call("evaluate", "--json", "--wrong", root).stdout)["wrong"]
    assert list(wrong) == ["file", "truth", "label", "gap", "decision"]
    assert list(wrong.values())[:3] == [str(root / other / "a.png"), other, label]


def test_evaluate_looks_closely_beside_pictures_of_the_empty_trays(tmp_path: Path) -> None:
    folders.link(tmp_path)
    close = json.loads(call("evaluate", "--json", tmp_path).stdout)
    (tmp_path / "empty" / "broken.jpg").write_text("no picture")
    told = call("evaluate", "--json", tmp_path)
    assert told.exit_code == 1 and "empty/broken.jpg: is no picture" in told.stderr
    assert json.loads(told.stdout) == close, "the others are used"
    shutil.rmtree(tmp_path / "empty")
    whole = json.loads(call("evaluate", "--json", tmp_path).stdout)
    assert close["images"] == whole["images"] == 24
    assert close["accuracy"] > whole["accuracy"]


def test_evaluate_of_no_picture_is_told_and_no_success(tmp_path: Path) -> None:
    (tmp_path / "glass").mkdir()
    result = call("evaluate", "--json", tmp_path)
    assert result.exit_code == 1 and "no picture to measure" in result.stderr
    assert json.loads(result.stdout)["images"] == 0
    assert call("evaluate", tmp_path).stdout == "", "no table of dashes"


def test_evaluate_without_labels_folders_is_bad_usage(tmp_path: Path) -> None:
    result = call("evaluate", tmp_path)
    assert result.exit_code == 2
    assert "has no folder named cardboard" in result.output


# ------------------------------------------------------------------ check-config, bench


def test_check_config_says_good_and_what_is_described() -> None:
    result = call("check-config", DEMO)
    assert result.exit_code == 0
    assert f"{DEMO}: good" in result.output and "camera: simulated" in result.output
    assert json.loads(call("check-config", "--json", DEMO).output) == []


def test_check_config_tells_every_mistake_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "version: 1\ndevice: {id: a b}\ncamera: {kind: none}\nfoo: 1\n", encoding="utf-8"
    )
    result = call("check-config", "--json", file)
    assert result.exit_code == 2
    mistakes = json.loads(result.output)
    assert len(mistakes) >= 4
    assert {tuple(mistake) for mistake in mistakes} == {
        ("line", "key", "found", "expected", "suggestion", "message")
    }
    people = call("check-config", file)
    assert people.exit_code == 2
    assert all(mistake["key"] in people.output for mistake in mistakes)


def test_commands_refuse_a_configuration_with_mistakes(picture: Path, tmp_path: Path) -> None:
    result = call("classify", "--config", tmp_path / "none.yaml", picture)
    assert result.exit_code == 2
    assert result.output.startswith("trashbin: ") and "none.yaml" in result.output


def test_bench_with_one_model_is_that_models_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = bench.Way(items=10, frames=3, total_ms=8.0, exposure_ms=5.0, bare_ms=2.0, commit_ms=1.0)
    monkeypatch.setattr(bench, "way", lambda classifier, items: found)
    monkeypatch.setattr(bench, "start", lambda: None)
    monkeypatch.setattr(bench, "measure", lambda classifiers, runs: [{"runs": runs}])
    assert bench.run([cast(Any, None)], 12, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["trigger_to_actuation"]["ratio_over_limit"] == pytest.approx(8.0 / 8.3)
    del told["trigger_to_actuation"]
    assert told == {"runs": 12, "cold_start_s": None, "start": None, "idle": None}


def test_bench_tells_of_each_model_its_own_way_to_the_actuation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def way(classifier: float, items: int) -> bench.Way:
        return bench.Way(items, 3, classifier, exposure_ms=5.0, bare_ms=2.0, commit_ms=1.0)

    monkeypatch.setattr(bench, "way", way)
    monkeypatch.setattr(bench, "start", lambda: None)
    monkeypatch.setattr(bench, "measure", lambda classifiers, runs: [{} for _ in classifiers])
    assert bench.run([cast(Any, 7.0), cast(Any, 9.0)], 12, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)["models"]
    assert [each["trigger_to_actuation"]["total_ms"] for each in told] == [7.0, 9.0]


def test_bench_tells_what_it_has_where_a_single_turn_was_calm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calm, disturbed = [0] * 4, count()  # looked at before and after each half of a turn
    monkeypatch.setattr(bench, "_preemptions", chain(calm, disturbed).__next__)
    [told] = bench.measure([TFLiteClassifier(manifest.find())], 10)
    assert (told["runs"], told["disturbed"]) == (1, 49)
    assert told["stages_ms"]["total"]["p95"] >= told["stages_ms"]["total"]["median"] > 0
    found = bench.Way(items=10, frames=3, total_ms=8.0, exposure_ms=5.0, bare_ms=2.0, commit_ms=1.0)
    bench.show([told], [found], bench.Whole(None, None))
    assert "1 runs, 49 disturbed\nA busy machine" in capsys.readouterr().out


def test_ctrl_c_while_its_modules_are_read_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str, *_: object) -> None:
        if name == "trashbin.cli":
            raise KeyboardInterrupt

    finder = SimpleNamespace(find_spec=interrupted)
    monkeypatch.delitem(sys.modules, "trashbin.cli")
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        started()
    assert ended.value.code == 130
