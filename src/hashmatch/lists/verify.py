"""The full check of a list file: what `ReferenceList.verify` does.

Floor: lists. Runs within one read transaction of the caller and holds one block of entries at a time.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from hashmatch.lists.content_digest import digest_of, role_element
from hashmatch.lists.entry import MAX_LIST_NAME, MAX_SOURCE, is_name
from hashmatch.lists.file.checksums import signed
from hashmatch.lists.file.entries import State, check_digests, keys_after, load_records, record_element, to_entry
from hashmatch.lists.file.history import check_history
from hashmatch.lists.file.schema import check_pages, damaged
from hashmatch.lists.file.sql_tables import RECORD_NUMBERS
from hashmatch.lists.file.trust import load_trust
from hashmatch.lists.read.record_stream import check_records
from hashmatch.lists.read.rows import read_hashes

__all__ = ["verify_all"]

_KEYS_A_STEP: Final = 5_000


def verify_all(connection: sqlite3.Connection, state: State) -> None:
    """Check pages, indexes, every check value, every count, and that nothing refers to what is not there.

    Raises
    ------
    ReferenceListError
        If anything is not as it was written.
    """
    check_pages(connection, full=True)
    read_hashes(connection, state, None)
    for number in RECORD_NUMBERS:
        check_records(connection, state, number)
    check_history(connection, state, state.history_from)
    check_digests(connection, state)
    load_trust(connection, state)
    sources = state.by_number()
    if not is_name(state.name, MAX_LIST_NAME) or not all(is_name(name, MAX_SOURCE) for name in state.sources):
        raise damaged()  # no list takes such a name; the file was written by another program
    listed = dict.fromkeys(sources, 0)
    content = n_changed = n_entries = n_hashes = n_labels = seal_sum = last = last_row = 0
    while keys := keys_after(connection, last, _KEYS_A_STEP):
        last = keys[-1]
        for record in load_records(connection, state, "key", keys):
            to_entry(record, sources)  # as a match makes it: what no list takes, or no report shows, is found here
            owners = {key[0] for key in record.hashes}
            if not owners <= listed.keys() or not owners >= {owner for owner, _ in record.labels}:
                raise damaged()
            for owner in owners:
                listed[owner] += 1
            n_entries += 1
            n_hashes += len(record.hashes)
            n_labels += len(record.labels)
            seal_sum += record.seal or 0
            content += record_element(record, sources)
            n_changed += record.changed is not None
            if record.changed is not None and record.changed > state.version:
                raise damaged()
            last_row = max(last_row, *(stored.row for stored in record.hashes.values()))
    counted = (n_entries, n_hashes, n_labels, signed(seal_sum), listed)
    expected = (
        state.n_entries,
        sum(tally.n_hashes for tally in state.tallies.values()),
        connection.execute("SELECT count(*) FROM label").fetchone()[0],
        state.seal_sum,
        {source.number: source.n_entries for source in state.sources.values()},
    )
    content += sum(role_element(source.name, source.role) for source in sources.values() if source.n_entries)
    marked = connection.execute("SELECT count(*) FROM changed").fetchone()[0]
    if (digest_of(content), n_changed) != (state.digest, marked):
        raise damaged()
    if counted != expected or last >= state.next_entry or last_row >= state.next_hash:
        raise damaged()
