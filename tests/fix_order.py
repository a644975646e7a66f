"""The order of mirrored records by what they say: the ids that the ledger gives are others in each run, so a test that picks records by
chance would pick others each time.
"""

from __future__ import annotations

from typing import LiteralString

SAYING: LiteralString = (
    "connection, concat_ws('/', payload ->> 'InvoiceNumber', payload ->> 'CreditNoteNumber', payload ->> 'ContactNumber',"
    " payload ->> 'Code', payload ->> 'TaxType', payload ->> 'Name', payload ->> 'Reference', payload ->> 'Date', payload ->> 'Total',"
    " payload ->> 'Amount'), length(id), id"
)
"""For `order by` on a staging table: names, numbers, days and amounts of a ledger's record; a shop's ids are numbers."""
