"""Opening: built corpora, in a folder or on the Hub, as memory-mapped tables of ``datasets``."""

from __future__ import annotations

import atexit
import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import datasets
import pyarrow as pa
from datasets.table import MemoryMappedTable, concat_tables
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from emoset.errors import DataFolderError, EmosetError, NotBuiltError, UnknownNameError, unknown_name
from emoset.registry import COLLECTIONS, get_recipe, known_names, resolve
from emoset.schema import COLUMNS, SPLITS
from emoset.shards import MANIFEST, FileFacts, built_configurations, default_data_dir, file_hash, read_manifest
from emoset.stamps import is_unchanged
from emoset.targets import HUB

_REPOSITORY: Final = re.compile(rf"(?:{HUB})?(?P<id>\w[\w.-]*/\w[\w.-]*?)(?:@(?P<revision>[\w./-]+))?/?")
# The errors of the HTTP library below the client; which library that is differs by the client's version.
_HTTP_ERROR: Final[Any] = HfHubHTTPError.__bases__[0]


@dataclass(frozen=True)
class Place:
    """Where built corpora are.

    Args:
        root: the data folder.
        address: of the repository that it was downloaded from; empty for a folder.
    """

    root: Path
    address: str = ""

    def __str__(self) -> str:
        return self.address or str(self.root)


@dataclass(frozen=True)
class Built:
    """A built corpus.

    Args:
        name: of the configuration.
        place: where it is.
        manifest: what is built there.
    """

    name: str
    place: Place
    manifest: Mapping[str, Any]

    @property
    def splits(self) -> list[str]:
        """The splits that it has, in order."""
        return [split for split in SPLITS if split in self.manifest["splits"]]

    def table(self, split: str) -> Any:
        """The rows of a split, memory-mapped.

        Raises:
            DataFolderError: a shard is missing, cannot be read, or is not what was built.
        """
        published = self.manifest.get("published", {})
        if not published.get("audio", True):
            raise DataFolderError(
                f"{self.name} is published there without its recordings", where=str(self.place),
                cure=f"build it from your own copy: 'emoset build {self.name} --raw FOLDER'",
            )  # fmt: skip
        facts: Mapping[str, FileFacts] = published.get("files") or self.manifest["shards"]
        names = sorted(n for n in facts if re.fullmatch(rf"{split}-\d+\.(arrow|parquet)", n))
        if not names:
            raise self._damaged(MANIFEST, f"the manifest is damaged: it names no shard of {split}")
        links = [self._checked(name, facts[name]) for name in names]
        if names[0].endswith(".parquet"):
            table = datasets.Dataset.from_parquet([str(link) for link in links], split=split).data
        else:
            table = concat_tables([self._mapped(*shard) for shard in zip(names, links, strict=True)])
        return table.select(list(COLUMNS))

    @cached_property
    def _untouched(self) -> bool:
        return is_unchanged(self.place.root, self.name)

    def _checked(self, name: str, told: FileFacts) -> Path:
        """A link to a shard that is what the manifest says; see `_linked`.

        The size is looked at each time. The content is hashed once for each state of the file, unless it was built
        here and not touched since: that it was found right is remembered by the link.
        """
        path = self.place.root / self.name / name
        try:
            state = path.stat()
        except OSError:
            raise self._damaged(name, "the shard is missing") from None
        if state.st_size != told["bytes"]:
            raise self._damaged(name, f"the shard has {state.st_size} bytes", f"{told['bytes']}")
        target = path.resolve()
        key = sha256(f"{target}\n{told['sha256']}\n{state.st_mtime_ns}".encode()).hexdigest()[:20]
        place = Path("emoset-links", f"{self.name}-{key}", name)
        link = Path(datasets.config.HF_DATASETS_CACHE) / place
        if link.exists() and link.resolve() == target:
            return link
        if not self._untouched and file_hash(path) != told["sha256"]:
            raise self._damaged(name, "the shard is not what was built (its sha256 differs)")
        return _linked(target, link) or _linked(target, _own_folder() / place) or target

    def _mapped(self, name: str, link: Path) -> Any:
        try:
            table = MemoryMappedTable.from_file(str(link))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(name, f"the shard cannot be read ({str(error).splitlines()[0]})") from None
        if {field.name: field.type for field in table.schema} != COLUMNS:
            raise self._damaged(name, "the shard has other columns", ", ".join(COLUMNS))
        return table

    def _damaged(self, name: str, got: str, expected: str = "the file that was built") -> DataFolderError:
        path, root = self.place.root / self.name / name, self.place.root
        if self.place.address:
            cure = f"remove {path.resolve()} and load again: it is then downloaded again"
        else:
            cure = (
                f"copy the folder again, or run 'emoset build {self.name} --rebuild --raw FOLDER --out {root}'; "
                f"'emoset verify {root}' looks at all files"
            )
        where = f"{self.place.address}/{self.name}/{name}" if self.place.address else str(path)
        return DataFolderError(got, where=where, expected=expected, cure=cure)


def expand(name: str | Sequence[str]) -> list[str]:
    """Names of configurations: collections by their members, and each once.

    Example:
        >>> expand(["emodb", "emoset26"])[:3]
        ['emodb', 'abc', 'ad']
    """
    names: list[str] = []
    for each in [name] if isinstance(name, str) else name:
        if each in COLLECTIONS or each == "all" or each.endswith(".txt"):
            names += resolve(each)
        else:
            names.append(get_recipe(each).configuration if each.endswith(".py") else each)
    if not names:
        raise UnknownNameError("no corpus is named", expected="one or several", cure="see 'emoset list'")
    return list(dict.fromkeys(names))


def place_of(data_dir: str | Path | None, names: Sequence[str]) -> Place:
    """The data folder; one of the Hub is downloaded, as far as it holds these configurations.

    Args:
        data_dir: a folder; ``<namespace>/<name>`` or ``hf://datasets/<namespace>/<name>``, with ``@<revision>`` or
            without, for a repository, unless there is a folder of that name; None for the default folder.
        names: of configurations.

    Raises:
        NotBuiltError: there is no such repository.
        EmosetError: the Hub cannot be used.
    """
    if data_dir is None:
        return Place(default_data_dir())
    text, path = str(data_dir), Path(data_dir)
    named = _REPOSITORY.fullmatch(text) if isinstance(data_dir, str) else None
    if not text.startswith(HUB) and (named is None or path.exists()):
        return Place(path)
    if named is None:
        raise EmosetError(
            "no address of a dataset repository", where=text, expected=f"{HUB}<namespace>/<name>", cure="mend it"
        )
    patterns = [f"{name}/{files}" for name in names for files in (MANIFEST, "*.arrow", "*.parquet")]
    root = _downloaded(named, patterns)
    if not all((root / name / MANIFEST).is_file() for name in names):
        root = _downloaded(named, [f"*/{MANIFEST}"])  # to tell what there is instead
    return Place(root, text if text.startswith(HUB) else f"{HUB}{text}")


def _downloaded(repository: re.Match[str], patterns: list[str]) -> Path:
    """A snapshot in the cache of ``huggingface_hub``, which answers without a network too."""
    address = repository.string
    or_folder = "" if address.startswith(HUB) else "there is no such folder, and "
    try:
        found = snapshot_download(
            repository["id"], repo_type="dataset", revision=repository["revision"], allow_patterns=patterns
        )
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise NotBuiltError(
            f"{or_folder}there is no such dataset repository or revision, or you must not see it", where=address,
            cure="mend data_dir, or run 'hf auth login'",
        ) from None  # fmt: skip
    except (OSError, ValueError, _HTTP_ERROR) as error:
        told = " ".join(str(error).split())[:300]
        raise EmosetError(
            f"{or_folder}the Hub cannot be asked ({told})", where=address,
            cure="mend data_dir; for the Hub, look at the network, HF_HUB_OFFLINE and HF_ENDPOINT",
        ) from None  # fmt: skip
    return Path(found)


def find(names: Sequence[str], place: Place) -> list[Built]:
    """The built corpora of these names.

    Raises:
        UnknownNameError: there is no such corpus.
        NotBuiltError: some are not built there; all of them are named.
        DataFolderError: what is there is no build.
    """
    found = [name for name in names if (place.root / name / MANIFEST).is_file()]
    if absent := [name for name in names if name not in found]:
        raise _absent(absent, place)
    return [Built(name, place, read_manifest(place.root / name)) for name in found]


def _absent(names: Sequence[str], place: Place) -> EmosetError:
    root, built = place.root, built_configurations(place.root)
    listed = ", ".join(built) or "nothing"
    cure = f"run 'emoset build {' '.join(names)} --raw FOLDER --out {root}'"
    for name in names:
        try:
            get_recipe(name)
        except UnknownNameError:
            return unknown_name("corpus", name, {*known_names(), *COLLECTIONS, *built}, "see 'emoset list'")
    those = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not"
    if place.address:
        return NotBuiltError(f"{those} published there", where=str(place), expected=f"some of {listed}")
    if root.is_file() or (root / MANIFEST).is_file():
        got = "it is a file" if root.is_file() else "it is the folder of one corpus"
        return DataFolderError(
            got, where=str(root), expected="the data folder, which holds a folder for each corpus",
            cure=f"give data_dir={str(root.parent)!r}",
        )  # fmt: skip
    for name in names:
        if (root / name).is_dir():
            shards = any((root / name).glob("*.arrow"))
            got = f"there are shards without their {MANIFEST}" if shards else f"it is no build: there is no {MANIFEST}"
            return DataFolderError(got, where=str(root / name), expected="a complete build", cure=cure)
    return NotBuiltError(
        f"{those} built there", where=str(root),
        expected=f"the folder {names[0]}/ (built: {listed})" if len(names) == 1 else f"all of them (built: {listed})",
        cure=cure,
    )  # fmt: skip


@cache
def _own_folder() -> Path:
    """A folder of this process, for want of a cache that can be written to; it goes when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="emoset-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _linked(target: Path, link: Path) -> Path | None:
    """The link, made now; None if it cannot be.

    ``datasets`` puts the cache files of map, filter, shuffle and sort beside the file that a dataset was opened from.
    Opened through a link, they go to its cache, and nothing is ever written into a built folder.
    """
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        new = link.with_name(f".{link.name}.{uuid.uuid4().hex}")
        new.symlink_to(target)
        new.replace(link)  # at once, whoever else does the same
    except OSError:
        return None
    return link
