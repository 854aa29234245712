"""Lists and their pages.

A list ends at the first page without data: `pagination` is missing from some services and wrong in
others. A server that ignores `page` sends the same page again, which ends the list as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from include.nemo.call import Call, Listing
from include.nemo.urls import Service

ModelT = TypeVar("ModelT", bound=BaseModel)
ItemT = TypeVar("ItemT")

PAGE_SIZE = 100
MAX_PAGES = 10_000


def rows(body: Any) -> list[Any]:
    """The rows of a list answer. Raises TypeError for anything but `{"data": [...]}`."""
    data = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(data, list):
        raise TypeError('a list must be an object with an array "data"')
    return data


def listing(
    service: Service,
    name: str,
    collection: str,
    model: type[ModelT],
    *,
    filters: Mapping[str, str | None],
    keep: Callable[[ModelT], bool] = lambda _: True,
) -> Listing[ModelT]:
    """A listing of `collection` (a path) with server-side `filters` and a client-side `keep`."""
    base = {f"filter[{key}]": value for key, value in filters.items() if value is not None}

    def page(number: int) -> Call[list[ModelT]]:
        return Call(
            service=service,
            name=f"{name}, page {number}",
            method="GET",
            path=collection,
            params={**base, "page": number, "page_size": PAGE_SIZE},
            parse=lambda body: [model.model_validate(row) for row in rows(body)],
            safe_to_repeat=True,
        )

    return Listing(page=page, keep=keep)


class Collector(list[ItemT]):
    """Gathers pages; `add` says whether to ask for another one."""

    def __init__(self, wanted: Listing[ItemT]) -> None:
        super().__init__()
        self._wanted = wanted
        self._pages = 0
        self._last_page: list[ItemT] = []

    def next_call(self) -> Call[list[ItemT]]:
        """The call for the next page."""
        return self._wanted.page(self._pages + 1)

    def add(self, page: list[ItemT]) -> bool:
        """Take a page. Returns False when the list has ended."""
        if not page or page == self._last_page:
            return False
        self.extend(item for item in page if self._wanted.keep(item))
        self._last_page = page
        self._pages += 1
        return self._pages < MAX_PAGES


def of_project(project: str, custom_fields: Mapping[str, str]) -> Callable[[Any], bool]:
    """Keeps entities of a project whose custom fields hold all of `custom_fields`."""

    def keep(entity: Any) -> bool:
        return entity.project == project and all(
            str(entity.custom_fields.get(key)) == value for key, value in custom_fields.items()
        )

    return keep
