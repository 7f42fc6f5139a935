//! Chart rows in the cells of a table.
//!
//! A table that contains its own chart needs no second copy of its numbers,
//! and a screen reader reads it row by row. Places across are in percent of
//! the cell, so the chart fits any width and its text keeps its size.

use super::node::{Node, coordinate};
use super::scale::Scale;
use super::svg::tooltip;

const HEIGHT: f64 = 24.0;
const MIDDLE: f64 = HEIGHT / 2.0;

/// The axis that the rows of one table share.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    scale: Scale,
    /// Values with their labels.
    ticks: Vec<(f64, String)>,
    /// Values that deserve a stronger line.
    rules: Vec<f64>,
}

impl Track {
    pub(crate) fn new(scale: Scale, ticks: Vec<(f64, String)>) -> Self {
        Self {
            scale,
            ticks,
            rules: Vec::new(),
        }
    }

    pub(crate) fn with_rules(mut self, rules: &[f64]) -> Self {
        self.rules = rules.to_vec();
        self
    }

    /// In percent; the inset leaves room for half a marker at both ends.
    fn place(&self, value: f64) -> f64 {
        3.0 + 94.0 * self.scale.place(value)
    }

    fn x(&self, value: f64) -> String {
        format!("{}%", coordinate(self.place(value)))
    }

    /// One row: grid, marks, and a text for both pointer and screen reader.
    pub(crate) fn row(&self, label: &str, marks: impl IntoIterator<Item = Node>) -> Node {
        let grid = self.ticks.iter().map(|t| self.upright("grid", t.0));
        let rules = self.rules.iter().map(|r| self.upright("rule", *r));
        // The empty rectangle lets the tooltip show all over the row.
        let hit = Node::new("rect")
            .class("hit")
            .attr("width", "100%")
            .attr("height", "100%");
        let group = Node::new("g").push(tooltip(label)).push(hit);
        let group = group.extend(grid).extend(rules).extend(marks);
        Self::svg(HEIGHT, label).push(group)
    }

    /// The labels of the ticks. The less important ones are marked, so that a
    /// narrow screen can leave them out.
    pub(crate) fn axis(&self, label: &str) -> Node {
        let minor = |i: usize, value: f64| match self.rules.as_slice() {
            [] => i % 2 == 1,
            rules => value != 0.0 && !rules.contains(&value),
        };
        let labels = self.ticks.iter().enumerate().map(|(i, (value, label))| {
            let anchor = match self.scale.place(*value) {
                t if t < 0.04 => "start",
                t if t > 0.93 => "end",
                _ => "middle",
            };
            Node::new("text")
                .class(if minor(i, *value) { "minor" } else { "major" })
                .attr("x", self.x(*value))
                .attr("y", 12.0)
                .attr("text-anchor", anchor)
                .text(label)
        });
        Self::svg(18.0, label).extend(labels)
    }

    fn svg(height: f64, label: &str) -> Node {
        Node::new("svg")
            .class("track")
            .attr("role", "img")
            .attr("aria-label", label)
            .attr("width", "100%")
            .attr("height", height)
    }

    fn upright(&self, class: &str, value: f64) -> Node {
        self.stroke(class, (value, 0.0), (value, HEIGHT))
    }

    fn stroke(&self, class: &str, from: (f64, f64), to: (f64, f64)) -> Node {
        Node::new("line")
            .class(class)
            .attr("x1", self.x(from.0))
            .attr("y1", from.1)
            .attr("x2", self.x(to.0))
            .attr("y2", to.1)
    }

    /// A bar from zero.
    pub(crate) fn bar(&self, value: f64) -> Node {
        let (from, to) = (self.place(0.0), self.place(value));
        Node::new("rect")
            .class("bar")
            .attr("x", format!("{}%", coordinate(from)))
            .attr("y", MIDDLE - 6.0)
            .attr("width", format!("{}%", coordinate((to - from).max(0.0))))
            .attr("height", 12.0)
            .attr("rx", 1.5)
    }

    /// A whisker with ends.
    pub(crate) fn whisker(&self, low: f64, high: f64) -> Vec<Node> {
        if !(low.is_finite() && high.is_finite()) {
            return Vec::new();
        }
        let end = |v: f64| self.stroke("whisker", (v, MIDDLE - 4.0), (v, MIDDLE + 4.0));
        let middle = self.stroke("whisker", (low, MIDDLE), (high, MIDDLE));
        vec![middle, end(low), end(high)]
    }

    /// A hollow diamond.
    pub(crate) fn diamond(&self, value: f64) -> Node {
        let shape = Node::new("path").attr("d", "M0 -5.5L5.5 0L0 5.5L-5.5 0Z");
        self.pinned("diamond", value, shape)
    }

    /// A small dot.
    pub(crate) fn dot(&self, value: f64) -> Node {
        Node::new("circle")
            .class("dot")
            .attr("cx", self.x(value))
            .attr("cy", MIDDLE)
            .attr("r", 3.5)
    }

    /// A short thick stroke.
    pub(crate) fn mean(&self, value: f64) -> Node {
        self.stroke("mean", (value, MIDDLE - 8.0), (value, MIDDLE + 8.0))
    }

    /// A shape drawn around (0, 0), put at a value. Paths know no percent, a
    /// nested picture does.
    fn pinned(&self, class: &str, value: f64, shape: Node) -> Node {
        Node::new("svg")
            .attr("x", self.x(value))
            .attr("y", MIDDLE)
            .attr("overflow", "visible")
            .attr("aria-hidden", "true")
            .push(shape.class(class))
    }
}
