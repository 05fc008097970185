import csv
import io
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.errors import ProblemError
from serve_app.api.rows import MOST_FIELDS, CsvRows, NdjsonRows, Row, Rows

TEXT = st.text(min_size=1, max_size=30).filter(
    lambda text: bool(text.strip()) and "\0" not in text and text.isprintable()
)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


def rows_of(rows: Rows, pieces: list[bytes]) -> list[Row]:
    return [row for piece in pieces for row in rows.feed(piece)] + rows.end()


@given(st.lists(TEXT, max_size=20), st.lists(st.integers(1, 50), max_size=20))
def test_ndjson_rows_do_not_depend_on_how_the_upload_was_cut(
    texts: list[str], sizes: list[int]
) -> None:
    data = b"".join(json.dumps({"input": text}).encode() + b"\n" for text in texts)
    rows = rows_of(NdjsonRows(1000), cut(data, sizes))
    assert rows == [Row(n, text) for n, text in enumerate(texts)]


@given(st.lists(TEXT, max_size=20), st.lists(st.integers(1, 50), max_size=20), st.booleans())
def test_csv_rows_do_not_depend_on_how_the_upload_was_cut(
    texts: list[str], sizes: list[int], newlines: bool
) -> None:
    texts = [text + ("\nand more" if newlines else "") for text in texts]
    file = io.StringIO()
    csv.writer(file).writerows([["n", "text"], *([n, text] for n, text in enumerate(texts))])
    rows = rows_of(CsvRows(1000, "text"), cut(file.getvalue().encode(), sizes))
    assert [row.text for row in rows] == texts
    assert [row.id for row in rows] == list(range(len(texts)))


BAD = {
    b"{": "not JSON",
    b"[1]": "JSON object",
    b'{"id": 7}': "missing",
    b'{"id": 7, "input": 3}': "must be a text, not a number",
    b'{"id": 7, "input": " "}': "blank",
    b'{"input": "\\ud800"}': "surrogate",
    b'{"input": "\xff"}': "not JSON",
    b'{"input": "x", "id": "\\ud800"}': "`id` cannot be sent back",
    b'{"input": "x", "id": ' + b"[" * 254 + b"]" * 254 + b"}": "`id` cannot be sent back",
    b'{"input": "x", "id": ' + b"[" * 300 + b"]" * 300 + b"}": "`id` cannot be sent back",
    b'{"input": "x", "id": 123456789012345678901}': "too large a number",
    b'{"input": "x", "id": 1e400}': "too large a number",
    b'{"input": "x", "id": NaN}': "not JSON",
    b'{"input": "' + b"x" * 2000 + b'"}': "longer than 1000",
}


@pytest.mark.parametrize(("line", "says"), BAD.items())
def test_a_bad_line_is_answered_in_its_place(line: bytes, says: str) -> None:
    data = b'{"input": "a"}\n' + line + b'\n\n{"input": "b", "other": 1}'
    first, bad, last = rows_of(NdjsonRows(1000), [data])
    assert (first.text, last.text) == ("a", "b")
    assert bad.text is None
    assert bad.error is not None
    assert says in bad.error
    assert last.id == 2


def test_a_rows_own_id_comes_back_whatever_it_is() -> None:
    data = b'{"input": "a", "id": {"x": [1]}}\n{"input": "b", "id": null}\n{"input": 1, "id": "k"}'
    assert [row.id for row in rows_of(NdjsonRows(1000), [data])] == [{"x": [1]}, None, "k"]


@pytest.mark.parametrize(
    ("rows", "data"),
    [
        (NdjsonRows(9000), b'{"input": "a", "id": "' + b"x" * 2000 + b'"}\n{"input": "b"}\n'),
        (NdjsonRows(9000), b'{"input": "a", "id": [' + b"[]," * 700 + b'0]}\n{"input": "b"}\n'),
        (CsvRows(9000, "t"), b"id,t\n" + b"x" * 2000 + b",a\n1,b\n"),
    ],
)
def test_an_id_is_no_place_for_a_document(rows: Rows, data: bytes) -> None:
    """It is kept with its row while the model works, and drawn from no quota."""
    first, second = rows_of(rows, [data])
    assert (first.id, first.text) == (0, None)
    assert "`id` is longer than 1024" in str(first.error)
    assert second.text == "b"


@pytest.mark.parametrize("rows", [NdjsonRows(2_000_000), CsvRows(2_000_000, "t")])
def test_a_line_that_comes_byte_by_byte_is_looked_at_once(rows: Rows) -> None:
    list(rows.feed(b"t\n" + b"x" * 1_900_000))
    start = time.process_time()
    for _ in range(20_000):
        assert not list(rows.feed(b"x"))
    assert time.process_time() - start < 5, "ten seconds of copying, and more"


def test_a_message_has_no_more_of_a_header_than_can_be_read() -> None:
    header = ",".join(f"{n}" * 500 for n in range(900))
    with pytest.raises(ProblemError, match="has no column 't'") as refused:
        list(CsvRows(9_000_000, "t").feed(header.encode() + b"\n"))
    assert len(refused.value.detail) < 3000
    with pytest.raises(ProblemError, match="has 2001 columns; it may have 1000"):
        list(CsvRows(9000, "t").feed(b"," * 2000 + b"\n"))


def test_bad_csv_records_are_answered_in_their_place() -> None:
    data = b'\xef\xbb\xbfid,text\n1,good\n2\n3,"a ""quoted""\nline"\n4,\xff\n5, \n6,"open'
    rows = rows_of(CsvRows(1000, "text"), [data])
    assert [row.text for row in rows] == ["good", None, 'a "quoted"\nline', None, None, None]
    assert [row.id for row in rows] == ["1", 1, "3", 3, "5", 5]
    assert "fields" in str(rows[1].error)
    assert "quote" in str(rows[-1].error)


def test_a_csv_without_the_column_says_what_it_has() -> None:
    with pytest.raises(ProblemError, match=r"'text'.*'a', 'b'"):
        list(CsvRows(1000, "text").feed(b"a,b\n1,2\n"))


@pytest.mark.parametrize(
    ("upload", "says"),
    [
        (b"t\xff\ngood\n", "header is no CSV in UTF-8: .*0xff"),
        ("t\ngood\n".encode("utf-16"), "header is no CSV in UTF-8"),
        (b"t\rgood\r", "header is no CSV in UTF-8: new-line character"),
        (b"t,t\na,b\n", "several columns 't'"),
        (b"id,id,t\n1,2,a\n", "several columns 'id'"),
        (b"t" * 2000 + b"\ngood\n", "header is longer than 1000 bytes"),
    ],
)
def test_a_header_that_cannot_be_read_is_told_why(upload: bytes, says: str) -> None:
    rows = CsvRows(1000, "t")
    with pytest.raises(ProblemError, match=says):
        [*rows.feed(upload), *rows.end()]


def test_a_quote_that_is_never_closed_does_not_eat_the_memory() -> None:
    rows = CsvRows(100, "text")
    list(rows.feed(b'text\n"'))
    found = [row for _ in range(100) for row in rows.feed(b"x" * 50 + b"\n")]
    assert found
    assert all("longer" in str(row.error) or row.text for row in found)


def test_each_line_of_an_open_quote_is_looked_at_once() -> None:
    """Once for each line that followed, an upload of line ends stood still for minutes."""
    limit = 400_000
    rows = CsvRows(limit, "text")
    list(rows.feed(b'text\n"'))
    start = time.process_time()
    found = [row for _ in range(7) for row in rows.feed(b"\n" * 65_536)]
    assert time.process_time() - start < 10
    assert [str(row.error) for row in found] == [f"The row is longer than {limit} bytes."]


def test_a_field_may_be_as_long_as_a_row() -> None:
    text = "long " * 40_000
    rows = rows_of(CsvRows(1_000_000, "text"), [f'text\n"{text}"\n'.encode()])
    assert [row.text for row in rows] == [text]


def test_a_quote_within_a_field_is_a_character() -> None:
    data = b'id,t\n1,a 5" screen\n2,good\n3,"said ""no"", twice\n"\n4,12" and 7"\n'
    assert rows_of(CsvRows(1000, "t"), [data]) == [
        Row("1", 'a 5" screen'),
        Row("2", "good"),
        Row("3", 'said "no", twice\n'),
        Row("4", '12" and 7"'),
    ]


def test_a_byte_order_mark_before_a_quoted_header_is_none_of_it() -> None:
    data = b'\xef\xbb\xbf"id\nof row",text\n1,good\n'
    assert rows_of(CsvRows(1000, "text"), [data]) == [Row(0, "good")]


def test_a_row_of_nothing_but_quoted_fields_is_read_in_linear_time() -> None:
    parser = CsvRows(4_000_000, "t")
    list(parser.feed(b"t\n"))
    took = []
    for count in (130_000, 1_300_000):
        begin = time.process_time()
        (row,) = parser.feed(b'"",' * count + b"\n")
        took.append(time.process_time() - begin)
        assert row.error is not None
    assert took[1] < 30 * max(took[0], 0.01)


@pytest.mark.parametrize("field", [b",", b'"",', b'"a, b",'])
def test_a_line_of_too_many_fields_is_one_row_and_not_counted(field: bytes) -> None:
    line = field * (MOST_FIELDS + 1)
    upload = b"t,id\n" + line + b'\n"and\n"' + b"," * (MOST_FIELDS + 2) + b"\ngood,b\n"
    assert rows_of(CsvRows(1_000_000, "t"), [upload]) == [
        Row(0, None, "The row has more than 10000 fields."),
        Row(1, None, "The row has more than 10000 fields."),
        Row("b", "good"),
    ]
    with pytest.raises(ProblemError, match="header has more than 10000 fields"):
        list(CsvRows(1_000_000, "t").feed(line + b"\n"))


def test_quoted_line_ends_do_not_hide_how_many_fields_a_record_has() -> None:
    line = b'a"' + b"," * (MOST_FIELDS - 10) + b'"'
    upload = b't,id\n"' + line + b"\n" + line + b'",\n"good\nday",b\n'
    assert rows_of(CsvRows(1_000_000, "t"), [upload]) == [
        Row(0, None, "The row has more than 10000 fields."),
        Row("b", "good\nday"),
    ]


def test_a_text_may_have_more_commas_than_a_line_may_have_fields() -> None:
    text = "so, " * (MOST_FIELDS + 1)
    data = f't,id\n"{text}\n{text}",a\n'.encode()
    assert rows_of(CsvRows(1_000_000, "t"), [data]) == [Row("a", f"{text}\n{text}")]


@given(st.lists(st.text('ab ",\n', max_size=12), min_size=1, max_size=8))
def test_records_end_where_the_library_ends_them(lines: list[str]) -> None:
    data = "t,u\n" + "".join(f"{line}\n" for line in lines)
    parser = CsvRows(1000, "t")
    mine: list[bytes] = []
    parser._record = lambda record, rows: mine.append(record)  # type: ignore[method-assign]
    rows_of(parser, [data.encode()])
    reader = csv.reader(io.StringIO(data))
    theirs = [record for record in reader if any(field.strip() for field in record)]
    if parser._quoted or '"' in "".join(theirs[-1] if theirs else []):
        return  # the last record's quote is not closed: that is told, not read
    read = [next(csv.reader([record.decode()])) for record in mine]
    assert [r for r in read if any(field.strip() for field in r)] == theirs


def test_a_record_of_several_lines_that_is_too_long_is_one_row() -> None:
    """Its lines were answered as rows, under ids that are pieces of its text."""
    many = "a line, of the same review\n" * 8
    one = "x" * 200
    for text in (many, f"{many}{one}", f"a line\n{one}"):
        data = f'id,text\n1,good\n2,"{text}"\n3,"third\nrow"\n4,last'.encode()
        for pieces in ([data], cut(data, [7] * 100)):
            first, bad, third, last = rows_of(CsvRows(100, "text"), pieces)
            assert [first.id, third.id, last.id] == ["1", "3", "4"]
            assert bad == Row(1, None, "The row is longer than 100 bytes.")
    with pytest.raises(ProblemError, match="header is longer than 100 bytes"):
        list(CsvRows(100, "text").feed(f'id,"{many}",text\n1,a,b\n'.encode()))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_end_of_a_line_is_no_part_of_a_row_s_length(end: bytes) -> None:
    line = b'{"input": "some text"}'
    for size in (len(line), 1):
        pieces = cut(line + end, [size] * 100)
        assert rows_of(NdjsonRows(len(line)), pieces) == [Row(0, "some text")]
        (row,) = rows_of(NdjsonRows(len(line) - 1), pieces)
        assert "longer" in str(row.error)
