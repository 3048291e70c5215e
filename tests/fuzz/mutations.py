"""How a good document becomes a bad one: bytes changed, pieces cut, doubled, moved."""

from __future__ import annotations

from hypothesis import strategies as st

# What parsers stumble over: markup, escapes, numbers at limits, half characters, other encodings.
WORDS = (
    *(b"<", b">", b"</", b"/>", b"&", b"&amp;", b"&#0;", b"&#x10FFFF;", b"<![CDATA[", b"]]>"),
    *(b"<!--", b"-->", b"<?x y?>", b"<!DOCTYPE a [<!ENTITY e 'x'>]>", b"&e;", b" xmlns='u'"),
    *(b"{", b"}", b"[", b"]", b":", b",", b'"', b"null", b"true", b"NaN", b"Infinity", b"-1"),
    *(b"1e999", b"9" * 30, b"9" * 5000, b"\\ud800", b"\\u0000", b"\\", b"../", b"\x00", b"\xff"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3\x28", "é".encode(), "\u2028".encode(), b"\r\n", b" "),
    *(b"[" * 500, b'{"a":' * 2000, b"<a>" * 100, b"\x30\x80", b"\x02\x01\x00", b"\x24\x80"),
)

_EDITS = ("change", "cut", "double", "move", "word", "end")


@st.composite
def mutants(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """One of the seeds after some edits."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        _edit(draw, data)
    return bytes(data)


def _edit(draw: st.DrawFn, data: bytearray) -> None:
    size = len(data)
    at = draw(st.integers(0, size))
    end = min(size, at + draw(st.sampled_from((1, 2, 4, 16, 64, 512))))
    kind = draw(st.sampled_from(_EDITS))
    if kind == "change" and at < size:
        data[at] = draw(st.integers(0, 255))
    elif kind == "cut":
        del data[at:end]
    elif kind == "double":
        data[at:at] = data[at:end]
    elif kind == "move":
        piece = data[at:end]
        del data[at:end]
        to = draw(st.integers(0, len(data)))
        data[to:to] = piece
    elif kind == "word":
        data[at:at] = draw(st.sampled_from(WORDS))
    else:
        del data[at:]
