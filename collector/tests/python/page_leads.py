"""Pages through all leads of an account with jsonapi-client, a JSON:API client that knows nothing of Firmsight.

Usage: page_leads.py URL KEY ROUNDS, where URL is a list of leads. Each round reads the number of pages from the link `last`
and fetches all pages in parallel, then follows `next` from page to page. Prints one JSON object a line and way:
{"way": "parallel" | "next", "ids": [...]}.
"""

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor

from jsonapi_client import Session

url, key, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
base = url.split("/accounts")[0]


def document(address):
    session = Session(base, request_kwargs={"headers": {"X-Api-Key": key}})
    try:
        found = session.fetch_document_by_url(address)
        leads = [(lead.id, lead.name, lead.location.country) for lead in found.resources]
        return [lead[0] for lead in leads], found.links
    finally:
        session.close()


def page(number):
    return f"{url}&page%5Bnumber%5D={number}&page%5Bsize%5D=50"


for _ in range(rounds):
    first, links = document(page(1))
    last = int(re.search(r"page%5Bnumber%5D=(\d+)", links.last.url).group(1))
    with ThreadPoolExecutor(8) as pool:
        rest = list(pool.map(lambda number: document(page(number))[0], range(2, last + 1)))
    print(json.dumps({"way": "parallel", "ids": sum(rest, first)}), flush=True)

    ids, address = [], page(1)
    while address:
        found, links = document(address)
        ids += found
        following = getattr(links, "next", None)
        address = following.url if following else None
    print(json.dumps({"way": "next", "ids": ids}), flush=True)
