from pathlib import Path

import pytest
from conversion_samples import empty_files

from segforge.dataset.conversion.pair_list import read_pairs
from segforge.dataset.conversion.pairing import Templates, pair_folder, pair_folders
from segforge.dataset.conversion.source import Pairing, SourceCase, with_ids
from segforge.errors import SegForgeError

NO_TEMPLATES = Templates()


def pairs(pairing: Pairing, top: Path) -> dict[str, tuple[str, str]]:
    return {
        case.id: (case.images[0].relative_to(top).as_posix(), case.labels[0].relative_to(top).as_posix())
        for case in pairing.cases
    }


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (["a.png", "b.png"], ["a.png", "b.png"], {"a": "a", "b": "b"}),
        (["ISIC_01.jpg", "ISIC_02.jpg"], ["ISIC_01_segmentation.png", "ISIC_02_segmentation.png"],
         {"ISIC_01": "ISIC_01_segmentation", "ISIC_02": "ISIC_02_segmentation"}),
        (["21_training.tif", "22_training.tif"], ["21_manual1.gif", "22_manual1.gif"],
         {"21_training": "21_manual1", "22_training": "22_manual1"}),
        (["train-volume00.png", "train-volume01.png"], ["train-labels00.png", "train-labels01.png"],
         {"train-volume00": "train-labels00", "train-volume01": "train-labels01"}),
        (["img_11.png", "img_12.png"], ["mask_12.png", "mask_11.png"], {"img_11": "mask_11", "img_12": "mask_12"}),
        (["scan.nii.gz"], ["truth.nii.gz"], {"scan": "truth"}),
        # a name that continues another image's name belongs to the nearest one
        (["p.png", "p_2.png"], ["p_mask.png", "p_2_mask.png"], {"p": "p_mask", "p_2": "p_2_mask"}),
    ],
)  # fmt: skip
def test_names_of_two_folders_tell_what_belongs_together(tmp_path: Path, images, labels, expected) -> None:
    empty_files(tmp_path / "i", *images)
    empty_files(tmp_path / "l", *labels)
    pairing = pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES)
    found = {case.id: case.labels[0].name.split(".")[0] for case in pairing.cases}
    assert found == expected


def test_numbers_are_not_cut_when_common_parts_are_left_out(tmp_path: Path) -> None:
    """All images begin with 2, all label maps with 1: what is left of 21 and 11 is not the same case."""
    empty_files(tmp_path / "i", "21.png", "22.png")
    empty_files(tmp_path / "l", "11.png", "12.png")
    with pytest.raises(SegForgeError, match=r"No label map \(11\.png, 12\.png\) .* image \(21\.png, 22\.png\)"):
        pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Image_01L.jpg", "Image_01L_1stHO.png", "Image_01R.jpg", "Image_01R_1stHO.png"],
         {"Image_01L": ("Image_01L.jpg", "Image_01L_1stHO.png"), "Image_01R": ("Image_01R.jpg", "Image_01R_1stHO.png")}),
        (["0/image.png", "0/label.png", "1/image.png", "1/label.png"],
         {"0": ("0/image.png", "0/label.png"), "1": ("1/image.png", "1/label.png")}),
        (["x/p1.jpg", "x/p1_mask.png", "y/p2.jpg", "y/p2_mask.png"],
         {"p1": ("x/p1.jpg", "x/p1_mask.png"), "p2": ("y/p2.jpg", "y/p2_mask.png")}),
        (["images/a.png", "images/b.png", "masks/a.png", "masks/b.png"],
         {"a": ("images/a.png", "masks/a.png"), "b": ("images/b.png", "masks/b.png")}),
        (["one/img/a.png", "one/gt/a.png", "two/img/a.png", "two/gt/a.png"],
         {"one": ("one/img/a.png", "one/gt/a.png"), "two": ("two/img/a.png", "two/gt/a.png")}),
        (["train/images/a.png", "train/labels/a.png", "val/images/a.png", "val/images/b.png", "val/labels/a.png",
          "val/labels/b.png"],
         {"train_a": ("train/images/a.png", "train/labels/a.png"), "val_a": ("val/images/a.png", "val/labels/a.png"),
          "val_b": ("val/images/b.png", "val/labels/b.png")}),
        (["seg1_image.png", "seg1_truth.png", "seg2_image.png", "seg2_truth.png"],
         {"seg1_image": ("seg1_image.png", "seg1_truth.png"), "seg2_image": ("seg2_image.png", "seg2_truth.png")}),
        (["a.jpg", "a.png", "b.jpg", "b.png"], {"a": ("a.jpg", "a.png"), "b": ("b.jpg", "b.png")}),
        (["Ada/Foto.JPG", "Ada/Maske.gif", "Bob/Foto.JPG", "Bob/Maske.gif"],
         {"Ada": ("Ada/Foto.JPG", "Ada/Maske.gif"), "Bob": ("Bob/Foto.JPG", "Bob/Maske.gif")}),
        (["GroundTruth_1.png", "Photo_1.png", "GroundTruth_2.png", "Photo_2.png"],
         {"Photo_1": ("Photo_1.png", "GroundTruth_1.png"), "Photo_2": ("Photo_2.png", "GroundTruth_2.png")}),
    ],
)  # fmt: skip
def test_one_folder_may_hold_both(tmp_path: Path, names, expected) -> None:
    assert pairs(pair_folder(empty_files(tmp_path, *names), NO_TEMPLATES), tmp_path) == expected


def test_in_a_folder_for_each_case_other_files_are_listed_and_left(tmp_path: Path) -> None:
    names = ["image.png", "label.png", "preview.png", "notes.txt"]
    empty_files(tmp_path, *(f"{case}/{name}" for case in range(3) for name in names), ".DS_Store", "0/._image.png")
    pairing = pair_folder(tmp_path, NO_TEMPLATES)
    assert [case.id for case in pairing.cases] == ["0", "1", "2"]
    left = {reason: [path.name for path in paths] for reason, paths in pairing.left.items()}
    assert left == {"neither image nor label map by their names": ["preview.png"] * 3, "other files": ["notes.txt"] * 3}


def test_two_label_maps_for_an_image_are_a_choice_that_a_pattern_makes(tmp_path: Path) -> None:
    names = [f"Image_0{eye}{end}" for eye in "LR" for end in (".jpg", "_1stHO.png", "_2ndHO.png")]
    empty_files(tmp_path, *names)
    with pytest.raises(SegForgeError, match=r'Image_0L\.jpg has 2 label maps: .*_1stHO\.png, .*_2ndHO\.png.*"\{case\}_1stHO"'):
        pair_folder(tmp_path, NO_TEMPLATES)
    pairing = pair_folder(tmp_path, Templates(label="{case}_2ndHO"))
    assert [case.labels[0].name for case in pairing.cases] == ["Image_0L_2ndHO.png", "Image_0R_2ndHO.png"]
    assert [case.id for case in pairing.unlabelled] == ["Image_0L_1stHO", "Image_0R_1stHO"]
    pairing = pair_folder(tmp_path, Templates("{case}.jpg", "{case}_2ndHO.png"))
    assert len(pairing.cases) == 2


def test_label_maps_of_a_second_kind_are_never_left_silently(tmp_path: Path) -> None:
    names = [f"{number}{name}" for number in (21, 22) for name in ("_training.tif", "_manual1.gif", "_training_mask.gif")]
    for name in names:
        empty_files(tmp_path / ("images" if "tif" in name else "masks" if "mask" in name else "1st_manual"), name)
    with pytest.raises(SegForgeError, match=r"21_training\.tif has 2 label maps: .*1st_manual/.*masks/.*--images and --labels"):
        pair_folder(tmp_path, NO_TEMPLATES)
    pairing = pair_folders(tmp_path / "images", tmp_path / "1st_manual", NO_TEMPLATES)
    assert [case.labels[0].name for case in pairing.cases] == ["21_manual1.gif", "22_manual1.gif"]


def test_a_label_map_that_is_left_is_not_forced_upon_an_image(tmp_path: Path) -> None:
    empty_files(tmp_path / "i", "a.png", "a_1.png")
    empty_files(tmp_path / "l", "a.png", "a_1.png", "other.png")
    pairing = pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES)
    assert len(pairing.cases) == 2
    assert [path.name for path in pairing.left["label maps without an image"]] == ["other.png"]


def test_some_names_may_be_the_same_and_others_continued(tmp_path: Path) -> None:
    empty_files(tmp_path / "i", "a.png", "b.png")
    empty_files(tmp_path / "l", "a.png", "b_mask.png")
    assert len(pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES).cases) == 2


def test_a_pattern_with_a_slash_describes_folders_too(tmp_path: Path) -> None:
    empty_files(tmp_path, "p1/t1.nii.gz", "p1/t2.nii.gz", "p1/lesion.nii.gz", "p2/t1.nii.gz", "p2/lesion.nii.gz")
    pairing = pair_folder(tmp_path, Templates("{case}/t1", "{case}/lesion"))
    assert pairs(pairing, tmp_path) == {
        "p1": ("p1/t1.nii.gz", "p1/lesion.nii.gz"),
        "p2": ("p2/t1.nii.gz", "p2/lesion.nii.gz"),
    }
    assert [path.name for path in pairing.left["images that the pattern does not describe"]] == ["t2.nii.gz"]


@pytest.mark.parametrize("pattern", ["mask", "{case}_{case}"])
def test_a_pattern_without_one_place_for_the_case_is_refused(tmp_path: Path, pattern: str) -> None:
    empty_files(tmp_path, "a.png", "a_mask.png")
    with pytest.raises(SegForgeError, match=r"must hold \{case\} once"):
        pair_folder(tmp_path, Templates(label=pattern))


def test_files_of_nnunets_scheme_keep_their_channels(tmp_path: Path) -> None:
    empty_files(tmp_path / "i", "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz")
    empty_files(tmp_path / "l", "a.nii.gz", "b.nii.gz")
    pairing = pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES)
    assert [(case.id, [path.name for path in case.images]) for case in pairing.cases] == [
        ("a", ["a_0000.nii.gz", "a_0001.nii.gz"]),
        ("b", ["b_0000.nii.gz", "b_0001.nii.gz"]),
    ]
    (tmp_path / "i" / "b_0000.nii.gz").unlink()
    with pytest.raises(SegForgeError, match=r"b_0001\.nii\.gz has no b_0000 beside it"):
        pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES)


def test_numbered_photographs_are_no_channels(tmp_path: Path) -> None:
    names = [f"img_{index:04d}" for index in range(3)]
    empty_files(tmp_path / "i", *(f"{name}.png" for name in names))
    empty_files(tmp_path / "l", *(f"{name}_mask.png" for name in names))
    assert [case.id for case in pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES).cases] == names


def test_label_maps_in_a_folder_below_the_images_are_no_images(tmp_path: Path) -> None:
    empty_files(tmp_path, "a.png", "b.png", "labels/a.png", "labels/b.png")
    pairing = pair_folders(tmp_path, tmp_path / "labels", NO_TEMPLATES)
    assert pairs(pairing, tmp_path) == {"a": ("a.png", "labels/a.png"), "b": ("b.png", "labels/b.png")}
    assert not pairing.unlabelled


def test_images_and_label_maps_without_a_partner_are_listed(tmp_path: Path) -> None:
    empty_files(tmp_path / "i", "a.png", "b.png")
    empty_files(tmp_path / "l", "a.png", "c.png")
    pairing = pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES)
    assert [case.id for case in pairing.unlabelled] == ["b"]
    assert [path.name for path in pairing.left["label maps without an image"]] == ["c.png"]


def test_names_become_ids_that_every_file_system_can_hold(tmp_path: Path) -> None:
    empty_files(tmp_path / "i", "Prof. Müller (1).png")
    empty_files(tmp_path / "l", "Prof. Müller (1).png")
    assert pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES).cases[0].id == "Prof._Muller__1_"
    empty_files(tmp_path / "i", "Prof. Müller [1].png")
    with pytest.raises(SegForgeError, match=r"would both be the case Prof\._Muller__1_"):
        pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Zoë", "Zoe"),
        ("Ørsted", "Ørsted"),
        ("张三", "张三"),
        ("Łódź 1", "Łodz_1"),
        ("a\u0308", "a"),
        ("한국", "한국"),
        ("x🫁y", "x_y"),
    ],
)
def test_ids_keep_the_letters_of_all_scripts_in_one_encoding(name: str, expected: str) -> None:
    assert with_ids([SourceCase(name, (Path("a.png"),))])[0].id == expected


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    empty_files(tmp_path / "i", "a.png", "a.jpg", "b.png")
    empty_files(tmp_path / "l", "a.png", "b.png")
    with pytest.raises(SegForgeError, match=r"a\.jpg and .*a\.png have the same name"):
        pair_folders(tmp_path / "i", tmp_path / "l", NO_TEMPLATES)


def test_a_missing_folder_and_one_without_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="nowhere is no folder"):
        pair_folder(tmp_path / "nowhere", NO_TEMPLATES)
    with pytest.raises(SegForgeError, match="has no image in a format .* segforge convert dicom"):
        pair_folder(empty_files(tmp_path / "texts", "a.txt"), NO_TEMPLATES)


def test_names_that_tell_nothing_are_an_error_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match=r"do not tell images from label maps: a\.png, b\.png.*--images.*--pairs"):
        pair_folder(empty_files(tmp_path, "a.png", "b.png"), NO_TEMPLATES)


def test_folders_of_pictures_that_are_called_alike_are_described_with_the_folder(tmp_path: Path) -> None:
    empty_files(tmp_path, "Ada/auge.png", "Ada/zeichnung.png", "Bob/auge.png", "Bob/zeichnung.png")
    with pytest.raises(SegForgeError, match=r'--image-pattern "\{case\}/auge" --pattern "\{case\}/zeichnung"'):
        pair_folder(tmp_path, NO_TEMPLATES)


def test_a_table_says_what_belongs_together(tmp_path: Path) -> None:
    empty_files(tmp_path, "x/1.png", "x/2.png", "y/9.png")
    table = tmp_path / "pairs.csv"
    table.write_text(f"\ufeffimage;label;case\nx/1.png;{tmp_path}/y/9.png;first\nx/2.png;;\n", encoding="utf-8")
    pairing = read_pairs(table)
    assert pairs(pairing, tmp_path) == {"first": ("x/1.png", "y/9.png")}
    assert [case.id for case in pairing.unlabelled] == ["2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,mask\na.png,b.png\n", r"must begin with a line image,label .* found picture,mask"),
        ("image,label\na.png,nowhere.png\n", r"line 2: .*nowhere\.png is missing"),
        ("image,label\n,a.png\n", "line 2: names no image"),
        ("image,label\na.png,\n", "no row with an image and a label"),
        ("image,label,case\na.png,a.png,x\na.png,a.png,x\n", "would both be the case x"),
        (f"image,label\na.png,{'a' * 200_000}\n", "line 2: field larger than field limit"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    empty_files(tmp_path, "a.png")
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(SegForgeError, match=message):
        read_pairs(tmp_path / "pairs.csv")
