"""The web page that cleans recordings where they are, in the browser: its files, served or copied to a folder.

The page is plain HTML, CSS and JavaScript modules, and the compiled engine as WebAssembly (`imse.wasm`, made from
`native/` by `make -C examples/wasm page`). It fetches the weights of the package as they are.
"""

from __future__ import annotations

from pathlib import Path

from imse import weights
from imse.atomic_write import atomic_write
from imse.errors import ImseError

# The media type of each kind of file that the page consists of. Browsers compile WebAssembly and run modules of these
# types alone.
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".flac": "audio/flac",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}

_FOLDER = Path(__file__).parent


def files() -> dict[str, Path]:
    """Where each file of the page is, by its path within the page, as ``weights/small.safetensors``."""
    page = {path.name: path for path in sorted(_FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}
    networks = {f"weights/{name}.safetensors": weights.find(name, ".safetensors") for name in weights.names()}
    return {**page, **networks, "weights/NOTICE.txt": weights.FOLDER / "NOTICE"}


def publish(folder: Path) -> None:
    """Copy the page to a folder, from which any server of static files can serve it under any path.

    Raises:
        ImseError: There is something at `folder` that is not a folder.
        OSError: A file cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ImseError(f"{folder}: not a folder")
    for name, source in files().items():
        with atomic_write(folder / name) as file:
            file.write(source.read_bytes())
