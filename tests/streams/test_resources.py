"""Streams, tables and stages as data hang together."""

from streams.resources import LISTENERS_INDEX, STAGES, STREAMS, TABLES, lease_table, physical_name


def test_every_stage_reads_and_writes_a_stream_that_exists() -> None:
    names = {stream.name for stream in STREAMS}
    for stage in STAGES:
        assert {stage.input, stage.output} <= names


def test_a_stream_has_at_least_the_consumers_that_read_it() -> None:
    for stream in STREAMS:
        readers = [stage for stage in STAGES if stage.input == stream.name]
        assert stream.consumers >= max(1, len(readers))


def test_listeners_are_found_by_the_index_of_row_b1() -> None:
    assert LISTENERS_INDEX == "sessionId-targetLanguage-index"
    assert LISTENERS_INDEX in [index.name for table in TABLES for index in table.indexes]


def test_lease_tables_have_the_kcl_s_index() -> None:
    table = lease_table("translate")
    assert (table.name, table.hash_key) == ("leases-translate", "leaseKey")
    assert [index.name for index in table.indexes] == ["LeaseOwnerToLeaseKeyIndex"]
    assert physical_name("herald", table.name) == "herald-leases-translate"
