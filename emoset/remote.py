"""Object stores: finished configurations go there whole, the manifest last, through fsspec."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fsspec

from emoset.errors import BuildError, DataFolderError
from emoset.shards import MANIFEST, files_of, manifest_digest, read_manifest
from emoset.summary import README, readme_of


def is_address(out: object) -> bool:
    """Whether an output is an address such as ``s3://bucket/data``, not a folder.

    Example:
        >>> is_address("s3://bucket/data"), is_address("data")
        (True, False)
    """
    return isinstance(out, str) and "://" in out


def upload(data_dir: Path, url: str, configurations: Iterable[str]) -> list[str]:
    """Put finished configurations into an object store; what is there already with the same manifest stays.

    A reader that finds a manifest finds all that it names: it is removed first and written last.

    Args:
        data_dir: local data folder.
        url: address of the data folder there; the protocol is any of fsspec's.
        configurations: names of those to put there.

    Returns:
        Addresses of the configurations.

    Raises:
        BuildError: the store cannot be reached or written to.
    """
    try:
        files, root = fsspec.core.url_to_fs(url)
        for name in configurations:
            _upload_one(files, data_dir / name, posixpath.join(root, name))
        manifests = {}
        for path in sorted(files.glob(posixpath.join(root, "*", MANIFEST))):
            manifests[posixpath.basename(posixpath.dirname(path))] = json.loads(files.cat_file(path))
        files.pipe_file(posixpath.join(root, README), readme_of(manifests).encode())
    except (ImportError, ValueError, OSError) as error:
        raise BuildError(
            f"it cannot be written to ({type(error).__name__}: {error})", where=url,
            expected="an address that fsspec knows, with the package of its protocol installed and access to it",
            cure="see the documentation of fsspec for that protocol; finished builds can also be copied by hand",
        ) from None  # fmt: skip
    return [posixpath.join(url, name) for name in configurations]


def _upload_one(files: Any, folder: Path, place: str) -> None:
    manifest = read_manifest(folder)
    marker = posixpath.join(place, MANIFEST)
    if files.exists(marker):
        if _digest(files.cat_file(marker)) == manifest["digest"]:
            return
        files.rm_file(marker)
    files.makedirs(place, exist_ok=True)
    wanted = files_of(manifest)
    for name, facts in wanted.items():
        target = posixpath.join(place, name)
        files.put_file(str(folder / name), target)
        files.invalidate_cache()
        if files.size(target) != facts["bytes"]:
            raise OSError(f"{name} arrived with {files.size(target)} of {facts['bytes']} bytes")
    for path in files.ls(place, detail=False):
        if posixpath.basename(path) not in wanted:
            files.rm_file(path)
    files.put_file(str(folder / MANIFEST), marker)


def _digest(text: bytes) -> str | None:
    try:
        manifest = json.loads(text)
        return manifest_digest(manifest) if isinstance(manifest, dict) else None
    except (ValueError, DataFolderError):
        return None
