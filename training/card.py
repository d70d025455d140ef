"""The model card of a bundle (Mitchell et al. 2019, arXiv:1810.03993): what it is, how good, what it is not for."""

from pathlib import Path

from models.manifest import Manifest

TEMPLATE = Path(__file__).with_name("card.md")
"""The text, as `str.format` takes it."""


def write(folder: Path, manifest: Manifest, calibration: float, likelihood: float) -> None:
    """Writes `folder`/README.md; what is not in the manifest is handed over."""
    text = TEMPLATE.read_text(encoding="utf-8").format(
        manifest=manifest,
        number=len(manifest.class_names),
        classes=", ".join(manifest.class_names),
        outputs=", ".join(output.name for output in manifest.outputs),
        widths="/".join(map(str, manifest.network["widths"])),
        commit=manifest.git_commit or "unknown",
        calibration=calibration,
        likelihood=likelihood,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
