"""Calendars (iCalendar, vCalendar): each event, task or entry of a journal is a document.

Its text is what a program shows: what it is, when, where and with whom, then the description.
Alarms, time zones and times that are taken without a word of what for are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.formats.html import extract
from retrieval.documents.formats.office.flow import Flow
from retrieval.documents.formats.properties import Component, Property, components
from retrieval.documents.naming import one_line
from retrieval.errors import DocumentError

_KINDS = {"VEVENT": "event", "VTODO": "task", "VJOURNAL": "journal"}
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)?(Z)?)?")
_DURATION = re.compile(r"P(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?)?")
_MARKUP = re.compile(
    r"<(?:br|/?p|b|i|u|/?ul|/?ol|li|a|/?div|span|html|html-blob)\b[^>]*>", re.IGNORECASE
)
_BREAKING = re.compile(r"<(?:br|/?p|li|/?div|/ul|/ol)\b", re.IGNORECASE)
_MOST_PEOPLE = 100
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*BEGIN:VCALENDAR\b", re.IGNORECASE)


def _parse(data: bytes, source: Source) -> list[Parsed]:
    found: list[Component] = []
    name = ""
    for component in components(data, source):
        if component.name in _KINDS:
            found.append(component)
        elif component.name == "VCALENDAR":
            name = name or component.first("X-WR-CALNAME") or component.first("NAME")
    found.sort(key=lambda component: component.line)
    made = [*_documents(found, source, " ".join(name.split()))]
    if not made and not _START.match(data):
        text, problems = decoded(data, source)
        return [Parsed(text, problems=problems, format="text")]
    if not made:
        raise DocumentError("holds no events or tasks; a calendar with some was expected")
    return made


def _documents(found: Sequence[Component], source: Source, calendar: str) -> Iterator[Parsed]:
    seen: Counter[str] = Counter()
    for component in found:
        said = _said(component)
        if said is None:
            continue
        text, outline_of = said
        metadata = _metadata(component, calendar)
        id = None
        if len(found) > 1:
            own = component.first("UID") or f"L{component.line}"
            if again := component.first("RECURRENCE-ID"):
                own = f"{own}@{again}"
            seen[own] += 1
            id = f"{source.id}#{one_line(own)}" + (f"~{seen[own]}" if seen[own] > 1 else "")
            metadata["line"] = component.line
        title = " ".join(component.first("SUMMARY").split())
        yield Parsed(text, title, metadata, outline_of, id)


def _said(component: Component) -> tuple[str, Any] | None:
    """The text and its outline; None if it says nothing but when."""
    flow = Flow()
    flow.heading(component.first("SUMMARY"), 1)
    about = []
    if when := _when(component):
        about.append(f"When: {when}")
    for label, names in (
        ("Due", ("DUE",)), ("Where", ("LOCATION",)), ("Status", ("STATUS",)),
        ("Categories", ("CATEGORIES",)), ("Link", ("URL", "CONFERENCE")),
    ):  # fmt: skip
        values = [_shown(name, one) for name in names for one in component.properties.get(name, ())]
        if said := ", ".join(filter(None, values)):
            about.append(f"{label}: {' '.join(said.split())}")
    for label, name in (("Organizer", "ORGANIZER"), ("Attendees", "ATTENDEE")):
        if people := ", ".join(_people(component, name)):
            about.append(f"{label}: {people}")
    told = component.first("SUMMARY") or len(about) > bool(when)
    flow.paragraph("\n".join(about))
    for name in ("DESCRIPTION", "COMMENT"):
        for one in component.properties.get(name, ()):
            told = _paragraphs(flow, one.text) or told
    text, outline = flow.finish()
    return (text, outline) if text and told else None


def _paragraphs(flow: Flow, text: str) -> bool:
    if _MARKUP.search(text):
        text = extract(_MARKUP.sub(_broken, text))[0]
    parts = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    for part in parts:
        flow.paragraph(part)
    return bool(parts)


def _broken(tag: re.Match[str]) -> str:
    """A tag with the line break that it makes."""
    return f"\n{tag[0]}" if _BREAKING.match(tag[0]) else tag[0]


def _shown(name: str, one: Property) -> str:
    if name == "DUE":
        return _time(one)[0]
    return one.text.lower() if name == "STATUS" else one.text


def _people(component: Component, name: str) -> list[str]:
    """Names and addresses, without `mailto:`."""
    found = []
    for one in component.properties.get(name, ())[:_MOST_PEOPLE]:
        address = re.sub(r"^mailto:", "", one.text, flags=re.IGNORECASE)
        called = " ".join(one.parameters.get("CN", "").split())
        known = "@" in address
        if called and known and called != address:
            found.append(f"{called} <{address}>")
        else:
            found.append(called or address)
    return [" ".join(one.split()) for one in found if one]


def _when(component: Component) -> str:
    start, end = (next(iter(component.properties.get(n, ())), None) for n in ("DTSTART", "DTEND"))
    if start is None:
        return ""
    said, zone = _time(start)
    until = _time(end)[0] if end is not None else _after(start, component.first("DURATION"))
    if end is not None and _is_day(end):
        until = _day_before(end)
    if until and until != said:
        same_day = until[:10] == said[:10] and len(until) > 10
        said += f" to {until[11:] if same_day else until}"
    said += f" ({zone})" if zone else ""
    if rule := component.first("RRULE"):
        said += f", repeats {rule}"
    return said


def _metadata(component: Component, calendar: str) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": _KINDS[component.name]}
    for key, name in (("start", "DTSTART"), ("end", "DTEND"), ("due", "DUE")):
        for one in component.properties.get(name, ())[:1]:
            if stamp := _stamp(one):
                found[key] = stamp
    for key, name in (("location", "LOCATION"), ("uid", "UID"), ("status", "STATUS")):
        if said := " ".join(component.first(name).split()):
            found[key] = said.lower() if key == "status" else said
    if people := _people(component, "ORGANIZER"):
        found["organizer"] = people[0]
    if people := _people(component, "ATTENDEE"):
        found["attendees"] = people
    categories = [
        part.strip()
        for one in component.properties.get("CATEGORIES", ())
        for part in one.text.split(",")
    ]
    if categories := [part for part in categories if part]:
        found["categories"] = categories
    if calendar:
        found["calendar"] = calendar
    return found


def _is_day(one: Property) -> bool:
    return len(one.value.strip()) == len("20260305")


def _time(one: Property) -> tuple[str, str]:
    """A time as people write it, and the zone that it is in, or ""."""
    found = _TIME.match(one.value.strip())
    if found is None:
        return "", ""
    said = f"{found[1]}-{found[2]}-{found[3]}"
    if found[4] is None:
        return said, ""
    return f"{said} {found[4]}:{found[5]}", "UTC" if found[7] else one.parameters.get("TZID", "")


def _moment(one: Property) -> datetime | None:
    found = _TIME.match(one.value.strip())
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
        moment = datetime(year, month, day, hour, minute, second)
        return moment.replace(tzinfo=UTC) if found[7] else moment
    except ValueError:
        return None


def _stamp(one: Property) -> str:
    """A time in ISO 8601: in universal time where its zone is known, a day where it is one."""
    moment = _moment(one)
    if moment is None:
        return ""
    if _is_day(one):
        return moment.date().isoformat()
    if moment.tzinfo is None and (zone := one.parameters.get("TZID")):
        try:
            moment = moment.replace(tzinfo=ZoneInfo(zone.strip("/"))).astimezone(UTC)
        except (LookupError, OSError, ValueError, OverflowError):  # a zone of the file's own
            return moment.isoformat()
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _after(start: Property, duration: str) -> str:
    found = _DURATION.match(duration)
    moment = _moment(start)
    if found is None or moment is None or not any(found.groups()):
        return ""
    weeks, days, hours, minutes = (int(part or 0) for part in found.groups())
    span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    if _is_day(start):
        span -= timedelta(days=1)
    try:
        moment += span
    except OverflowError:
        return ""
    return moment.strftime("%Y-%m-%d" if _is_day(start) else "%Y-%m-%d %H:%M")


def _day_before(end: Property) -> str:
    """The last of an event's days: the one that the file names is the first after it."""
    moment = _moment(end)
    try:
        return (moment - timedelta(days=1)).date().isoformat() if moment else ""
    except OverflowError:
        return ""


FORMATS = (
    Format(
        "calendar",
        1,
        _parse,
        (".ics", ".ical", ".ifb", ".vcs"),
        sniff=lambda head: _START.match(head) is not None,
    ),
)
