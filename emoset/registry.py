"""Which corpora there are: the book, the user's own recipes, and named collections of them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Final

from emoset.errors import RecipeError, unknown_name
from emoset.recipe import Recipe, as_variant

RECIPES_VARIABLE = "EMOSET_RECIPES"
"""Environment variable: folders with recipe modules of one's own, separated like PATH."""


_SURE = (
    "abc", "ad", "bes", "casia", "cve", "demos", "des", "ea_act", "ea_bmw", "ea_wsj", "emodb", "emofilm", "emotiw2014",
    "enterface", "fau_aibo", "gemep", "gvess", "meld", "mes", "ppmmk", "simis", "smartkom", "susas", "turkishemo",
)  # fmt: skip

COLLECTIONS: Final[dict[str, tuple[str, ...]]] = {
    # Which EU corpus was among the original 26 is not known for certain. This is the likeliest reading: 24 names
    # that the authors' code and the later EmoSet++ agree on, with EU-EV and IEMOCAP; EU-EmoSS came later.
    "emoset26": tuple(sorted((*_SURE, "eu_ev", "iemocap"))),
    "emoset++": tuple(
        sorted((
            *_SURE, "eu_ev", "iemocap", "eu_emoss", "cremad", "emovo", "esd", "mesd", "ravdess", "savee", "shemo",
            "subesco", "tess", "urdu",
        ))
    ),
}  # fmt: skip
"""Named lists of corpora. A file ``mine.txt`` with one name a line is a collection too."""


def list_corpora(
    *,
    collection: str | None = None,
    language: str | None = None,
    access: str | None = None,
    kind: str | None = None,
) -> list[Recipe]:
    """The recipes of all corpora, by id, or those that fit.

    Args:
        collection: name of a collection; a corpus or variant name stands for itself.
        language: BCP 47 tag that must be among the corpus's.
        access: ``open``, ``request``, ``licence`` or ``closed``.
        kind: ``acted``, ``induced`` or ``natural``.

    Raises:
        UnknownNameError: there is no such collection.

    Example:
        >>> [r.id for r in list_corpora(language="ur")]
        ['urdu']
    """
    recipes = [get_recipe(name) for name in resolve(collection)] if collection else list(_book().values())
    return [
        r
        for r in recipes
        if (language is None or language in r.languages)
        and (access is None or r.access == access)
        and (kind is None or r.kind == kind)
    ]


def get_recipe(name: str) -> Recipe:
    """The recipe of a corpus or of one of its variants.

    Args:
        name: such as ``iemocap`` or ``iemocap-full``, or the path of a recipe module (``my_recipe.py``).

    Raises:
        UnknownNameError: there is no such corpus; the message names the nearest ones.
        RecipeError: the module at that path holds no recipe.

    Example:
        >>> get_recipe("iemocap-full").classes[:3]
        ('anger', 'disgust', 'excitement')
    """
    if name.endswith(".py"):
        return _from_file(Path(name))
    book = _book()
    if name in book:
        return book[name]
    for recipe in book.values():
        for variant in recipe.variants:
            if variant.id == name:
                return as_variant(recipe, variant)
    raise unknown_name("corpus", name, [*known_names(), *COLLECTIONS], "see 'emoset list'")


def known_names() -> list[str]:
    """Names of all corpora and variants."""
    return sorted(n for r in _book().values() for n in (r.id, *(v.id for v in r.variants)))


def resolve(name: str | list[str] | tuple[str, ...]) -> list[str]:
    """Corpus names for a corpus, a variant, a collection, or a list of those.

    Collections are those of `COLLECTIONS`, ``all`` for the whole book, and a text file with one name a line.

    Example:
        >>> resolve(["emodb", "iemocap-full"])
        ['emodb', 'iemocap-full']
    """
    names = [name] if isinstance(name, str) else list(name)
    resolved: list[str] = []
    for each in names:
        if each == "all":
            resolved += list(_book())
        elif each in COLLECTIONS:
            resolved += COLLECTIONS[each]
        elif each.endswith(".txt"):
            resolved += resolve(_names_in(Path(each)))
        else:
            get_recipe(each)
            resolved.append(each)
    return list(dict.fromkeys(resolved))


def _names_in(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise unknown_name("collection", str(path), COLLECTIONS, f"mend the file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise RecipeError("it is not UTF-8 text", where=str(path), expected="one name a line") from None
    names = [name for line in lines if (name := line.partition("#")[0].strip())]
    for name in names:
        if name.endswith(".txt"):  # such files could name each other for ever
            raise RecipeError(f"it names the file {name}", where=str(path), expected="corpora and collections by name")
    return names


def book_folders() -> tuple[str, ...]:
    """Folders of one's own recipes, from the environment variable `RECIPES_VARIABLE`."""
    return tuple(f for f in os.environ.get(RECIPES_VARIABLE, "").split(os.pathsep) if f)


def _book() -> dict[str, Recipe]:
    return _read_book(book_folders())


@cache
def _read_book(folders: tuple[str, ...]) -> dict[str, Recipe]:
    book: dict[str, Recipe] = {}
    for where, recipe in _all_recipes(folders):
        if recipe.id in book:
            raise RecipeError(f"a second recipe for corpus {recipe.id!r}", where=where, cure="give it another id")
        book[recipe.id] = recipe
    return dict(sorted(book.items()))


def _all_recipes(folders: tuple[str, ...]) -> Iterator[tuple[str, Recipe]]:
    package = importlib.import_module("emoset.recipes")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"emoset.recipes.{info.name}")
        yield module.__name__, _recipe_of(module, module.__name__)
    for point in importlib.metadata.entry_points(group="emoset.recipes"):
        recipe = point.load()
        if not isinstance(recipe, Recipe):
            raise RecipeError(f"entry point {point.name!r} is no Recipe", where=point.value)
        yield point.value, recipe
    for folder in folders:
        for path in sorted(Path(folder).glob("[!_]*.py")):
            yield str(path), _from_file(path)


def _from_file(path: Path) -> Recipe:
    if not path.is_file():
        raise RecipeError("there is no such file", where=str(path), expected="a Python module with a RECIPE")
    # A name of its own, so that a user's emodb.py cannot stand in the way of another module.
    name = f"emoset_user_recipe_{path.stem}_{sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError("it cannot be imported", where=str(path), expected="a Python module with a RECIPE")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except RecipeError as error:
        raise RecipeError(f"{error}", where=str(path)) from None
    except Exception as error:  # whatever a user's module raises is said of that module
        raise RecipeError(f"it cannot be imported: {type(error).__name__}: {error}", where=str(path)) from None
    return _recipe_of(module, str(path))


def _recipe_of(module: ModuleType, where: str) -> Recipe:
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise RecipeError(
            "it holds no RECIPE", where=where, expected="RECIPE = Recipe(...)", cure="see 'emoset show emodb'"
        )
    return recipe
