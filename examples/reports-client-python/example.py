"""Which companies came in a month, from where, and who is behind an address.

Usage: example.py ADDRESS KEY SITE FIRST-DAY LAST-DAY
"""

import sys
from datetime import date

from firmsight_reports import Refused, Reports

address, key, site, first, last = sys.argv[1:]
start, end = date.fromisoformat(first), date.fromisoformat(last)
reports = Reports(address, key)

leads = list(reports.leads(site, start, end))
print(f"{len(leads)} companies, the first: {leads[0].name}")

days = reports.time_series(site, start, end)
busiest = max(days, key=lambda day: day.visits)
print(f"{len(days)} days, the busiest: {busiest.start} with {busiest.visits} visits")

for page in reports.breakdown(site, "page", start, end)[:3]:
    print(f"{page.value}: {page.visits} visits")

company = reports.company_of_address("17.253.144.10")
print(f"17.253.144.10: {company.name if company else 'no company'}")

try:
    made = reports.create_key("made by the example", sites=[site])
    print(f"made a key with the role {made.role}")
    reports.revoke_key(made)
except Refused as refused:
    print(f"no key made: {refused.rule}")
