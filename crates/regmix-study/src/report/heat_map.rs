//! Which domain moves which loss.

use regmix_data::Mixture;
use regmix_regress::Interactions;

use super::kit::node::{self, column, number_cell, paragraph, row_head};
use super::kit::number::{difference, quantile};
use super::kit::svg::{picture, text, tooltip};
use super::{Node, Report, Subject, Word, scroll};

/// Entries are per unit of weight; a point of weight is what people move.
const POINT: f64 = 0.01;
const CELL: f64 = 26.0;
/// Few columns are drawn wider, many narrower.
const WIDTHS: [f64; 2] = [18.0, 40.0];
/// Cells together take about this much where they can.
const ROOM: f64 = 480.0;
/// Letters of a label at most.
const LETTERS: usize = 24;
/// Pixels per letter of a label, on the wide side.
const LETTER: f64 = 6.6;

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let interactions = report.interactions?;
    let map = Map::new(report, interactions);
    let word = report.word().as_str();
    let out = node::section(
        "interactions",
        &format!("What each domain does to each {word}"),
    );
    let colours = match map.higher_is_better {
        true => "the score rises; orange: it falls".to_owned(),
        false => format!("the {word} falls; orange: it rises"),
    };
    let text = format!(
        "One cell: how the {word} of its column changes{}, for each percentage point of weight \
         moved to the domain of its row and taken from all others in proportion, around {}. Blue: \
         {colours}. It is a slope: it holds for small moves.",
        report
            .unit
            .map_or_else(String::new, |unit| format!(", in {unit}")),
        around(report, interactions)
    );
    Some(
        out.push(paragraph(text))
            .push(map.legend())
            .push(scroll("Interaction heat map", map.draw()))
            .push(
                Node::new("details")
                    .push(Node::new("summary").text("The numbers"))
                    .push(scroll("Interaction numbers", map.table())),
            ),
    )
}

/// The mixture that the slopes were taken at, in words.
fn around(report: &Report<'_>, interactions: &Interactions) -> &'static str {
    let same = |mixture: &Mixture| {
        mixture.reordered(&interactions.domains).is_ok_and(|m| {
            m.weights().len() == interactions.at.len()
                && (m.weights().iter().zip(&interactions.at)).all(|(a, b)| (a - b).abs() < 1e-9)
        })
    };
    let natural = report.fit.and_then(|fit| fit.natural());
    if natural.as_ref().is_some_and(same) {
        "the natural mixture"
    } else if report.recommendation.is_some_and(|r| same(&r.mixture)) {
        "the found mixture"
    } else if same(&Mixture::uniform(interactions.domains.clone())) {
        "the uniform mixture"
    } else if report.subject == Subject::Tables {
        "the mean of the mixtures that were run"
    } else {
        "the mixture it was computed at"
    }
}

/// A long name without its middle: names of one corpus often begin alike.
fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LETTERS {
        return name.to_owned();
    }
    let (head, tail) = (LETTERS / 2, LETTERS - LETTERS / 2 - 1);
    let start: String = letters[..head].iter().collect();
    let end: String = letters[letters.len() - tail..].iter().collect();
    format!("{start}…{end}")
}

/// The slopes in the order of the page: `[domain][target]`.
struct Map<'a> {
    domains: Vec<&'a str>,
    targets: Vec<&'a str>,
    values: Vec<Vec<f64>>,
    /// Values from here on have the full colour.
    limit: f64,
    /// Whether blue stands for values that rise.
    higher_is_better: bool,
    /// The word for what is in a cell, and its unit with a blank before it.
    word: &'static str,
    unit: String,
}

impl<'a> Map<'a> {
    fn new(report: &Report<'_>, interactions: &'a Interactions) -> Self {
        let domains = report.ordered(interactions.domains.names());
        let mut targets = report.ordered(interactions.targets.iter().map(String::as_str));
        // Their slopes have another unit.
        targets.retain(|(_, name)| !report.is_score(name));
        let value = |t: usize, d: usize| {
            let row = interactions.values.get(t);
            row.and_then(|r| r.get(d)).map_or(f64::NAN, |v| POINT * v)
        };
        let values: Vec<Vec<f64>> = (domains.iter())
            .map(|(d, _)| targets.iter().map(|(t, _)| value(*t, *d)).collect())
            .collect();
        let mut sizes: Vec<f64> = (values.iter().flatten())
            .map(|v| v.abs())
            .filter(|v| v.is_finite() && *v > 0.0)
            .collect();
        sizes.sort_by(f64::total_cmp);
        // A rare domain can move a loss a hundred times as much as others:
        // the largest twentieth shares one colour, so that the rest has some.
        let limit = quantile(&sizes, 0.95);
        Self {
            domains: domains.into_iter().map(|d| d.1).collect(),
            targets: targets.into_iter().map(|t| t.1).collect(),
            values,
            limit: if limit > 0.0 { limit } else { 1.0 },
            higher_is_better: report.word() == Word::Score,
            word: report.word().plural(),
            unit: report.unit_behind(),
        }
    }

    /// The unit in words, or nothing.
    fn in_unit(&self) -> String {
        match self.unit.is_empty() {
            true => String::new(),
            false => format!(" in{}", self.unit),
        }
    }

    /// Class and strength of a value's colour. The root spreads small values,
    /// which would all look white.
    fn colour(&self, value: f64) -> (&'static str, f64) {
        let strength = (value.abs() / self.limit).min(1.0).sqrt();
        let better = (value < 0.0) != self.higher_is_better;
        let class = if better { "fall" } else { "rise" };
        (class, if strength.is_finite() { strength } else { 0.0 })
    }

    fn draw(&self) -> Node {
        let longest = |names: &[&str]| {
            let letters = names.iter().map(|n| n.chars().count().min(LETTERS)).max();
            LETTER * letters.unwrap_or(0) as f64
        };
        // Column labels lean by 45 degrees.
        let lean = std::f64::consts::FRAC_1_SQRT_2;
        let reach = longest(&self.targets) * lean;
        let (left, top) = (longest(&self.domains) + 10.0, reach + 14.0);
        let cell = (ROOM / self.targets.len().max(1) as f64).clamp(WIDTHS[0], WIDTHS[1]);
        let width = left + cell * self.targets.len() as f64 + reach;
        let height = top + CELL * self.domains.len() as f64 + 2.0;
        let label = format!(
            "Heat map: change of {} {} for weight moved to each of {} domains",
            self.targets.len(),
            self.word,
            self.domains.len()
        );
        let columns = self.targets.iter().enumerate().map(|(j, target)| {
            let x = left + cell * (j as f64 + 0.5);
            let at = format!("translate({x:.1} {:.1}) rotate(-45)", top - 7.0);
            text((0.0, 3.5), "start", shortened(target)).attr("transform", at)
        });
        let rows = self.domains.iter().enumerate().map(|(i, domain)| {
            let y = top + CELL * (i as f64 + 0.5);
            text((left - 8.0, y + 4.0), "end", shortened(domain))
        });
        let cells = (self.values.iter().enumerate()).flat_map(|(i, row)| {
            row.iter().enumerate().map(move |(j, &value)| {
                let at = (left + cell * j as f64, top + CELL * i as f64);
                self.cell(at, cell, value, (self.domains[i], self.targets[j]))
            })
        });
        picture(&label, width, height)
            .class("heat")
            .attr("width", width)
            .attr("height", height)
            .extend(columns)
            .extend(rows)
            .extend(cells)
    }

    fn cell(
        &self,
        (x, y): (f64, f64),
        width: f64,
        value: f64,
        (domain, target): (&str, &str),
    ) -> Node {
        let (class, strength) = self.colour(value);
        let what = if value.is_nan() {
            format!("{target}: not known when weight moves to {domain}")
        } else {
            format!(
                "1 percentage point more {domain}: {target} {}{}",
                difference(value),
                self.unit
            )
        };
        Node::new("rect")
            .class(class)
            .attr("x", x + 1.0)
            .attr("y", y + 1.0)
            .attr("width", width - 2.0)
            .attr("height", CELL - 2.0)
            .attr("rx", 2.0)
            .attr("fill-opacity", strength)
            .push(tooltip(what))
    }

    fn legend(&self) -> Node {
        /// Room for half a label at both ends.
        const MARGIN: f64 = 30.0;
        let (steps, size) = (21, 13.0);
        let width = steps as f64 * size;
        let boxes = (0..steps).map(|i| {
            let t = 2.0 * i as f64 / (steps - 1) as f64 - 1.0;
            // The inverse of the root, so that colours are evenly spaced.
            let (class, strength) = self.colour(t * t.abs() * self.limit);
            Node::new("rect")
                .class(class)
                .attr("x", MARGIN + size * i as f64)
                .attr("y", 1.0)
                .attr("width", size)
                .attr("height", 12.0)
                .attr("fill-opacity", strength)
        });
        let marks: [(f64, &str); 5] = [
            (-1.0, "≤ "),
            (-0.25, ""),
            (0.0, ""),
            (0.25, ""),
            (1.0, "≥ "),
        ];
        let labels = marks.map(|(share, sign)| {
            let x = MARGIN + 0.5 * width * (1.0 + share.signum() * share.abs().sqrt());
            let x = if share == 0.0 {
                MARGIN + 0.5 * width
            } else {
                x
            };
            text(
                (x, 27.0),
                "middle",
                format!("{sign}{}", difference(share * self.limit)),
            )
        });
        picture(
            &format!("Colours of the heat map{}", self.in_unit()),
            width + 2.0 * MARGIN,
            30.0,
        )
        .class("legend")
        .attr("width", width + 2.0 * MARGIN)
        .attr("height", 30.0)
        .extend(boxes)
        .extend(labels)
    }

    fn table(&self) -> Node {
        let head = (self.targets.iter()).fold(
            Node::new("tr").push(column("More weight for", "name")),
            |row, target| row.push(column(target, "n")),
        );
        let rows = self
            .domains
            .iter()
            .zip(&self.values)
            .map(|(domain, values)| {
                let cells = values.iter().map(|v| number_cell(difference(*v)));
                Node::new("tr").push(row_head(domain)).extend(cells)
            });
        Node::new("table")
            .class("plain")
            .push(node::caption(format!(
                "Change{} for each percentage point of weight",
                self.in_unit()
            )))
            .push(Node::new("thead").push(head))
            .push(Node::new("tbody").extend(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shortened("pubmed_abstracts"), "pubmed_abstracts");
        let short = shortened("a_rather_long_name_of_a_domain_31");
        assert_eq!(short, "a_rather_lon…a_domain_31");
        assert_eq!(short.chars().count(), LETTERS);
    }
}
