"""A small typed client of Firmsight's reports API, written from docs/openapi.json. Python 3.9 or later, nothing to install.

    from datetime import date
    from firmsight_reports import Reports

    reports = Reports("http://127.0.0.1:8081", key)
    for lead in reports.leads("shop", date(2026, 11, 1), date(2026, 11, 30)):
        print(lead.name, lead.visits)
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Iterator, Optional, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

T = TypeVar("T")


class Refused(Exception):
    """What the API refused, by the stable name of the rule where it has one."""

    def __init__(self, status: int, rule: str, field: str, detail: str):
        super().__init__(f"{status} {rule} {field}: {detail}")
        self.status, self.rule, self.field, self.detail = status, rule, field, detail


@dataclass(frozen=True)
class Lead:
    """A company that visited."""

    id: str
    name: str
    industry: str
    website_url: str
    first_visit_date: str
    last_visit_date: str
    visits: int
    quality: int


@dataclass(frozen=True)
class Period:
    """Counts of one hour, day, week or month."""

    start: str
    visits: int
    pageviews: int
    companies: int
    visitors: int


@dataclass(frozen=True)
class ValueCounts:
    """Counts of one source, page, country and so on."""

    value: str
    visits: int
    pageviews: int
    companies: int
    visitors: int


@dataclass(frozen=True)
class Company:
    """The organisation behind an address or a domain."""

    id: str
    name: str
    domain: Optional[str]
    industry: Optional[str]
    source: str
    confidence: float


@dataclass(frozen=True)
class Key:
    """A key; `token` only when it was just made."""

    id: str
    name: str
    role: str
    sites: Optional[list[str]]
    expires_at: Optional[str]
    last_used_at: Optional[str]
    token: Optional[str] = None


def _made(kind: type[T], values: dict[str, Any]) -> T:
    """A later version may answer more than this client knows."""
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})  # type: ignore


class Reports:
    """The API at one address, with one key."""

    def __init__(self, address: str, key: str, timeout: float = 60):
        self.address, self._key, self._timeout = address.rstrip("/"), key, timeout

    def leads(self, site: str, start: date, end: date) -> Iterator[Lead]:
        """Companies that visited between two days, page after page."""
        query = {"start_date": start, "end_date": end, "page[size]": 100}
        url: Optional[str] = f"{self.address}/accounts/{site}/leads?{urlencode(query)}"
        while url:
            document = self._ask("GET", url)
            for lead in document["data"]:
                yield _made(Lead, {"id": lead["id"], **lead["attributes"]})
            url = document["links"].get("next")

    def time_series(self, site: str, start: date, end: date, interval: str = "day") -> list[Period]:
        """Counts by hour, day, week or month, without gaps."""
        query = {"start_date": start, "end_date": end, "interval": interval}
        return [_made(Period, row) for row in self._rows(f"/v1/sites/{site}/time-series", query)]

    def breakdown(self, site: str, dimension: str, start: date, end: date) -> list[ValueCounts]:
        """Counts by source, medium, campaign, page, country, region, city, industry, device or referrer."""
        query = {"start_date": start, "end_date": end}
        return [_made(ValueCounts, row) for row in self._rows(f"/v1/sites/{site}/breakdowns/{dimension}", query)]

    def company_of_address(self, ip: str) -> Optional[Company]:
        """The company behind an address, or none."""
        found = self._ask("GET", f"{self.address}/v1/resolve?{urlencode({'ip': ip})}")["company"]
        return _made(Company, found) if found else None

    def company_of_domain(self, domain: str) -> Optional[Company]:
        """The company that a domain belongs to, or none."""
        found = self._ask("GET", f"{self.address}/v1/enrich?{urlencode({'domain': domain})}")["company"]
        return _made(Company, found) if found else None

    def keys(self) -> list[Key]:
        """The keys that this one may manage."""
        return [_made(Key, row) for row in self._rows("/v1/keys", {})]

    def create_key(self, name: str, sites: Optional[list[str]] = None, role: str = "read") -> Key:
        """Makes a key; its token is shown this one time."""
        return _made(Key, self._ask("POST", f"{self.address}/v1/keys", {"name": name, "sites": sites, "role": role}))

    def revoke_key(self, key: Key) -> None:
        """Revokes a key."""
        self._ask("DELETE", f"{self.address}/v1/keys/{key.id}")

    def _rows(self, path: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: Optional[str] = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = self._ask("GET", f"{self.address}{path}?{urlencode({**query, **more})}")
            yield from page["data"]
            cursor = page["next_cursor"]
            if not cursor:
                return

    def _ask(self, method: str, url: str, body: Any = None) -> Any:
        headers = {"X-Api-Key": self._key, "Accept": "application/json", "User-Agent": "firmsight-reports-python"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        while True:
            try:
                with urlopen(Request(url, data, headers, method=method), timeout=self._timeout) as answer:
                    text = answer.read()
                    return json.loads(text) if text else None
            except HTTPError as error:
                if error.code == 429:
                    time.sleep(int(error.headers.get("Retry-After", "60")))
                    continue
                raise _refused(error) from None


def _refused(error: HTTPError) -> Refused:
    try:
        body = json.loads(error.read())
    except ValueError:
        body = {}
    if "errors" in body:
        first = body["errors"][0]
        field = first.get("source", {}).get("parameter", "")
        return Refused(error.code, "", field, first.get("detail", first.get("title", "")))
    return Refused(error.code, body.get("rule", ""), body.get("field", ""), body.get("detail", ""))
