"""Pictures of training cases with their label maps: as they are stored, and as the network sees them."""

from pathlib import Path

from segforge.dataset.cases import Case, read_case_classes, read_case_image
from segforge.dataset.description import DatasetDescription
from segforge.dataset.labels import LabelScheme
from segforge.dataset.scenes import Look, scene_of, toward_of
from segforge.figures.overlay import Panel, Scene, draw_case
from segforge.figures.planes import planes_to_show
from segforge.images.image import Array, Geometry
from segforge.planning.plans import Plans
from segforge.preprocessing.preprocessor import CaseProperties
from segforge.preprocessing.store import CaseStore


def draw_labelled(path: Path, case: Case, description: DatasetDescription, look: Look) -> None:
    """Draw a raw case: its image, and with its labels.

    Args:
        path: The PNG file.
        case: The case.
        description: The data set's.
        look: What the user chose.

    Raises:
        SegForgeError: If a file is unreadable or wrong.
    """
    image = read_case_image(case, description)
    classes, labels = read_case_classes(case, image, description)[0], description.label_scheme
    toward = toward_of(case.images[0], image.geometry)
    scene = scene_of(
        image.array, image.geometry, look, foreground=_inside(classes, labels), names=description.channels, toward=toward
    )
    planes = planes_to_show(classes, look.structures(labels).groups, scene.spacing)
    draw_case(path, scene, [Panel(scene.name), Panel("labels", classes)], planes, look.structures(labels), title=case.id)


def draw_preprocessed(
    path: Path, case: Case, description: DatasetDescription, look: Look, store: CaseStore, plans: Plans, configuration: str
) -> None:
    """Draw a preprocessed case: what the network sees of it, and the labels that it learns.

    Args:
        path: The PNG file.
        case: The raw case.
        description: The data set's.
        look: What the user chose.
        store: The preprocessed cases.
        plans: The plans that they were made by.
        configuration: The configuration.

    Raises:
        SegForgeError: If the case is not preprocessed, or not by these plans.
    """
    preprocessed, labels = store.open(case.id), description.label_scheme
    assert preprocessed.classes is not None
    classes = preprocessed.classes[0]
    grid = _grid(preprocessed.properties)
    toward = toward_of(case.images[0], preprocessed.properties.geometry)
    turned = toward and "".join(toward[axis] for axis in plans.transpose_forward)
    names = [name for name in description.channels if name.casefold() != "ct"]  # it is normalized: no Hounsfield units
    scene = scene_of(preprocessed.image, grid, look, names=names, toward=turned)
    across = [0] if plans.configuration(configuration).dimensions == 2 else None
    structures = look.structures(labels)
    planes = planes_to_show(classes, structures.groups, scene.spacing, across=across)
    panels = [Panel(f"{scene.name}, {_limits(scene)}"), Panel("labels", classes)]
    draw_case(path, scene, panels, planes, structures, title=f"{case.id}, {configuration}: {_described(grid)}")


def _inside(classes: Array, labels: LabelScheme) -> Array:
    foreground: Array = (classes > 0) & (classes != labels.ignore_class)
    return foreground


def _grid(properties: CaseProperties) -> Geometry:
    """The grid of a preprocessed case, axes as the network has them."""
    z, y, x = (
        spacing * before / after
        for spacing, before, after in zip(properties.spacing, properties.box.shape, properties.new_shape, strict=True)
    )
    return Geometry(properties.new_shape, (z, y, x), is_2d=properties.geometry.is_2d)


def _limits(scene: Scene) -> str:
    return f"{scene.window[0]:.2g} to {scene.window[1]:.2g}"


def _described(grid: Geometry) -> str:
    axes = (1, 2) if grid.is_2d else (0, 1, 2)
    shape, spacing = ([values[axis] for axis in axes] for values in (grid.shape, grid.spacing))
    return f"{' x '.join(map(str, shape))} voxels of {' x '.join(f'{size:.3g}' for size in spacing)} mm"
