"""What is wrong between cases: the same image under two names, axes in different orders."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from segforge.dataset.verification.content import ImageFacts
from segforge.dataset.verification.problem import Kind, Problem, name_in
from segforge.images.orientation import axis_codes


def check_across(folder: Path, images: Sequence[ImageFacts]) -> list[Problem]:
    """Problems between the images of all cases."""
    return [*_same_images(folder, images), *_mixed_orientations(folder, images)]


def _same_images(folder: Path, images: Sequence[ImageFacts]) -> list[Problem]:
    first: dict[str, ImageFacts] = {}
    problems = []
    for facts in images:
        if facts.digest and (other := first.setdefault(facts.digest, facts)) is not facts:
            found = f"has the same voxels as {name_in(folder, other.path)}"
            problems.append(Problem(Kind.SAME_IMAGE, facts.case, name_in(folder, facts.path), found))
    return problems


def _mixed_orientations(folder: Path, images: Sequence[ImageFacts]) -> list[Problem]:
    """One problem that names the cases whose axes run otherwise than most."""
    cases = {facts.case: facts for facts in reversed(images) if not facts.geometry.is_2d}  # the first channel of each
    ordered: dict[str, list[str]] = defaultdict(list)
    for case in sorted(cases):
        ordered[axis_codes(cases[case].geometry)].append(case)
    if len(ordered) < 2:
        return []
    usual = max(ordered, key=lambda codes: (len(ordered[codes]), codes))
    odd = {codes: members for codes, members in sorted(ordered.items()) if codes != usual}
    found = "; ".join(f"{codes} in {', '.join(members)}" for codes, members in odd.items())
    file = name_in(folder, cases[next(iter(odd.values()))[0]].path)
    return [Problem(Kind.ORIENTATIONS, "", file, f"axes run {found}; {usual} in the other {len(ordered[usual])} cases")]
