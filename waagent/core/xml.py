"""The only importer of lxml: untrusted XML to nodes that name what is missing.

No entities, no DTD, no network; namespaces are ignored in look-ups unless one is asked for.
Source: spec WIRE 3.1 (reading rules) and DAEMON 4.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from lxml import etree

from waagent.core.errors import DocumentError

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64

__all__ = [
    "MAX_BYTES",
    "Node",
    "attributes",
    "escape",
    "parse",
    "quoteattr",
    "remove",
    "remove_remarks",
    "replace_attributes",
]


_IN_ATTRIBUTES = str.maketrans({"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def escape(text: str) -> str:
    """Text as the content of an element. The library's own imports half of urllib for it."""
    return text.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")


def quoteattr(text: str) -> str:
    """Text as the value of an attribute, with its quotes: single ones if there are only double ones
    in it.
    """
    escaped = escape(text).translate(_IN_ATTRIBUTES)
    if '"' in escaped and "'" not in escaped:
        return f"'{escaped}'"
    return '"' + escaped.replace('"', "&quot;") + '"'


class Node:
    """One element; paths are ``A/B/C`` by local name, from this element's children down."""

    def __init__(self, element: etree._Element, document: str) -> None:
        self._element = element
        self._document = document

    @property
    def name(self) -> str:
        """The local name, without namespace."""
        return str(etree.QName(self._element).localname)

    @property
    def namespace(self) -> Optional[str]:
        """The namespace URI, or ``None``."""
        return etree.QName(self._element).namespace

    def walk(self) -> Iterator[Node]:
        """This element and all below it, in document order."""
        for element in self._element.iter("{*}*"):
            yield Node(element, self._document)

    def many(self, path: str) -> list[Node]:
        """All elements at the path, in document order; possibly none."""
        found = [self._element]
        for part in path.split("/"):
            found = [child for parent in found for child in parent.iterchildren("{*}" + part)]
        return [Node(element, self._document) for element in found]

    def maybe(self, path: str) -> Optional[Node]:
        """The first element at the path, or ``None``."""
        found = self.many(path)
        return found[0] if found else None

    def one(self, path: str) -> Node:
        """The first element at the path; ``DocumentError`` naming document and path if absent."""
        node = self.maybe(path)
        if node is None:
            raise self.error(f'"{path}" is missing')
        return node

    def find(self, name: str, namespace: Optional[str] = None) -> Optional[Node]:
        """The first descendant of that local name (and namespace), in document order."""
        tag = f"{{{'*' if namespace is None else namespace}}}{name}"
        for element in self._element.iterdescendants(tag):
            return Node(element, self._document)
        return None

    def content(self) -> str:
        """The element's own text, CDATA included, exactly as it stands; ``""`` when empty."""
        parts = [self._element.text or ""]
        parts.extend(child.tail or "" for child in self._element)
        return "".join(parts)

    def text(self, path: str) -> str:
        """The text at the path without surrounding white space; absent or blank is an error."""
        value = self.maybe_text(path)
        if value is None:
            raise self.error(f'"{path}" is missing or empty')
        return value

    def maybe_text(self, path: str) -> Optional[str]:
        """The stripped text at the path, or ``None`` when absent or blank."""
        node = self.maybe(path)
        return (node.content().strip() or None) if node is not None else None

    def attr(self, name: str) -> Optional[str]:
        """An attribute's value as written, or ``None``."""
        value = self._element.get(name)
        return None if value is None else str(value)

    def replace_content(self, text: str) -> None:
        """Drop all children and set the element's text."""
        for child in list(self._element):
            self._element.remove(child)
        self._element.text = text

    def render(self) -> bytes:
        """The element as UTF-8 XML with a declaration."""
        return etree.tostring(
            self._element, xml_declaration=True, encoding="utf-8", with_tail=False
        )

    def error(self, why: str) -> DocumentError:
        """An error that names this document, for callers that check values themselves."""
        return DocumentError(f"cannot read {self._document}: {why}")


def parse(data: bytes, document: str, root: Optional[str] = None) -> Node:
    """Parse a whole document; ``root`` is the local name its first element must have.

    Raises ``DocumentError`` for anything that is not such a document: not XML, a DOCTYPE, too
    large (16 MiB), too deep (64 levels), another root. Nothing else is raised.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(f"cannot read {document}: {len(data)} bytes are over {MAX_BYTES}")
    if len(data) >= 3 and all(byte > 128 for byte in data[:3]):
        data = data[3:]  # a byte order mark, as the fabric sometimes sends (WIRE 2.5)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        element = etree.fromstring(data.lstrip(), parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        # The parser's own text repeats pieces of the document, which may be secret or long.
        raise DocumentError(f"cannot read {document}: not well-formed XML{_place(error)}") from None
    except MemoryError:
        raise DocumentError(f"cannot read {document}: it does not fit in memory") from None
    if element is None:
        raise DocumentError(f"cannot read {document}: it is empty")
    if element.getroottree().docinfo.internalDTD is not None:
        raise DocumentError(f"cannot read {document}: a document type declaration is refused")
    _check_depth(element, document)
    node = Node(element, document)
    if root is not None and node.name != root:
        name = node.name[:80]
        raise DocumentError(f'cannot read {document}: the root is "{name}", not "{root}"')
    return node


def attributes(node: Node) -> dict[str, str]:
    """A copy of the element's attributes, names as written (``{namespace}local`` with one)."""
    return {str(name): str(value) for name, value in node._element.attrib.items()}


def replace_attributes(node: Node, values: dict[str, str]) -> None:
    """Give the element these attributes and no others."""
    node._element.attrib.clear()
    for name, value in values.items():
        node._element.set(name, value)


def remove_remarks(node: Node) -> None:
    """Take all comments and processing instructions out of an element; texts around them join."""
    etree.strip_tags(node._element, etree.Comment, etree.ProcessingInstruction)


def remove(node: Node) -> None:
    """Take an element out of its tree, with its text; what follows it stays."""
    element = node._element
    parent = element.getparent()
    if parent is None:
        raise node.error("the root cannot be removed")
    tail = element.tail or ""
    before = element.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    parent.remove(element)


def _place(error: Exception) -> str:
    if not isinstance(error, etree.XMLSyntaxError):
        return ""
    last = getattr(error.error_log, "last_error", None)
    kind = f" ({last.type_name})" if last is not None else ""
    line, column = error.position
    return f" at line {line}, column {column}{kind}"


def _check_depth(element: etree._Element, document: str) -> None:
    depth = 0
    for event, _ in etree.iterwalk(element, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise DocumentError(f"cannot read {document}: nested deeper than {MAX_DEPTH} levels")
