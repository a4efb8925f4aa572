"""Every command, option and file of nnU-Net's, versions 1 and 2: understood, or answered with what to do instead."""

import argparse
import shlex

import pytest
from documentation import PROJECT, spans, table_rows, words_of

from segforge.cli.main import _parser, main
from segforge.cli.nnunet_words import GONE, VERBS, in_our_words
from segforge.errors import SegForgeError

PAGE = (PROJECT / "docs" / "how-to" / "from-nnunet.md").read_text()


def parsed(words: list[str]) -> argparse.Namespace:
    return _parser(words).parse_args(words)


def equal_commands() -> list[tuple[str, str]]:
    """Rows of the page with a command line of nnU-Net's and, first on the right, ours."""
    rows = [[next(spans(cell), "") for cell in cells[:2]] for cells in table_rows(PAGE)]
    return [
        (theirs, ours)
        for theirs, ours in rows
        if theirs.startswith("nnUNet") and ours.startswith("segforge ") and " " in theirs
    ]


@pytest.mark.parametrize(("theirs", "ours"), equal_commands())
def test_a_command_line_of_nnunet_is_the_one_of_ours_beside_it(theirs: str, ours: str) -> None:
    assert vars(parsed(in_our_words(shlex.split(theirs)))) == vars(parsed(words_of(ours)))


COMMANDS = {
    "nnUNetv2_extract_fingerprint -d 4": "-fpe=X|-np 4|--verify_dataset_integrity|--clean|--verbose|--no_pbar",
    "nnUNetv2_plan_experiment -d 4": "-pl nnUNetPlannerResEncL|-gpu_memory_target 24|-preprocessor_name=X|"
    "-overwrite_target_spacing 1 1 1|-overwrite_plans_name X",
    "nnUNetv2_plan_and_preprocess -d 4": "-fpe=X|-npfp 8|--verify_dataset_integrity|--no_pp|--clean|-pl nnUNetPlannerResEncM|"
    "-gpu_memory_target 24|-preprocessor_name=X|-overwrite_target_spacing 1 1 1|-overwrite_plans_name X|-c 2d 3d_fullres|"
    "-np 8 4|--verbose|--no_pbar",
    "nnUNetv2_move_plans_between_datasets -s 4 -t 7": "-sp nnUNetPlans|-tp X",
    "nnUNetv2_preprocess -d 4": "-plans_name nnUNetPlans|-c 2d|-np 4|--verbose|--no_pbar",
    "nnUNetv2_train 4 3d_fullres 0": "-tr nnUNetTrainer|-p nnUNetPlans|-pretrained_weights F|-num_gpus 1|--npz|--c|--val|"
    "--val_best|--disable_checkpointing|-device cpu",
    "nnUNetv2_train_pretrained 4 3d_fullres 0": "--from_scratch=|-overwrite_ckpt_path F",
    "nnUNetv2_find_best_configuration 4": "-p nnUNetPlans|-c 2d|-tr nnUNetTrainer|-np 4|-f 0 1|"
    "--disable_ensembling|--no_overwrite",
    "nnUNetv2_accumulate_crossval_results 4": "-c 2d|-o DIR|-f 0 1|-p nnUNetPlans|-tr nnUNetTrainer",
    "nnUNetv2_predict -i I -o O": "-d 4|-p nnUNetPlans|-tr nnUNetTrainer|-c 2d|-f 0 1|-f all|-step_size 0.5|--disable_tta|"
    "--verbose|--save_probabilities|--continue_prediction|-chk checkpoint_best.pth|-npp 0|-nps 0|-prev_stage_predictions DIR|"
    "-num_parts 2|-part_id 1|-device cpu|--disable_progress_bar|--not_on_device",
    "nnUNetv2_predict_from_modelfolder -i I -o O -m DIR": "-f 0|-step_size 0.5|--c|-chk checkpoint_final.pth|-npp 3|-nps 3",
    "nnUNetv2_ensemble -i A B -o O": "-np 3|--save_npz",
    "nnUNetv2_evaluate_folder REF PRED": "-djfile J|-pfile P|-o F|-np 3|--chill",
    "nnUNetv2_evaluate_simple REF PRED -l 1 2": "-il 3|-o F|-np 3|--chill",
    "nnUNetv2_determine_postprocessing -i I -ref R": "-plans_json P|-dataset_json J|-np 3|--remove_postprocessed",
    "nnUNetv2_apply_postprocessing -i I -o O -pp_pkl_file F": "-np 3|-plans_json P|-dataset_json J",
    "nnUNetv2_plot_overlay_pngs -d 4 -o O": "-np 3|-channel_idx 0|--use_raw|-p nnUNetPlans|-c 2d|-overlay_intensity=0.6",
    "nnUNetv2_convert_MSD_dataset -i Task04_X": "-overwrite_id 5|-np 4",
    "nnUNetv2_convert_old_nnUNet_dataset Task500_X Dataset500_X": "",
    "nnUNetv2_export_model_to_zip -d 4 -o F": "-c 2d|-tr X|-p nnUNetPlans|-f 0 1|-chk checkpoint_final.pth|"
    "--not_strict|--exp_cv_preds",
    "nnUNetv2_install_pretrained_model_from_zip F": "",
    "nnUNetv2_download_pretrained_model_by_url https://example.org/m.zip": "",
    "nnUNet_convert_decathlon_task -i Task04_X": "-p 4|-output_task_id 5",
    "nnUNet_plan_and_preprocess -t 500": "-pl3d=X|-pl2d=X|-no_pp|-tl 8|-tf 8|--verify_dataset_integrity|-overwrite_plans=X|"
    "-overwrite_plans_identifier X",
    "nnUNet_train 3d_fullres nnUNetTrainerV2 Task500_X 0": "-val|-c|-p nnUNetPlansv2.1|--use_compressed_data|--deterministic=|"
    "--npz|--find_lr=|--valbest|--fp32|--val_folder=X|--disable_saving|--disable_postprocessing_on_folds|"
    "--disable_validation_inference=|--val_disable_overwrite|--disable_next_stage_pred|-pretrained_weights F",
    "nnUNet_train_DP 3d_fullres nnUNetTrainerV2 500 0": "-gpus 1|--dbs",
    "nnUNet_train_DDP 3d_fullres nnUNetTrainerV2 500 0": "--local_rank=1|--dbs",
    "nnUNet_predict -i I -o O -t 500": "-tr nnUNetTrainerV2|-ctr=X|-m 3d_fullres|-p nnUNetPlansv2.1|-f 0|-z|--save_npz|-l DIR|"
    "--lowres_segmentations DIR|--part_id 1|--num_parts 2|--num_threads_preprocessing 6|--num_threads_nifti_save 2|"
    "--disable_tta|--overwrite_existing=|--mode=fast|--all_in_gpu=True|--step_size 0.5|-chk model_final_checkpoint|"
    "--disable_mixed_precision",
    "nnUNet_ensemble -f A B -o O": "-t 8|-pp=F|--npz",
    "nnUNet_find_best_configuration -t 500": "-m 2d 3d_fullres|-tr nnUNetTrainerV2|-ctr=X|-pl nnUNetPlansv2.1|-f 0|"
    "--disable_ensembling|--disable_postprocessing=",
    "nnUNet_determine_postprocessing": "-m=3d_fullres",
    "nnUNet_evaluate_folder -ref R -pred P": "-l 1 2",
    "nnUNet_export_model_to_zip -t 500 -o F": "-m 2d|-tr X|-trc=X|-pl X|--disable_strict|-f 0",
    "nnUNet_install_pretrained_model_from_zip F": "",
    "nnUNet_plot_task_pngs -t 500 -o O": "-num_processes 3|-modality_idx 1|--use_raw",
}
"""Each command of nnU-Net's with its options; after `=` stands the value of one that is refused with the remedy."""

OPTIONS = [(command, option) for command, options in COMMANDS.items() for option in options.split("|")]


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_every_option_is_understood_or_refused_with_what_to_do(command: str, option: str) -> None:
    name, refused, value = option.partition("=")
    words = shlex.split(f"{command} {name} {value}")
    if refused:
        with pytest.raises(SegForgeError, match=rf"^{name} is nnU-Net's\. \S.+\.$"):
            in_our_words(words)
    else:
        parsed(in_our_words(words))


@pytest.mark.parametrize("option", sorted({option.split("=")[0].split(" ")[0] for _, option in OPTIONS if option}))
def test_every_option_stands_on_the_page(option: str) -> None:
    assert any(option in span.split() for span in spans(PAGE))


@pytest.mark.parametrize(
    "command", [command.split()[0] for command in COMMANDS] + [f"nnUNet_{name}" for name in GONE if "like" not in name]
)
def test_every_command_stands_on_the_page(command: str) -> None:
    assert any(command in span.split() for span in spans(PAGE))


def test_no_command_of_nnunet_is_left_out() -> None:
    assert {command.split()[0].split("_", 1)[1] for command in COMMANDS} == set(VERBS)


@pytest.mark.parametrize("name", GONE)
def test_a_command_without_counterpart_is_refused_with_what_to_do(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"nnUNet_{name}", "X"]) == 2
    assert capsys.readouterr().err.startswith(f"segforge: nnUNet_{name} is nnU-Net's. {GONE[name]}")


@pytest.mark.parametrize(
    "line",
    [
        "predict -i Task500_X -o Task500_Y -d 4 -m Task500_X",
        "train 4 3d_fullres 0 --pretrained model_best",
        "convert msd Task04_Hippocampus",
        "evaluate REF PRED -l 1 2",
        "plan -d 4 -np 3",
        "import nnunet nnUNetTrainer__nnUNetPlans__3d_fullres",
        "export 4 -o F -p nnUNetPlans --name nnUNetTrainer",
    ],
)
def test_our_own_words_stay(line: str) -> None:
    assert in_our_words(line.split()) == line.split()


def test_a_folder_that_is_called_as_a_configuration_is_a_model(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = "predict -i I -o O -m 3d_fullres"
    assert in_our_words(line.split())[-2:] == ["-c", "3d_fullres"]
    (tmp_path / "3d_fullres").mkdir()
    assert in_our_words(line.split()) == line.split()


def test_a_value_behind_an_equals_sign_stays_with_its_option() -> None:
    assert in_our_words(["plan", "-d", "4", "-pl=nnUNetPlannerResEncL", "--spacing=1"]) == [
        "plan", "-d", "4", "--planner", "nnUNetPlannerResEncL", "--spacing=1",
    ]  # fmt: skip
