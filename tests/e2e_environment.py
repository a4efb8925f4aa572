"""The environment of a user who has set nothing."""

import os


def environment() -> dict[str, str]:
    """This process's environment without variables that lead elsewhere; one thread, as tests run side by side."""
    hidden = ("SEGFORGE_WORKSPACE", "nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    return {key: value for key, value in os.environ.items() if key not in hidden} | {"OMP_NUM_THREADS": "1"}
