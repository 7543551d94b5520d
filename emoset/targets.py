"""Where corpora are published to: a folder, or a dataset repository of the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from emoset.errors import EmosetError
from emoset.shards import FileFacts
from emoset.staging import remove_leftovers, staged, write_whole

HUB: Final = "hf://datasets/"
"""How the address of a repository begins."""

_REPOSITORY: Final = re.compile(r"hf://datasets/(?P<id>[\w.-]+/[\w.-]+)/?")
_KIND: Final = "dataset"
# The errors of the HTTP library below the client; which library that is differs by the client's version.
_HTTP_ERROR: Final[Any] = HfHubHTTPError.__bases__[0]


@dataclass(frozen=True)
class Remote:
    """A file that is there already.

    Args:
        bytes: its size.
        sha256: of its content, or None where that is not known without reading it.
        git: sha1 of its git object, likewise.
    """

    bytes: int
    sha256: str | None = None
    git: str | None = None


class Target(Protocol):
    """A place that corpora are published to."""

    address: str
    base: str
    """What the address of a file begins with; empty where files are told by relative paths."""

    def files(self) -> dict[str, Remote]:
        """What is there, by path; empty if the place does not exist yet."""
        ...

    def has(self, path: str, facts: FileFacts) -> bool:
        """Whether the file there is known to have this size and hash."""
        ...

    def holds(self, path: str, content: Path | bytes) -> bool:
        """Whether the file there has this content."""
        ...

    def fetch(self, path: str) -> Path | None:
        """The file on this computer; None if it is not there."""
        ...

    def prepare(self) -> None:
        """Make the place if it is not there."""
        ...

    def add(self, files: Mapping[str, Path]) -> None:
        """Put data there that nobody names yet."""
        ...

    def finish(self, files: Mapping[str, Path | bytes], gone: Sequence[str]) -> None:
        """Put all the rest there and remove what is gone: from now on readers see the new state."""
        ...


def target_of(to: str | Path, *, token: str | None = None, private: bool = True, progress: bool = True) -> Target:
    """The folder or repository that an address names.

    Raises:
        EmosetError: it is an address, but not of a dataset repository.

    Example:
        >>> target_of("hf://datasets/some-lab/emoset").address
        'hf://datasets/some-lab/emoset'
    """
    if isinstance(to, str) and "://" in to:
        if match := _REPOSITORY.fullmatch(to):
            return HubTarget(match["id"], token, private, progress)
        raise EmosetError(
            "no address of a dataset repository", where=to, expected=f"{HUB}<namespace>/<name>, or a folder",
            cure="name namespace and repository; 'namespace/name' without 'hf://datasets/' is taken for a folder",
        )  # fmt: skip
    return FolderTarget(Path(to))


class FolderTarget:
    """A folder on this computer.

    Args:
        root: the folder.
    """

    base = ""

    def __init__(self, root: Path) -> None:
        if root.exists() and not root.is_dir():
            raise EmosetError("it is a file", where=str(root), expected="a folder", cure="name another place")
        self._root, self.address = root, str(root)

    def files(self) -> dict[str, Remote]:
        """All files at the top and one level below; they are not hashed."""
        found = sorted(p for pattern in ("*", "*/*") for p in self._root.glob(pattern) if p.is_file())
        return {p.relative_to(self._root).as_posix(): Remote(p.stat().st_size) for p in found}

    def has(self, path: str, facts: FileFacts) -> bool:
        """Whether the file there has this size and hash."""
        there = self._root / path
        return there.is_file() and there.stat().st_size == facts["bytes"] and digest_of(there) == facts["sha256"]

    def holds(self, path: str, content: Path | bytes) -> bool:
        """Whether the file there has this content."""
        return self.has(path, facts_of(content))

    def fetch(self, path: str) -> Path | None:
        """The file; None if it is not there."""
        there = self._root / path
        return there if there.is_file() else None

    def prepare(self) -> None:
        """Make the folder."""
        self._root.mkdir(parents=True, exist_ok=True)

    def add(self, files: Mapping[str, Path]) -> None:
        """Copy files; each appears whole or not at all."""
        for path, source in files.items():
            with staged(self._root / path) as temporary:
                shutil.copyfile(source, temporary)
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
                temporary.replace(self._root / path)

    def finish(self, files: Mapping[str, Path | bytes], gone: Sequence[str]) -> None:
        """Copy and write the rest in the order given, then remove what is gone."""
        for path, content in files.items():
            if isinstance(content, bytes):
                write_whole(self._root / path, content)
            else:
                self.add({path: content})
        for path in gone:
            (self._root / path).unlink(missing_ok=True)
        for folder in {(self._root / path).parent for path in files}:
            remove_leftovers(folder)  # of runs that were killed


class HubTarget:
    """A dataset repository of the Hub, or of any server with its interface (``HF_ENDPOINT``).

    Data that the card does not name yet goes there in commits of its own, so that an interrupted run can go on where
    it was; one last commit then changes all that readers see.

    Args:
        repository: ``<namespace>/<name>``.
        token: to write with; default: the one that ``hf auth login`` stored.
        private: whether a repository that is made is private.
        progress: show progress bars.
    """

    def __init__(self, repository: str, token: str | None, private: bool, progress: bool) -> None:
        self._id, self._private, self._progress = repository, private, progress and sys.stderr.isatty()
        self._api = HfApi(token=token, library_name="emoset")
        self.address = f"{HUB}{repository}"
        self.base = f"{self._api.endpoint}/datasets/{repository}"
        self._head: str | None = None
        self._files: dict[str, Remote] = {}

    def files(self) -> dict[str, Remote]:
        """All files of the newest revision."""
        with self._talk():
            try:
                self._head = self._api.repo_info(self._id, repo_type=_KIND).sha
            except RepositoryNotFoundError:
                return {}
            tree = self._api.list_repo_tree(self._id, repo_type=_KIND, revision=self._head, recursive=True)
            self._files = {
                entry.path: Remote(entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
                for entry in tree if isinstance(entry, RepoFile)
            }  # fmt: skip
        return dict(self._files)

    def has(self, path: str, facts: FileFacts) -> bool:
        """Whether the repository tells this size and hash; of small files it tells none."""
        there = self._files.get(path)
        return there is not None and there.bytes == facts["bytes"] and there.sha256 == facts["sha256"]

    def holds(self, path: str, content: Path | bytes) -> bool:
        """Whether the file there has this content, by what the repository tells of it."""
        there = self._files.get(path)
        if there is None or there.bytes != size_of(content):
            return False
        return digest_of(content) == there.sha256 if there.sha256 else git_digest(content) == there.git

    def fetch(self, path: str) -> Path | None:
        """The file, by way of the client's cache; None if it is not there."""
        if path not in self._files:
            return None
        with self._talk(), self._bars():
            return Path(self._api.hf_hub_download(self._id, path, repo_type=_KIND, revision=self._head))

    def prepare(self) -> None:
        """Make the repository if there is none."""
        if self._head is None:
            with self._talk():
                self._api.create_repo(self._id, repo_type=_KIND, private=self._private, exist_ok=True)
            self.files()

    def add(self, files: Mapping[str, Path]) -> None:
        """Commit files that are not there yet."""
        self._commit(f"Add data of {_folders(files)}", files, ())

    def finish(self, files: Mapping[str, Path | bytes], gone: Sequence[str]) -> None:
        """Commit the rest at once."""
        self._commit(f"Publish {_folders(files)}", files, gone)

    def _commit(self, message: str, files: Mapping[str, Path | bytes], gone: Sequence[str]) -> None:
        additions = [CommitOperationAdd(path, content) for path, content in files.items()]
        with self._talk(), self._bars():
            done = self._api.create_commit(
                self._id, [*additions, *(CommitOperationDelete(path) for path in gone)], commit_message=message,
                repo_type=_KIND, parent_commit=self._head,
            )  # fmt: skip
        self._head = done.oid

    @contextmanager
    def _bars(self) -> Iterator[None]:
        """The client's own bars show uploads and downloads, or nothing does."""
        if self._progress or are_progress_bars_disabled():
            yield
            return
        disable_progress_bars()
        try:
            yield
        finally:
            enable_progress_bars()

    @contextmanager
    def _talk(self) -> Iterator[None]:
        """Errors of the client and of all that lies below it, in our form."""
        try:
            yield
        except EmosetError:
            raise
        except (OSError, RuntimeError, ValueError, EntryNotFoundError, _HTTP_ERROR) as error:
            raise self._told(error) from error

    def _told(self, error: BaseException) -> EmosetError:
        if isinstance(error, OfflineModeIsEnabled):
            return EmosetError("the client is set to work offline", where=self.address, cure="unset HF_HUB_OFFLINE")
        status, text = _status(error), " ".join(str(getattr(error, "server_message", None) or error).split())
        again = "run the same command again: what has arrived is not uploaded twice"
        namespace = self._id.partition("/")[0]
        got, cure = {
            401: ("you are not logged in, or your token is not valid", "run 'hf auth login', or give a token"),
            403: ("your token must not write there", f"take a token with write access to {namespace}, see 'hf auth "
                  "login', or a namespace of your own"),
            404: ("there is no such repository, or you must not see it", "mend the address, or run 'hf auth login'"),
            409: ("somebody else is changing the repository", again),
            412: ("somebody else changed the repository in the meantime", again),
        }.get(status or 0, (f"the Hub cannot be used as expected ({text[:300]})", again))  # fmt: skip
        return EmosetError(got, where=self.address, cure=cure)


def _status(error: BaseException | None) -> int | None:
    """The HTTP status that an error or one of its causes tells."""
    while error is not None:
        response: Any = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__
    return None


def _folders(files: Mapping[str, Any]) -> str:
    return ", ".join(dict.fromkeys(path.partition("/")[0] for path in files if "/" in path)) or "the card"


def size_of(content: Path | bytes) -> int:
    """Its bytes."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def facts_of(content: Path | bytes) -> FileFacts:
    """What a manifest says of a file."""
    return {"bytes": size_of(content), "sha256": digest_of(content)}


def digest_of(content: Path | bytes) -> str:
    """Its sha256."""
    return _digest(content, hashlib.sha256)


def git_digest(content: Path | bytes) -> str:
    """The name that git gives to a file of this content.

    Example:
        >>> git_digest(b"")
        'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return _digest(content, lambda: hashlib.sha1(b"blob %d\0" % size_of(content), usedforsecurity=False))


def _digest(content: Path | bytes, start: Callable[[], Any]) -> str:
    state = start()
    if isinstance(content, bytes):
        state.update(content)
    else:
        with content.open("rb") as file:
            while block := file.read(1 << 20):
                state.update(block)
    return str(state.hexdigest())
