"""Cutting a stream into lines: the same lines whatever the pieces, and never more memory than a row."""

from hypothesis import given
from hypothesis import strategies as st

from credentials.registry.formats.gbt36903 import MAX_ROW_BYTES
from credentials.registry.formats.ndjson import LineSplitter


def _lines(pieces: list[bytes]) -> list[bytes]:
    splitter = LineSplitter()
    return [line for piece in pieces for line in splitter.feed(piece)] + [splitter.end()]


@given(st.lists(st.binary(max_size=40)), st.data())
def test_the_lines_are_the_same_however_the_stream_is_cut(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert _lines(pieces) == stream.split(b"\n")


def test_a_line_without_end_is_cut_so_that_it_is_refused_and_the_next_one_is_whole() -> None:
    splitter = LineSplitter()
    for _ in range(64):
        assert list(splitter.feed(b"x" * 65_536)) == []
        assert len(splitter._held) <= MAX_ROW_BYTES + 1
    first, second = splitter.feed(b"x\n{}\n")
    assert len(first) == MAX_ROW_BYTES + 1
    assert second == b"{}"
