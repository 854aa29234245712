"""Several iterators read by a thread each, and what they give as one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
_POLL_SECONDS = 0.1


class _Ended(Generic[T]):
    """One source has no more: it was read to its end, or failed."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def side_by_side(sources: Sequence[Callable[[Callable[[], bool]], Iterator[T]]]) -> Generator[T, None, None]:
    """What the sources give, in the order of arrival; at most one item a source waits to be taken.

    A source is called with a function that tells whether nobody wants more. The first error of a source is
    raised here. When this iterator is closed, every thread has ended.
    """
    items: queue.Queue[T | _Ended[T]] = queue.Queue(maxsize=len(sources))
    stop = threading.Event()

    def put(item: T | _Ended[T]) -> None:
        while not stop.is_set():
            try:
                items.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

    def run(source: Callable[[Callable[[], bool]], Iterator[T]]) -> None:
        try:
            for item in source(stop.is_set):
                put(item)
        except BaseException as error:
            put(_Ended(error))
        else:
            put(_Ended(None))

    threads = [threading.Thread(target=run, args=(source,), daemon=True) for source in sources]
    try:
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            item = items.get()
            if isinstance(item, _Ended):
                if item.error is not None:
                    raise item.error
                running -= 1
            else:
                yield item
    finally:
        stop.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
