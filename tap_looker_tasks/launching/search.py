"""Search of Looks, dashboards, Explores and fields by words: `--find`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from tap_looker_tasks.errors import RequestRejectedError
from tap_looker_tasks.looker import LookerClient
from tap_looker_tasks.records import ExploreField, explore_fields
from tap_looker_tasks.results import as_id, as_object, as_objects, as_text
from tap_looker_tasks.threads import map_concurrently
from tap_looker_tasks.wording import Findings, suggest_names

MAX_SHOWN = 25
# Looker matches one word; the others are matched here.
_MAX_MATCHED = 500
_LOOKML_FOLDER = "lookml"
_NOT_FOUND = 404
_KINDS = ("dimension", "measure", "filter", "parameter")


@dataclass(frozen=True, slots=True)
class Content:
    """Something that can be extracted.

    Attributes:
        kind: `Look`, `dashboard` or `Explore`.
        title: Title that users see.
        place: Its folder; for an Explore, its description.
        source: Text to paste: an address, or `model/explore`.
    """

    kind: str
    title: str
    place: str
    source: str


def search_content(words: Sequence[str], client: LookerClient, base_url: str) -> Findings[Content]:
    """Return visible content that matches all words; without words, the most viewed content.

    Sends four concurrent requests, for any amount of content.

    Raises:
        RequestError: If a request to Looker fails.
    """
    requested = [word.lower() for word in words]
    longest = max(requested, key=len, default="")
    pattern = f"%{longest}%" if longest else ""
    limit = MAX_SHOWN + 1 if len(requested) < 2 else _MAX_MATCHED  # noqa: PLR2004 - one word
    kinds: tuple[Callable[[], Iterator[Content]], ...] = (
        lambda: _pages("Look", client.search_looks(pattern, limit=limit), base_url),
        lambda: _pages("dashboard", client.search_dashboards(pattern, limit=limit), base_url),
        lambda: _pages("dashboard", client.folder_dashboards(_LOOKML_FOLDER), base_url),
        lambda: _explores(client.all_lookml_models(), shows_hidden=bool(requested)),
    )
    found = map_concurrently(partial(_search_one, requested), kinds, len(kinds))
    looks, dashboards, of_lookml, explores = (content for content, _ in found)
    notes = dict.fromkeys(note for _, note in found if note)
    shown: list[Content] = []
    for content in (looks, [*dashboards, *of_lookml], explores):
        shown += content[:MAX_SHOWN]
        if len(content) > MAX_SHOWN:
            notes[f"there are more {content[0].kind}s; add words to find others"] = None
    return Findings(tuple(shown), notes=tuple(notes))


def _search_one(
    words: Iterable[str], look_up: Callable[[], Iterator[Content]]
) -> tuple[list[Content], str | None]:
    try:
        content = [*look_up()]
    except RequestRejectedError as error:
        # A user without the permission for one kind may see the others.
        return [], error.message
    texts = ((f"{one.title} {one.place} {one.source}".lower(), one) for one in content)
    return [one for text, one in texts if all(word in text for word in words)], None


def _pages(kind: str, found: Iterable[object], base_url: str) -> Iterator[Content]:
    for entry in as_objects(found):
        id_, title = as_id(entry.get("id")), as_text(entry.get("title"))
        if id_:
            address = f"{base_url}/{kind.lower()}s/{quote(id_, safe=':')}"
            folder = as_text(as_object(entry.get("folder")).get("name"))
            yield Content(kind, title or id_, folder or "", address)


def _explores(models: Iterable[object], *, shows_hidden: bool) -> Iterator[Content]:
    for model in as_objects(models):
        for explore in as_objects(model.get("explores")):
            if shows_hidden or explore.get("hidden") is not True:
                name, label = as_text(explore.get("name")), as_text(explore.get("label"))
                about = as_text(explore.get("description")) or ""
                source = f"{model.get('name')}/{name}"
                yield Content("Explore", label or source, about, source)


def find_fields(model: str, explore: str, client: LookerClient) -> list[ExploreField]:
    """Return the fields of an Explore, in its author's order.

    Raises:
        RequestRejectedError: If Looker shows no such Explore; the message names those it shows.
        RequestError: If a request to Looker fails.
    """
    try:
        described = client.lookml_model_explore(model, explore)
    except RequestRejectedError as error:
        if error.http_status != _NOT_FOUND:
            raise
    else:
        fields = explore_fields(described).values()
        return sorted(fields, key=lambda field: _KINDS.index(str(field.category)))
    name = f"{model}/{explore}"
    known = [content.source for content in _explores(client.all_lookml_models(), shows_hidden=True)]
    msg = f"Looker shows this user no Explore {name}{suggest_names(name, known)}"
    raise RequestRejectedError(msg, http_status=_NOT_FOUND)
