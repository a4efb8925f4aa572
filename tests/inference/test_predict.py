"""Prediction from files: what is read, written, kept, and said about what fails."""

import json
import logging
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from models import model_folder, write_image

from segforge import SegForgeError, ensemble, load, predict
from segforge.api.prediction import OutputOptions, PredictionOptions
from segforge.compute.executor_choice import ExecutorChoice
from segforge.dataset.description import read_description
from segforge.errors import CasesFailed
from segforge.evaluation.evaluate import label_files
from segforge.experiment.selection import Candidate, Selection
from segforge.images.files import read_image, read_labels, write_volume
from segforge.images.image import Geometry
from segforge.images.tiff import write as write_tiff
from segforge.inference import predict_folder
from segforge.inference.finished_cases import FinishedCases
from segforge.inference.postprocessing import KeepLargestComponent, Postprocessing
from segforge.inference.probabilities import read_facts


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "results" / "default__test__3d_fullres", folds=("0", "1")).path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(3):
        write_image(tmp_path / "images" / f"case_{number}_0000.nii.gz", seed=number)
    return tmp_path / "images"


def stored(path: Path) -> np.ndarray:
    return read_labels(path).array[0]


def run(images, output: Path, model: Path, **more) -> int:
    return predict(images, output, model=model, device="cpu", **more)


def test_files_arrays_and_images_give_the_same(images: Path, model: Path, tmp_path: Path) -> None:
    assert run(images, tmp_path / "out", model) == 3
    predictor = load(model, device="cpu")
    for number in range(3):
        image = read_image(images / f"case_{number}_0000.nii.gz")
        written = stored(tmp_path / "out" / f"case_{number}.nii.gz")
        assert written.any()
        np.testing.assert_array_equal(predictor.predict_array(image.array, image.geometry.spacing), written)
        labels, probabilities = predictor.predict_array(image.array[0], image.geometry.spacing, probabilities=True)
        np.testing.assert_array_equal(labels, written)
        np.testing.assert_array_equal(np.array([0, 1, 300])[probabilities.argmax(0)], written)
    assert [name for name, _ in predictor.predict_cases([("a", image)])] == ["a"]
    assert len(predictor.networks) == 2


def test_the_geometry_is_the_images(images: Path, model: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "out", model)
    image = nibabel.load(images / "case_0_0000.nii.gz")
    np.testing.assert_array_equal(nibabel.load(tmp_path / "out" / "case_0.nii.gz").affine, image.affine)


@pytest.mark.parametrize("form", ["one file", "files", "json of files", "json of cases", "json of names"])
def test_images_are_named_in_several_ways(form: str, images: Path, model: Path, tmp_path: Path) -> None:
    files = [images / "case_0_0000.nii.gz", images / "case_2_0000.nii.gz"]
    listing, names = tmp_path / "cases.json", ["case_0", "case_2"]
    chosen: object = [listing]
    if form == "one file":
        chosen, names = files[0], ["case_0"]
    elif form == "files":
        chosen = files
    elif form == "json of files":
        listing.write_text(json.dumps([[str(file)] for file in files]))
    elif form == "json of names":
        listing.write_text(json.dumps([f"images/{file.name}" for file in files]))
    else:
        names = ["first", "second"]
        listing.write_text(json.dumps([{"id": name, "images": [str(file)]} for name, file in zip(names, files, strict=True)]))
    assert run(chosen, tmp_path / "out", model) == len(names)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == [f"{name}.nii.gz" for name in names]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "must hold a list of cases"),
        ("[]", "must hold a list of cases"),
        ("[[]]", "case 0 must name its files"),
        ("[[1]]", "case 0 must name its files"),
        ('[{"id": "../x", "images": ["images/case_0_0000.nii.gz"]}]', "no file name"),
        ('["images/case_0_0000.nii.gz", "images/case_0_0000.nii.gz"]', "case_0 twice"),
        ("[", "cases.json"),
    ],
)
def test_a_wrong_list_of_cases_is_refused(content: str, message: str, images: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "cases.json").write_text(content)
    with pytest.raises(SegForgeError, match=message):
        run(tmp_path / "cases.json", tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_missing_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match=r"nothing\.nii\.gz is missing"):
        run([tmp_path / "nothing.nii.gz"], tmp_path / "out", model)


def break_cases(images: Path) -> dict[str, str]:
    """Five cases, each broken in its own way, and what is said of them."""
    for number in range(10, 15):
        write_image(images / f"case_{number}_0000.nii.gz", seed=number)
    packed = (images / "case_10_0000.nii.gz").read_bytes()
    (images / "case_10_0000.nii.gz").write_bytes(packed[: len(packed) // 2])
    (images / "case_11_0000.nii.gz").write_bytes(b"no image")
    whole = read_image(images / "case_12_0000.nii.gz")
    with_nan = whole.array[0].copy()
    with_nan[3, 3, 3] = np.nan
    write_volume(images / "case_12_0000.nii.gz", with_nan, whole.geometry)
    (images / "case_13_0000.nii.gz").write_bytes(b"")
    (images / "case_14_0000.nii.gz").rename(images / "case_14_0001.nii.gz")
    return {"case_10": "", "case_11": "", "case_12": "NaN", "case_13": "", "case_14": "case_14_0000.nii.gz missing"}


def test_a_format_of_planes_is_refused_for_volumes_before_anything_is_predicted(
    images: Path, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(SegForgeError, match=r"case_0_0000\.nii\.gz is a volume, and label maps as \.png are planes\. Choose"):
        run(images, tmp_path / "out", model, written=OutputOptions(format=".png"))
    assert not (tmp_path / "out").exists()


def test_a_plane_may_be_written_in_a_format_of_planes(model: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a_0000.nii.gz", seed=0)
    image = read_image(tmp_path / "images" / "a_0000.nii.gz")
    plane = Geometry((1, *image.geometry.shape[1:]), image.geometry.spacing)
    write_volume(tmp_path / "images" / "a_0000.nii.gz", image.array[0, :1], plane)
    assert run(tmp_path / "images", tmp_path / "out", model, written=OutputOptions(format=".png")) == 1
    assert stored(tmp_path / "out" / "a.png").shape == plane.shape


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_broken_cases_are_named_and_the_others_done(threads: int, images: Path, model: Path, tmp_path: Path) -> None:
    reasons = break_cases(images)
    with pytest.raises(CasesFailed, match="5 of 8 cases failed") as caught:
        run(images, tmp_path / "out", model, written=OutputOptions(threads=threads))
    lines = dict(line.split(": ", 1) for line in str(caught.value).splitlines()[1:])
    assert set(lines) == set(reasons)
    for case, reason in reasons.items():
        assert reason in lines[case]
    record = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert set(record["cases"]) == {"case_0", "case_1", "case_2"}
    assert set(record["failures"]) == set(reasons)
    assert set(record["cases"]["case_0"]["seconds"]) == {"read", "preprocess", "network", "export"}
    assert {"segforge", "torch"} == set(record["versions"])


def test_what_is_done_is_not_done_again_unless_it_changed(images: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(images, out, model)
    (out / "case_0.nii.gz").unlink()
    write_image(images / "case_1_0000.nii.gz", seed=77)
    assert run(images, out, model) == 2
    assert run(images, out, model) == 0
    with pytest.raises(SegForgeError, match="predictions of another model or other settings"):
        run(images, out, model, options=PredictionOptions(mirroring=False))


def test_a_result_of_an_earlier_image_is_named_when_the_new_one_fails(images: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(images, out, model)
    (images / "case_1_0000.nii.gz").write_bytes(b"broken")
    with pytest.raises(CasesFailed, match=r"case_1: .*\(case_1\.nii\.gz there is of an earlier run\)"):
        run(images, out, model)
    record = json.loads((out / "prediction.json").read_text())
    assert set(record["cases"]) == {"case_0", "case_2"}
    assert set(record["failures"]) == {"case_1"}


def test_parts_fill_one_folder_together(images: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(images, out, model, written=OutputOptions(part=(0, 2))) == 2
    assert run(images, out, model, written=OutputOptions(part=(1, 2))) == 1
    assert run(images, out, model) == 0
    assert len(list(out.glob("*.nii.gz"))) == 3
    with pytest.raises(SegForgeError, match="part 2 of 2 does not exist"):
        run(images, out, model, written=OutputOptions(part=(2, 2)))


def test_workers_elsewhere_do_parts_and_what_fails_is_named(images: Path, model: Path, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", ExecutorChoice("segforge.compute.executors:inline")
    (images / "case_1_0000.nii.gz").rename(tmp_path / "case_1_0000.nii.gz")
    (images / "case_1_0000.nii.gz").write_bytes(b"broken")
    with pytest.raises(CasesFailed, match=r"(?s)1 of 3 parts of the cases failed.*part 1 of 3: .*case_1: "):
        run(images, out, model, where=elsewhere)
    assert sorted(path.name for path in out.glob("*.nii.gz")) == ["case_0.nii.gz", "case_2.nii.gz"]
    (tmp_path / "case_1_0000.nii.gz").replace(images / "case_1_0000.nii.gz")
    assert run(images, out, model, where=elsewhere) == 1
    run(images, tmp_path / "here", model)
    for name in ("case_0.nii.gz", "case_1.nii.gz", "case_2.nii.gz"):
        np.testing.assert_array_equal(stored(out / name), stored(tmp_path / "here" / name))
    with pytest.raises(SegForgeError, match="--executor divides the cases by itself, --part by hand"):
        run(images, out, model, where=elsewhere, written=OutputOptions(part=(0, 2)))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0), ("float16", 1e-3), ("uint8", 2e-3)])
def test_probabilities_are_written_as_nnunet_does(dtype: str, tolerance: float, images: Path, model: Path, tmp_path) -> None:
    run(images, tmp_path / "out", model, written=OutputOptions(probabilities=dtype))
    image = read_image(images / "case_0_0000.nii.gz")
    _, expected = load(model, device="cpu").predict_array(image.array, image.geometry.spacing, probabilities=True)
    with np.load(tmp_path / "out" / "case_0.npz") as file:
        assert file.files == ["probabilities"]
        found = file["probabilities"]
    assert found.dtype == dtype
    np.testing.assert_allclose(found / (255 if dtype == "uint8" else 1), expected, atol=tolerance)
    assert read_facts(tmp_path / "out" / "case_0.npz").heads == ("background", "a", "b")
    (tmp_path / "out" / "case_0.npz").unlink()
    assert run(images, tmp_path / "out", model, written=OutputOptions(probabilities=dtype)) == 1
    other = "float16" if dtype == "uint8" else "uint8"
    assert run(images, tmp_path / "out", model, written=OutputOptions(probabilities=other)) == 3


def test_probabilities_of_a_tiff_stack_leave_its_voxel_size_alone(tmp_path: Path) -> None:
    geometry = Geometry((9, 12, 14), (2.0, 1.5, 1.5))
    array = np.random.default_rng(0).normal(100, 30, geometry.shape).astype(np.float32)
    write_tiff(tmp_path / "images" / "case_0000.tif", array, geometry, case="case")
    model = model_folder(tmp_path / "default__test__3d_fullres", description={"file_ending": ".tif"}).path
    run(tmp_path / "images", tmp_path / "out", model, written=OutputOptions(probabilities="float32"))
    assert read_labels(tmp_path / "out" / "case.tif").geometry.spacing == geometry.spacing


def test_logits_that_memory_has_no_room_for_go_to_the_disk(images: Path, model: Path, tmp_path, monkeypatch) -> None:
    run(images, tmp_path / "in_memory", model)
    spilled = []
    real = np.memmap
    monkeypatch.setattr("segforge.inference.spill.np.memmap", lambda *a, **k: spilled.append(1) or real(*a, **k))
    run(images, tmp_path / "on_disk", model, written=OutputOptions(max_memory=1e-6))
    assert len(spilled) == 3
    for path in (tmp_path / "in_memory").glob("*.nii.gz"):
        assert path.read_bytes() == (tmp_path / "on_disk" / path.name).read_bytes()
    assert {path.suffix for path in (tmp_path / "on_disk").iterdir()} == {".gz", ".json"}


@pytest.mark.parametrize("own", ["nnUNetTrainer__nnUNetPlans__3d_fullres", "default__default__3d_fullres"])
def test_nnunets_names_find_models_that_have_them_and_ours(own: str, images: Path, tmp_path: Path) -> None:
    for configuration, name in (("3d_fullres", own), ("3d_fullres", "other__test__3d_fullres")):
        model_folder(tmp_path / "results" / "Dataset900_Phantom" / name, configuration=configuration)
    names = {"plans": "nnUNetPlans", "trainer": "nnUNetTrainer", "dataset": "Dataset900_Phantom"}
    assert predict(images, tmp_path / "out", device="cpu", workspace=tmp_path, **names) == 3
    assert own in json.loads((tmp_path / "out" / "prediction.json").read_text())["model"]


def test_fast_takes_one_fold_and_says_so(images: Path, model: Path, tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO, "segforge")
    fast = PredictionOptions(mirroring=False, step=0.75, one_fold=True)
    run(images, tmp_path / "out", model, options=fast)
    assert "folds 0." in caplog.text
    assert "costs some accuracy" in caplog.text
    one = load(model, folds=[0], mirroring=False, step=0.75, device="cpu")
    image = read_image(images / "case_0_0000.nii.gz")
    expected = one.predict_array(image.array, image.geometry.spacing)
    np.testing.assert_array_equal(stored(tmp_path / "out" / "case_0.nii.gz"), expected)


def test_best_checkpoints_are_used_where_asked_for(images: Path, model: Path, tmp_path: Path) -> None:
    model_folder(model, folds=("0",), checkpoint="checkpoint_best.safetensors", seed=5)
    with pytest.raises(SegForgeError, match=r"no checkpoint_best\.safetensors of fold 1"):
        run(images, tmp_path / "out", model, options=PredictionOptions(checkpoint="best"), folds=[1])
    run(images, tmp_path / "best", model, options=PredictionOptions(checkpoint="best"))
    run(images, tmp_path / "final", model, folds=[0])
    assert (stored(tmp_path / "best" / "case_0.nii.gz") != stored(tmp_path / "final" / "case_0.nii.gz")).any()


def test_the_labels_are_described_beside_the_label_maps(images: Path, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "out" / "dataset.json"
    assert run(images, tmp_path / "out", model) == 3
    assert read_description(path).label_scheme == read_description(model / "dataset.json").label_scheme
    assert sorted(label_files(tmp_path / "out")) == ["case_0", "case_1", "case_2"]
    before = path.stat().st_ino
    assert run(images, tmp_path / "out", model) == 0
    assert path.stat().st_ino == before  # it stays if nothing has changed
    path.write_text("{")
    assert run(images, tmp_path / "out", model) == 0
    assert read_description(path).labels


def test_a_data_sets_own_description_stays_as_it_is(images: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "dataset.json").write_text("mine")
    run(images, tmp_path, model)
    assert (tmp_path / "dataset.json").read_text() == "mine"


def test_machines_that_describe_one_folder_at_once_do_not_fail(images: Path, model: Path, tmp_path: Path, monkeypatch) -> None:
    def taken(path: Path, content: bytes) -> None:
        path.write_bytes(content)  # another machine's
        raise SegForgeError("could not be written")

    monkeypatch.setattr(predict_folder, "write_bytes", taken)
    assert run(images, tmp_path / "out", model) == 3


def test_predictions_are_averaged_without_a_word_about_their_labels(images: Path, model: Path, tmp_path: Path) -> None:
    other = model_folder(tmp_path / "results" / "other__test__3d_fullres", seed=7).path
    written = OutputOptions(probabilities="float16")
    run(images, tmp_path / "a", model, written=written)
    run(images, tmp_path / "b", other, written=written)
    assert ensemble([tmp_path / "a", tmp_path / "b"], tmp_path / "ab", workers=0) == 3


def test_a_case_may_be_named_like_the_record(model: Path, tmp_path: Path, caplog) -> None:
    write_image(tmp_path / "in" / "prediction_7_0000.nii.gz", seed=1)
    written = OutputOptions(probabilities="float16")
    assert run(tmp_path / "in", tmp_path / "out", model, written=written) == 1
    assert run(tmp_path / "in", tmp_path / "out", model, written=written) == 0
    assert "predicted again" not in caplog.text
    (tmp_path / "out" / "dataset.json").unlink()
    with pytest.raises(SegForgeError, match="says what the labels mean"):
        ensemble([tmp_path / "out", tmp_path / "in"], tmp_path / "averaged", workers=0)


def test_a_finished_case_whose_image_can_no_longer_be_read_is_not_finished(tmp_path: Path) -> None:
    image, result = tmp_path / "image", tmp_path / "result"
    image.write_text("x")
    result.write_text("y")
    finished = FinishedCases(tmp_path, "model", {"weights": "1"})
    finished.add("a", [image], result)
    assert finished.has("a", [image], result)
    image.unlink()
    assert not finished.has("a", [image], result)  # its own failure when it is read, not that of all cases


def test_a_fold_that_is_named_twice_counts_once(images: Path, model: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "once", model, folds=[0, 1])
    run(images, tmp_path / "twice", model, folds=[0, 1, 0])
    made_from = [json.loads((tmp_path / name / "prediction.json").read_text())["made_from"] for name in ("once", "twice")]
    assert made_from[0] == made_from[1]
    np.testing.assert_array_equal(stored(tmp_path / "once" / "case_0.nii.gz"), stored(tmp_path / "twice" / "case_0.nii.gz"))
    assert len(load(model, folds=[0, 1, 0], device="cpu").networks) == 2


def test_a_selection_is_named_with_its_folds_and_says_when_one_is_gone(
    images: Path, model: Path, tmp_path: Path, caplog
) -> None:
    caplog.set_level(logging.INFO, "segforge")
    step = KeepLargestComponent(structure="a", values=(1,))
    candidate = Candidate(models=(model.name,), dice=0.5, dice_per_structure={})
    for steps, said in (((), "folds 0, 1."), ((step,), "folds 0, 1; 1 step of"), ((step, step), "folds 0, 1; 2 steps of")):
        caplog.clear()
        Selection(
            dataset="Dataset004_X",
            folds=("0", "1"),
            models=(model.name,),
            postprocessing=Postprocessing(steps=steps),
            ranking=(candidate,),
        ).write(model.parent / "selection.json")
        run(images, tmp_path / f"out_{len(steps)}", model.parent)
        assert f"Predicting with {model.name}, {said}" in caplog.text
    (model / "fold_1" / "checkpoint_final.safetensors").unlink()
    with pytest.raises(SegForgeError, match=r"of fold 1, which the selection .* Run segforge find-best -d results again, or"):
        run(images, tmp_path / "gone", model.parent)
    assert run(images, tmp_path / "first", model.parent, folds=[0]) == 3


def test_of_cases_of_unknown_size_no_more_than_two_are_on_their_way(tmp_path: Path, monkeypatch) -> None:
    """A stack of TIFF says in no header how large it is; the writer here is far slower than the network."""
    model = model_folder(tmp_path / "results" / "default__test__3d_fullres", description={"file_ending": ".tif"}).path
    array = np.random.default_rng(0).random((6, 10, 11)).astype(np.float32)
    for number in range(5):
        write_tiff(tmp_path / "in" / f"case_{number}_0000.tif", array, Geometry((6, 10, 11), (1.0, 1.0, 1.0)))
    on_their_way, most = set[str](), list[int]()
    prepare, finish = predict_folder._Job._prepare, predict_folder._Job._finish

    def begin(job, case):
        on_their_way.add(case.id)
        most.append(len(on_their_way))
        return prepare(job, case)

    def end(job, case, way):
        time.sleep(0.2)
        finish(job, case, way)
        on_their_way.remove(case.id)

    monkeypatch.setattr(predict_folder._Job, "_prepare", begin)
    monkeypatch.setattr(predict_folder._Job, "_finish", end)
    assert run(tmp_path / "in", tmp_path / "out", model) == 5
    assert max(most) == 2


def test_a_network_that_gives_nan_is_said_to(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_folder(tmp_path / "default__test__3d_fullres").path
    monkeypatch.setattr("segforge.networks.layers.Head.forward", lambda self, x: x[:, :3] * torch.nan)
    with pytest.raises(CasesFailed, match="output is not finite; use --precision fp32"):
        run(images, tmp_path / "out", model)


def test_an_image_unlike_the_training_is_predicted_with_a_warning(model: Path, tmp_path: Path, caplog) -> None:
    write_image(tmp_path / "odd" / "case_0000.nii.gz", spacing=(20.0, 1.5, 1.5))
    assert run(tmp_path / "odd", tmp_path / "out", model) == 1
    assert "case: a voxel size of 20 mm along z; the model was trained on 0.333 to 3, or near it." in caplog.text


def cascade(results: Path) -> tuple[Path, Path]:
    low = model_folder(results / "default__test__3d_lowres", spacing=(3.0, 3.0, 3.0), configuration="3d_lowres", seed=3)
    full = model_folder(results / "default__test__3d_cascade_fullres", configuration="3d_cascade_fullres", previous="3d_lowres")
    return low.path, full.path


def test_a_cascade_predicts_its_previous_stage_by_itself(images: Path, tmp_path: Path) -> None:
    low, full = cascade(tmp_path / "results")
    run(images, tmp_path / "itself", full)
    run(images, tmp_path / "low", low)
    options = PredictionOptions(previous_stage=tmp_path / "low")
    run(images, tmp_path / "given", full, options=options)
    for number in range(3):
        expected = stored(tmp_path / "given" / f"case_{number}.nii.gz")
        np.testing.assert_array_equal(stored(tmp_path / "itself" / f"case_{number}.nii.gz"), expected)
    # It looks at them: other maps give another result.
    empty = tmp_path / "empty"
    for number in range(3):
        image = read_image(images / f"case_{number}_0000.nii.gz")
        write_volume(empty / f"case_{number}.nii.gz", np.zeros(image.geometry.shape, np.uint8), image.geometry)
    run(images, tmp_path / "other", full, options=PredictionOptions(previous_stage=empty))
    assert (stored(tmp_path / "other" / "case_0.nii.gz") != stored(tmp_path / "itself" / "case_0.nii.gz")).any()


def test_a_cascade_without_its_previous_stage_says_what_is_missing(images: Path, tmp_path: Path) -> None:
    low, full = cascade(tmp_path / "results")
    low.rename(tmp_path / "gone")
    with pytest.raises(SegForgeError, match="3d_lowres"):
        run(images, tmp_path / "out", full)
    with pytest.raises(CasesFailed, match="must hold one label map case_0; found 0"):
        (tmp_path / "maps").mkdir()
        run(images, tmp_path / "out", full, options=PredictionOptions(previous_stage=tmp_path / "maps"))


def test_prediction_touches_nothing_but_its_folder(images: Path, model: Path, tmp_path: Path) -> None:
    """With an audit hook: no socket, no process, no shared memory, no write anywhere else."""
    run(images, tmp_path / "warm", model, written=OutputOptions(threads=0))  # what is imported late is imported now
    seen: list[tuple[str, tuple]] = []
    watching = True

    def hook(event: str, arguments: tuple) -> None:
        if watching and event.partition(".")[0] in ("socket", "subprocess", "os", "open", "shutil", "tempfile", "mmap"):
            seen.append((event, arguments))

    sys.addaudithook(hook)
    run(images, tmp_path / "out", model, written=OutputOptions(threads=0, probabilities="float32"))
    watching = False
    forbidden = {"os.fork", "os.exec", "os.posix_spawn", "os.system", "subprocess.Popen", "os.startfile"}
    assert any(event == "open" for event, _ in seen)
    assert [event for event, _ in seen if event in forbidden or event.startswith("socket")] == []
    writes = [
        Path(arguments[0])
        for event, arguments in seen
        if event == "open"
        and isinstance(arguments[0], str | Path)
        and (set(str(arguments[1])) & set("wax+") or int(arguments[2]) & 3)
    ]
    assert writes
    assert [path for path in writes if tmp_path / "out" not in path.parents] == []
