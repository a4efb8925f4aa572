"""Against what nnU-Net itself made of six small data sets."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from segforge.compute.documents import read_json
from segforge.compute.executors import Resources, threads
from segforge.dataset.cases import RawDataset, open_dataset, read_case_classes, read_case_image
from segforge.planning.extraction import measure
from segforge.preprocessing.preprocessor import Preprocessor
from segforge.sharing.nnunet_plans import plans_from_nnunet

SHARED = Path(os.environ.get("SEGFORGE_TEST_DATA", Path(__file__).parents[3] / "shared"))
FOLDERS = sorted((SHARED / "golden" / "pipeline").glob("Dataset*"))
PARAMETERS = FOLDERS or [pytest.param(None, marks=pytest.mark.skip(f"no test data in {SHARED} (SEGFORGE_TEST_DATA)"))]

IMAGE_TOLERANCE = 1e-5  # sums of products in float32 instead of float64
TIES = 5  # label voxels of a data set's arrays together where two scores are equal but for rounding


@dataclass(frozen=True)
class Reference:
    dataset: RawDataset
    folder: Path


@pytest.fixture(params=PARAMETERS, ids=lambda folder: getattr(folder, "name", "absent"))
def reference(request: pytest.FixtureRequest) -> Reference:
    return Reference(open_dataset(request.param), request.param / "nnunet_reference")


def test_fingerprints_agree(reference: Reference) -> None:
    theirs = read_json(reference.folder / "dataset_fingerprint.json")
    ours = measure(reference.dataset, threads, Resources(2)).fingerprint
    assert [list(spacing) for spacing in ours.spacings] == theirs["spacings"]
    assert [list(shape) for shape in ours.shapes_after_crop] == theirs["shapes_after_crop"]
    assert ours.median_relative_size_after_cropping == theirs["median_relative_size_after_cropping"]
    for channel, facts in theirs["foreground_intensity_properties_per_channel"].items():
        mine = ours.foreground_intensity_properties_per_channel[channel].model_dump()
        assert mine == pytest.approx(facts, rel=1e-6)


def test_preprocessed_arrays_agree(reference: Reference) -> None:
    description = reference.dataset.description
    content = read_json(reference.folder / "nnUNetPlans.json")
    plans = plans_from_nnunet(content, description, str(reference.folder))
    cases = {case.id: case for case in reference.dataset.cases}
    paths = sorted(reference.folder.glob("*.npz"))
    assert paths
    differing = 0
    for path in paths:
        configuration, case = path.stem.split("__")
        image = read_case_image(cases[case], description)
        classes = read_case_classes(cases[case], image, description)
        ours = Preprocessor(plans, plans.configuration(configuration), description.label_scheme)(image, classes)
        with np.load(path, allow_pickle=False) as theirs:
            np.testing.assert_allclose(ours.image, theirs["image"], atol=IMAGE_TOLERANCE, rtol=0, err_msg=path.name)
            assert set(np.unique(ours.classes)) <= set(np.unique(theirs["seg"]))
            differing += int((ours.classes != theirs["seg"]).sum())
    assert differing <= TIES
