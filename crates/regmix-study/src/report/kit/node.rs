//! Elements of HTML and SVG that are closed and escaped by construction.

use std::fmt::Write as _;

/// One element with its attributes and content.
///
/// Text and attribute values are escaped here and nowhere else, so a name
/// from a user's file cannot become markup. A number that is not finite
/// becomes 0, so no plot can hold a coordinate that a browser rejects.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    name: &'static str,
    attributes: String,
    body: String,
}

/// What may stand in an attribute.
pub(crate) trait Value {
    fn write(&self, out: &mut String);
}

impl Value for f64 {
    fn write(&self, out: &mut String) {
        out.push_str(&coordinate(*self));
    }
}

impl Value for &str {
    fn write(&self, out: &mut String) {
        escape(self, out);
    }
}

impl Value for String {
    fn write(&self, out: &mut String) {
        escape(self, out);
    }
}

impl Node {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            attributes: String::new(),
            body: String::new(),
        }
    }

    pub(crate) fn attr(mut self, name: &str, value: impl Value) -> Self {
        let _ = write!(self.attributes, " {name}=\"");
        value.write(&mut self.attributes);
        self.attributes.push('"');
        self
    }

    pub(crate) fn class(self, value: &str) -> Self {
        self.attr("class", value)
    }

    /// Adds text.
    pub(crate) fn text(mut self, text: impl AsRef<str>) -> Self {
        escape(text.as_ref(), &mut self.body);
        self
    }

    /// Adds text that is markup or a style sheet already; for constants only.
    pub(crate) fn constant(mut self, text: &'static str) -> Self {
        self.body.push_str(text);
        self
    }

    /// Adds a child.
    pub(crate) fn push(mut self, child: Self) -> Self {
        child.write(&mut self.body);
        self
    }

    /// Adds children.
    pub(crate) fn extend(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        for child in children {
            child.write(&mut self.body);
        }
        self
    }

    fn write(&self, out: &mut String) {
        let Self {
            name,
            attributes,
            body,
        } = self;
        let _ = match *name {
            "meta" => write!(out, "<{name}{attributes}>"),
            "rect" | "line" | "path" | "circle" if body.is_empty() => {
                write!(out, "<{name}{attributes}/>")
            }
            _ => write!(out, "<{name}{attributes}>{body}</{name}>"),
        };
        // Blocks on lines of their own keep the source readable.
        if matches!(
            *name,
            "meta" | "section" | "figure" | "tr" | "p" | "h1" | "h2" | "h3" | "div" | "head"
        ) {
            out.push('\n');
        }
    }

    pub(crate) fn into_string(self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// A number for an attribute: at most two decimals, always finite.
pub(crate) fn coordinate(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
}

/// A heading of a section.
pub(crate) fn heading(text: &str) -> Node {
    Node::new("h2").text(text)
}

/// Small plots side by side, as many as fit.
pub(crate) fn multiples(figures: impl IntoIterator<Item = Node>) -> Node {
    Node::new("div").class("multiples").extend(figures)
}

/// A section with an anchor.
pub(crate) fn section(id: &str, title: &str) -> Node {
    Node::new("section").attr("id", id).push(heading(title))
}

/// A paragraph of plain text.
pub(crate) fn paragraph(text: impl AsRef<str>) -> Node {
    Node::new("p").text(text)
}

/// A wide thing that scrolls by itself, so that the page never does.
pub(crate) fn scroll(label: &str, content: Node) -> Node {
    Node::new("div")
        .class("scroll")
        .attr("tabindex", "0")
        .attr("role", "region")
        .attr("aria-label", label)
        .push(content)
}

/// A table's caption.
pub(crate) fn caption(text: impl AsRef<str>) -> Node {
    // The inner element can be narrower than a table that scrolls.
    Node::new("caption").push(Node::new("span").text(text))
}

/// Head of a column.
pub(crate) fn column(text: &str, class: &str) -> Node {
    Node::new("th").attr("scope", "col").class(class).text(text)
}

/// Head of a row.
pub(crate) fn row_head(text: &str) -> Node {
    Node::new("th")
        .attr("scope", "row")
        .attr("title", text)
        .text(text)
}

/// A cell with a number that matters most.
pub(crate) fn main_cell(text: impl AsRef<str>) -> Node {
    Node::new("td").class("n strong").text(text)
}

/// A cell with two numbers that a narrow screen leaves out.
pub(crate) fn wide_cell(text: impl AsRef<str>) -> Node {
    Node::new("td").class("n wide").text(text)
}

/// A cell with a number.
pub(crate) fn number_cell(text: impl AsRef<str>) -> Node {
    Node::new("td").class("n").text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        let node = Node::new("p").attr("title", "\"a\" & 'b'").text("<x>\u{7}");
        assert_eq!(
            node.into_string(),
            "<p title=\"&quot;a&quot; &amp; &#39;b&#39;\">&lt;x&gt;\u{fffd}</p>\n"
        );
    }

    #[test]
    fn coordinates_are_short_and_finite() {
        for (value, text) in [
            (1.0, "1"),
            (1.256, "1.26"),
            (-0.001, "0"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
            (100.0, "100"),
        ] {
            assert_eq!(coordinate(value), text);
        }
        assert_eq!(
            Node::new("line").attr("x1", f64::NAN).into_string(),
            "<line x1=\"0\"/>"
        );
    }
}
