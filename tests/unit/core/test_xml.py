"""XML from outside: what is refused, and how nodes are found, changed and written."""

from __future__ import annotations

from xml.sax import saxutils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core import xml
from waagent.core.errors import DocumentError

DOCUMENT = (
    b"<?xml version='1.0'?><!-- before --><a xmlns='urn:a' xmlns:p='urn:p'>"
    b"<b k='1'>one<!-- c -->two</b><p:b> three </p:b><c><b>four</b></c><d/>tail</a>"
)


def doc(data: bytes = DOCUMENT) -> xml.Node:
    """A parsed document."""
    return xml.parse(data, "the paper")


def test_xml_paths_find_children_by_local_name() -> None:
    """Namespaces do not matter unless one is asked for."""
    root = doc()
    assert [node.content() for node in root.many("b")] == ["onetwo", " three "]
    assert [node.content() for node in root.many("c/b")] == ["four"]
    assert root.one("b").attr("k") == "1"
    assert root.one("b").attr("missing") is None
    assert root.maybe("nothing/here") is None


def test_xml_find_looks_at_any_depth_and_by_namespace() -> None:
    """The first in document order."""
    root = doc()
    found = root.find("b", "urn:p")
    assert found is not None
    assert (found.name, found.namespace) == ("b", "urn:p")
    first = root.find("b")
    assert first is not None
    assert first.content() == "onetwo"
    assert root.find("b", "urn:none") is None
    assert root.find("nothing") is None


def test_xml_text_is_stripped_and_blank_counts_as_absent() -> None:
    """Content is as it stands."""
    root = doc(b"<a><t> x </t><blank> </blank><cdata><![CDATA[ <y> ]]></cdata></a>")
    assert root.text("t") == "x"
    assert root.maybe_text("blank") is None
    assert root.one("cdata").content() == " <y> "


def test_xml_error_names_document_and_path() -> None:
    """So that a log line says enough."""
    with pytest.raises(DocumentError, match='cannot read the paper: "x/y" is missing'):
        doc().one("x/y")
    with pytest.raises(DocumentError, match='cannot read the paper: "d" is missing or empty'):
        doc().text("d")
    assert "why" in str(doc().error("why"))


def test_xml_walk_gives_every_element_and_no_comment() -> None:
    """In document order, itself first."""
    assert [node.name for node in doc().walk()] == ["a", "b", "b", "c", "b", "d"]


def test_xml_removed_element_leaves_what_follows_it() -> None:
    """Its tail is not its own."""
    root = doc(b"<a>0<b>x</b>1<c/>2</a>")
    xml.remove(root.one("b"))
    xml.remove(root.one("c"))
    assert root.content() == "012"
    with pytest.raises(DocumentError, match="root"):
        xml.remove(root)


def test_xml_replaced_content_and_attributes_are_rendered_escaped() -> None:
    """And can be parsed again."""
    root = doc(b"<a>0<b x='1'><c/>y</b>1</a>")
    root.one("b").replace_content("<&>")
    xml.replace_attributes(root.one("b"), {"z": '"'})
    again = doc(root.render())
    assert again.one("b").content() == "<&>"
    assert xml.attributes(again.one("b")) == {"z": '"'}
    assert again.content() == "01"


def test_xml_renders_an_inner_element_without_what_follows_it() -> None:
    """Only the element."""
    assert doc(b"<a><b/>tail</a>").one("b").render().endswith(b"<b/>")


def test_xml_byte_order_mark_is_dropped() -> None:
    """The fabric sends one at times."""
    assert doc(b"\xef\xbb\xbf<a/>").name == "a"


def test_xml_root_of_another_name_is_refused() -> None:
    """An error page may be well-formed."""
    with pytest.raises(DocumentError, match='the root is "a", not "GoalState"'):
        xml.parse(DOCUMENT, "the paper", "GoalState")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"text",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<p:a/>",
        b"<a>&e;</a>",
        b"<a>\x00</a>",
        b"<a>\xff</a>",
        b"<!DOCTYPE a><a/>",
        b"<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
        b"<?xml version='1.0' encoding='no-such'?><a/>",
        b"<a>" * (xml.MAX_DEPTH + 1) + b"</a>" * (xml.MAX_DEPTH + 1),
        b"<a>" * 100_000,
        b"<a>" + b" " * xml.MAX_BYTES + b"</a>",
    ],
    ids=lambda data: repr(data[:40]),
)
def test_xml_that_is_not_plain_is_a_document_error(data: bytes) -> None:
    """Never another error, and never an entity."""
    with pytest.raises(DocumentError, match="cannot read the paper"):
        doc(data)


def test_xml_error_says_where_and_repeats_nothing_of_the_document() -> None:
    """It may be secret, and it may be long."""
    with pytest.raises(DocumentError, match="at line 1, column 1") as caught:
        doc(b"<a><SECRET>x</a>")
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_xml_of_many_entities_is_refused_without_expanding_them() -> None:
    """A billion laughs."""
    entities = b"".join(
        b"<!ENTITY e%d '%s'>" % (n, b"&e%d;" % (n - 1) * 10 if n else b"ha") for n in range(12)
    )
    with pytest.raises(DocumentError):
        doc(b"<!DOCTYPE a [" + entities + b"]><a>&e11;</a>")


@given(st.text(st.sampled_from("a&<>\"'\n\r\t\u00e9")))
def test_text_is_escaped_as_the_standard_library_would(text: str) -> None:
    assert xml.escape(text) == saxutils.escape(text)
    assert xml.quoteattr(text) == saxutils.quoteattr(text)
