//! The few shapes that all plots are made of. Colours come from classes, so
//! that plots follow the theme of the page.

use std::fmt::Write as _;

use super::node::{Node, coordinate};
use super::scale::Scale;

/// A picture with a text for those who cannot see it.
pub(crate) fn picture(label: &str, width: f64, height: f64) -> Node {
    Node::new("svg")
        .attr("role", "img")
        .attr("aria-label", label)
        .attr(
            "viewBox",
            format!("0 0 {} {}", coordinate(width), coordinate(height)),
        )
}

/// Text shown while the pointer rests on a shape.
pub(crate) fn tooltip(text: impl AsRef<str>) -> Node {
    Node::new("title").text(text)
}

pub(crate) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Node {
    Node::new("line")
        .class(class)
        .attr("x1", from.0)
        .attr("y1", from.1)
        .attr("x2", to.0)
        .attr("y2", to.1)
}

/// Text; `anchor` is `start`, `middle` or `end`.
pub(crate) fn text(at: (f64, f64), anchor: &str, content: impl AsRef<str>) -> Node {
    Node::new("text")
        .attr("x", at.0)
        .attr("y", at.1)
        .attr("text-anchor", anchor)
        .text(content)
}

/// The path through points.
pub(crate) fn polyline(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        let letter = if i == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{} {}", coordinate(*x), coordinate(*y));
    }
    path
}

/// A curve, and the band between a lower and an upper one behind it.
pub(crate) fn banded(low: &[(f64, f64)], high: &[(f64, f64)], curve: &[(f64, f64)]) -> [Node; 2] {
    let around: Vec<(f64, f64)> = low.iter().chain(high.iter().rev()).copied().collect();
    [
        Node::new("path")
            .class("band")
            .attr("d", format!("{}Z", polyline(&around))),
        Node::new("path").class("curve").attr("d", polyline(curve)),
    ]
}

/// Many dots in one path: lines of no length with round ends. An element per
/// dot would make a page of many runs slow.
pub(crate) fn dots(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let _ = write!(path, "M{} {}h0", coordinate(*x), coordinate(*y));
    }
    path
}

/// A small plot with an axis at the left and one below.
pub(crate) struct Frame {
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    width: f64,
    height: f64,
}

impl Frame {
    const LEFT: f64 = 32.0;
    const RIGHT: f64 = 8.0;
    const TOP: f64 = 6.0;
    const BOTTOM: f64 = 18.0;

    pub(crate) fn new(x: Scale, y: Scale, width: f64, height: f64) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// The place of a point in the picture.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = self.width - Self::LEFT - Self::RIGHT;
        let up = self.height - Self::TOP - Self::BOTTOM;
        (
            Self::LEFT + across * self.x.place(x),
            self.height - Self::BOTTOM - up * self.y.place(y),
        )
    }

    /// The picture with its axes: labelled places across and up.
    pub(crate) fn draw(&self, label: &str, across: &[(f64, String)], up: &[(f64, String)]) -> Node {
        let (left, bottom) = (Self::LEFT, self.height - Self::BOTTOM);
        let right = self.width - Self::RIGHT;
        let mut out = picture(label, self.width, self.height);
        for (value, label) in up {
            let y = self.at(self.x.low, *value).1;
            out = out.push(line("grid", (left, y), (right, y))).push(text(
                (left - 4.0, y + 3.5),
                "end",
                label,
            ));
        }
        for (value, label) in across {
            let x = self.at(*value, self.y.low).0;
            out = out
                .push(line("axis", (x, bottom), (x, bottom + 3.0)))
                .push(text((x, bottom + 13.0), "middle", label));
        }
        out.push(line("axis", (left, bottom), (right, bottom)))
    }
}
