"""Line charts as SVG: panels side by side, a logarithmic x axis, and a legend below."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as Xml

WIDTH, HEIGHT = 380, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 34, 46
LEGEND_ROW = 20
COLOURS = 11
STYLE = """
svg { background: #fff; color: #1c1d1f; font: 12px system-ui, sans-serif; }
text { fill: currentColor; } .faint { fill: #62666d; } .grid { stroke: #d9dadc; }
.c0 { color: #2b6cb0; } .c1 { color: #c2410c; } .c2 { color: #15803d; }
.c3 { color: #7e22ce; } .c4 { color: #be185d; } .c5 { color: #0e7490; }
.c6 { color: #a16207; } .c7 { color: #4d7c0f; } .c8 { color: #1e3a8a; }
.c9 { color: #7f1d1d; } .c10 { color: #525252; }
.mark { stroke: currentColor; stroke-width: 2; fill: #fff; } .filled { fill: currentColor; }
polyline { stroke: currentColor; stroke-width: 2; fill: none; }
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One value. Hollow marks set values of another kind apart from the filled ones."""

    x: float
    y: float
    filled: bool = True


@dataclass(frozen=True, slots=True)
class Series:
    """Named points, joined by a line in order of x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Panel:
    """One coordinate system. All panels of a chart share their scales and series colours."""

    title: str
    x: str
    y: str
    series: Sequence[Series]


def line_chart(panels: Sequence[Panel], *, note: str = "", logarithmic: bool = False) -> str:
    """Draw the panels side by side; returns the SVG document.

    Args:
        panels: with every x above 0, since the x axis is logarithmic.
        note: a line of text below the legend.
        logarithmic: whether the y axis is logarithmic, too; every y must be above 0 then.

    Raises:
        ValueError: no panel has a point.
    """
    points = [point for panel in panels for series in panel.series for point in series.points]
    if not points:
        raise ValueError("there is nothing to draw: no panel has a point")
    names = list(dict.fromkeys(series.name for panel in panels for series in panel.series))
    scale = Scale.of(points, logarithmic=logarithmic)
    height = HEIGHT + LEGEND_ROW * (len(names) + bool(note))
    svg = Xml.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH * len(panels)} {height}",
            "role": "img",
        },
    )
    Xml.SubElement(svg, "title").text = "; ".join(_description(panel) for panel in panels)
    Xml.SubElement(svg, "style").text = STYLE
    for index, panel in enumerate(panels):
        _draw_panel(
            Xml.SubElement(svg, "g", transform=f"translate({WIDTH * index} 0)"), panel, scale, names
        )
    for index, name in enumerate(names):
        row = Xml.SubElement(svg, "g", {"class": f"c{index % COLOURS}"})
        _mark(row, LEFT + 6, HEIGHT + LEGEND_ROW * index + 4, filled=True)
        _text(svg, LEFT + 18, HEIGHT + LEGEND_ROW * index + 8, name)
    if note:
        _text(svg, LEFT, height - 8, note, kind="faint")
    Xml.indent(svg)
    return Xml.tostring(svg, encoding="unicode") + "\n"


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to pixels: x logarithmically, y linearly or logarithmically."""

    x0: float
    x1: float
    y0: float
    y1: float
    logarithmic: bool = False

    @classmethod
    def of(cls, points: Sequence[Point], *, logarithmic: bool = False) -> Scale:
        """The scale of some points, with a margin around them."""
        xs, ys = [point.x for point in points], [point.y for point in points]
        if logarithmic:
            return cls(min(xs) / 1.3, max(xs) * 1.3, min(ys) / 1.2, max(ys) * 1.2, True)
        pad = max(0.01, 0.08 * (max(ys) - min(ys)))
        return cls(min(xs) / 1.3, max(xs) * 1.3, min(ys) - pad, max(ys) + pad)

    def x(self, value: float) -> float:
        """Pixels from the panel's left edge."""
        fraction = math.log(value / self.x0) / math.log(self.x1 / self.x0)
        return round(LEFT + fraction * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Pixels from the panel's top edge."""
        fraction = (value - self.y0) / (self.y1 - self.y0)
        if self.logarithmic:
            fraction = math.log(value / self.y0) / math.log(self.y1 / self.y0)
        return round(HEIGHT - BOTTOM - fraction * (HEIGHT - TOP - BOTTOM), 1)

    def x_ticks(self) -> list[float]:
        """1, 2 and 5 times the powers of ten within the axis."""
        return _log_ticks(self.x0, self.x1)

    def y_ticks(self) -> list[float]:
        """At most six evenly spaced values, or those of a logarithmic axis."""
        if self.logarithmic:
            return _log_ticks(self.y0, self.y1)
        steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
        step = next((step for step in steps if (self.y1 - self.y0) / step <= 6), 1.0)
        first, last = math.ceil(self.y0 / step), math.floor(self.y1 / step)
        return [round(step * multiple, 2) for multiple in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def _text(
    parent: Xml.Element, x: float, y: float, text: str, *, anchor: str = "start", kind: str = ""
) -> None:
    """Add text whose `anchor` (start, middle or end) is at x."""
    attributes = {"x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor}
    Xml.SubElement(parent, "text", attributes | ({"class": kind} if kind else {})).text = text


def _draw_panel(group: Xml.Element, panel: Panel, scale: Scale, names: Sequence[str]) -> None:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    _text(group, LEFT, TOP - 12, panel.title)
    for tick in scale.x_ticks():
        _line(group, scale.x(tick), TOP, scale.x(tick), floor)
        _text(group, scale.x(tick), floor + 16, f"{tick:g}", anchor="middle", kind="faint")
    for tick in scale.y_ticks():
        _line(group, LEFT, scale.y(tick), right, scale.y(tick))
        _text(
            group,
            LEFT - 6,
            scale.y(tick) + 4,
            f"{tick:g}" if scale.logarithmic else f"{tick:.2f}",
            anchor="end",
            kind="faint",
        )
    _text(group, (LEFT + right) / 2, floor + 34, panel.x, anchor="middle", kind="faint")
    _text(group, right, TOP - 12, panel.y, anchor="end", kind="faint")
    for series in panel.series:
        marks = Xml.SubElement(group, "g", {"class": f"c{names.index(series.name) % COLOURS}"})
        points = sorted(series.points, key=lambda point: point.x)
        pixels = [(scale.x(point.x), scale.y(point.y)) for point in points]
        if len(pixels) > 1:
            Xml.SubElement(marks, "polyline", points=" ".join(f"{x:g},{y:g}" for x, y in pixels))
        for (x, y), point in zip(pixels, points, strict=True):
            _mark(marks, x, y, filled=point.filled)


def _mark(parent: Xml.Element, x: float, y: float, *, filled: bool) -> None:
    kind = "mark filled" if filled else "mark"
    Xml.SubElement(parent, "circle", {"class": kind, "cx": f"{x:g}", "cy": f"{y:g}", "r": "4"})


def _line(parent: Xml.Element, x1: float, y1: float, x2: float, y2: float) -> None:
    ends: Iterable[tuple[str, float]] = (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2))
    attributes = {"class": "grid"} | {name: f"{value:g}" for name, value in ends}
    Xml.SubElement(parent, "line", attributes)


def _description(panel: Panel) -> str:
    """What the panel shows, in words, for readers who cannot see it."""
    values = ", ".join(
        f"{series.name} {point.y:.3f} at {point.x:.3g}"
        for series in panel.series
        for point in series.points
    )
    return f"{panel.title}, {panel.y} by {panel.x}: {values}"
