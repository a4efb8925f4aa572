"""Prediction in a corner: one core, 64 MB of shared memory, no network, a read-only file system but for the output folder.

    python benchmarks/corner.py SHARED SCRATCH

SHARED: a folder with data/Dataset004_Hippocampus and golden/models. SCRATCH: an empty folder. Needs Linux, the right to make
namespaces (root), and the commands unshare and taskset. Compares the results with those of an ordinary run.
"""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from segforge.sharing.nnunet_model import import_nnunet_model

CASES = 5

CORNER = """
set -e
mount --make-rprivate /
mount -o remount,bind,ro /
for folder in {writable}; do mount -o remount,bind,ro "$folder" 2>/dev/null || true; done
mount -t tmpfs -o size=64m tmpfs /dev/shm
mount -t tmpfs tmpfs {output}
if touch {scratch}/images/written 2>/dev/null; then echo "the file system is not read-only" >&2; exit 9; fi
taskset -c 0 {command}
df -h /dev/shm | tail -1
tar -C {output} -cf - . >&3
"""


def main(shared: Path, scratch: Path) -> None:
    (scratch / "images").mkdir(parents=True)
    for path in sorted((shared / "data" / "Dataset004_Hippocampus" / "imagesTr").iterdir())[:CASES]:
        shutil.copy(path, scratch / "images")
    import_nnunet_model(shared / "golden" / "models" / "hippocampus_3d_plain", scratch / "models")
    for name in ("free", "corner", "result"):
        (scratch / name).mkdir()
    subprocess.run(command(scratch, "free"), check=True)
    script = CORNER.format(
        scratch=scratch,
        output=scratch / "corner",
        writable=" ".join(mount_points()),
        command=shlex.join(command(scratch, "corner")),
    )
    words = ["unshare", "--mount", "--net", "bash", "-c", f"({script}) 3>&1 1>&2"]
    packed = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-C", str(scratch / "result"), "-xf", "-"], input=packed, check=True)
    names = sorted(path.name for path in (scratch / "free").glob("*.nii.gz"))
    same = [(scratch / "free" / name).read_bytes() == (scratch / "result" / name).read_bytes() for name in names]
    print(f"{sum(same)} of {len(names)} label maps are byte for byte those of the ordinary run")


def command(scratch: Path, output: str) -> list[str]:
    images, model = scratch / "images", next((scratch / "models").iterdir())
    words = ["predict", "-i", images, "-o", scratch / output, "-m", model, "-np", "0", "--no-mirroring", "--device", "cpu"]
    return [sys.executable, "-m", "segforge", *map(str, words)]


def mount_points() -> list[str]:
    """Of disks that are mounted besides the root."""
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [line[1] for line in lines if line[0].startswith("/dev/") and line[1] != "/"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
