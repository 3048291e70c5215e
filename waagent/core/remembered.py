"""Documents that are asked for again and again and seldom change: read once, then remembered.

An idle agent reads the same few every six seconds. What is compared is the content, not a file's
time, which says too little: an extension may write twice within its grain.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar, cast

MAX_BYTES = 64 * 1024
"""A larger document is read each time: to remember it would cost more than it saves."""

Parser = TypeVar("Parser", bound=Callable[..., Any])


def remembered(documents: int) -> Callable[[Parser], Parser]:
    """For a pure ``parse_*`` of bytes whose result nobody changes: its last results are kept."""

    def decorate(parse: Parser) -> Parser:
        recall = functools.lru_cache(documents)(parse)

        @functools.wraps(parse)
        def parse_or_recall(data: bytes, *rest: Any) -> Any:
            return (recall if len(data) <= MAX_BYTES else parse)(data, *rest)

        return cast(Parser, parse_or_recall)

    return decorate
