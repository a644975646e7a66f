"""dlt loads the pages of `bench.load_server` into Postgres: python load_dlt.py ADDRESS URL FOLDER DISPOSITION

As its documentation says to be fast: whole pages yielded, no child tables, CSV for COPY, several workers. What it leaves out of
ours: history, changes, versions. DISPOSITION is `append` (no look at what is there) or `merge` (by InvoiceID).
"""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

address, url, folder, disposition = sys.argv[1:5]
os.environ.update(
    {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        "NORMALIZE__WORKERS": "2",
        "LOAD__WORKERS": "2",
        "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
        "DATA_WRITER__FILE_MAX_ITEMS": "20000",
        "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "20000",
    }
)

import dlt  # noqa: E402 (reads its settings from the environment)


def invoices() -> Iterator[list[dict[str, Any]]]:
    """Page by page."""
    number, last = 1, 1
    while number <= last:
        with urllib.request.urlopen(f"{address}/api.xro/2.0/Invoices?page={number}") as answer:  # noqa: S310
            body = json.load(answer)
        last = body["pagination"]["pageCount"]
        number += 1
        yield body["Invoices"]


def main() -> None:
    """Run once; the clock runs from the first request to the last commit."""
    pipeline = dlt.pipeline(
        pipeline_name=f"bench_{disposition}",
        pipelines_dir=folder,
        destination=dlt.destinations.postgres(credentials=url),
        dataset_name=f"dlt_{disposition}",
    )
    resource = dlt.resource(
        invoices,
        name="invoices",
        primary_key="InvoiceID",
        write_disposition=disposition,
        max_table_nesting=0,
        columns={"LineItems": {"data_type": "json"}, "Contact": {"data_type": "json"}},
    )
    began = time.perf_counter()
    pipeline.run(resource, loader_file_format="csv")
    seconds = time.perf_counter() - began
    with pipeline.sql_client() as client, client.execute_query("select count(*) from invoices") as cursor:
        rows = cursor.fetchone()[0]
    print(json.dumps({"seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
