"""Changes within the structure of a good document: a value of another kind, a name twice, a gap.

Bytes changed at random seldom stay well-formed; what comes after the parsers' first line is found
with these.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any, Union
from xml.etree import ElementTree

Container = Union[dict[str, Any], list[Any]]

TEXTS = (
    *("", " ", "0", "-1", "4", "9" * 17, "9" * 19, "9" * 400, "1.0", "1_0", "٣", "é", "\u2028"),
    *("true", "TRUE", "enabled", "Disabled", "uninstall", "null", "NaN", "../x", "a/b", "a\nb"),
    *("PageBlob", "x" * 300, "{}", "[]", "[{}]", '{"runtimeSettings": [null]}', "\x85", "%00"),
    *("https://s/b?sv=1&sig=S", "Fri, 31 Jan 2025 10:00:00 GMT", "1.2.3.4", "..", "\ud800", "=="),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 1.5, 1e300, 10**17, 10**30, float("nan"), float("-inf")),
    *([], {}, [None], [[]], [{}], {"": None}, {"name": 1}, [1, "a", None], *TEXTS),
)


def mutate(data: bytes, random: Random) -> bytes:
    """The document after one to four changes; one that cannot be read is given back as it is."""
    head = data.lstrip(b"\xef\xbb\xbf\x00 \t\r\n")[:1]
    if head == b"<":
        return _mutate_xml(data, random)
    if head in (b"{", b"["):
        return _mutate_json(data, random)
    return data


def _mutate_json(data: bytes, random: Random) -> bytes:
    try:
        document = json.loads(data.rstrip(b"\x00"))
    except (ValueError, RecursionError):
        return data
    for _ in range(random.randint(1, 4)):
        places = list(_places(document))
        if places:
            _change_json(*random.choice(places), random)
    try:
        return json.dumps(document).encode()
    except (ValueError, RecursionError):
        return data


def _places(value: Any) -> Iterator[tuple[Container, Any]]:
    """Every member and item, by what holds it."""
    below = [value]
    while below:
        holder = below.pop()
        if isinstance(holder, dict):
            keys: list[Any] = list(holder)
        elif isinstance(holder, list):
            keys = list(range(len(holder)))
        else:
            continue
        for key in keys:
            yield holder, key
            below.append(holder[key])


def _change_json(holder: Any, key: Any, random: Random) -> None:
    kind = random.choice(("value", "value", "inner", "gap", "twice", "swap"))
    if kind == "value":
        holder[key] = copy.deepcopy(random.choice(VALUES))
    elif kind == "inner" and isinstance(holder[key], str):
        holder[key] = _mutate_json(holder[key].encode("utf-8", "replace"), random).decode()
    elif kind == "gap":
        del holder[key]
    elif isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif kind == "twice":
        holder[key.swapcase()] = copy.deepcopy(random.choice((*VALUES, holder[key])))
    else:
        other = random.choice(list(holder))
        holder[key], holder[other] = holder[other], holder[key]


def _mutate_xml(data: bytes, random: Random) -> bytes:
    try:
        root = ElementTree.fromstring(data.lstrip(b"\xef\xbb\xbf"))
    except (ElementTree.ParseError, ValueError, LookupError):
        return data
    for _ in range(random.randint(1, 4)):
        parents = list(root.iter())
        _change_xml(random.choice(parents), random)
    try:
        return ElementTree.tostring(root)
    except (ValueError, TypeError, RecursionError):
        return data


def _change_xml(element: ElementTree.Element, random: Random) -> None:
    kind = random.choice(("text", "inner", "attribute", "bare", "gap", "twice", "swap", "remark"))
    if kind == "text":
        element.text = random.choice(TEXTS)
    elif kind == "inner":
        element.text = mutate((element.text or "").encode("utf-8", "replace"), random).decode()
    elif kind == "attribute":
        name = random.choice((*element.keys(), "name", "version", "seqNo", "state"))
        element.set(name, random.choice(TEXTS))
    elif kind == "bare" and element.keys():
        del element.attrib[random.choice(list(element.keys()))]
    elif kind == "remark":
        remark: Any = ElementTree.Comment(random.choice(("x", element.text or "")))
        element.insert(0, remark)
    elif len(element):
        child = random.choice(list(element))
        if kind == "gap":
            element.remove(child)
        elif kind == "twice":
            element.append(copy.deepcopy(child))
        else:
            child.tag = random.choice(list(element)).tag
