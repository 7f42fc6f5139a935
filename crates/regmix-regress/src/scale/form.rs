//! The published forms, written as sums of terms.
//!
//! Every law here is `L = Σ_k exp(z_k)`, where z_k is linear in ln N, ln D, the
//! logarithm of an effective amount of data, and weights. One evaluation then
//! serves all of them, with derivatives by parameters and by weights.

use std::ops::Range;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use regmix_data::random::Stream;

use crate::scale::parameter::{Kind, Parameter};

/// The forms of laws over mixture, tokens and size.
///
/// N is the size and D the tokens, both in units of the middle of the fitted
/// runs; r are the weights; all capital letters and exponents are positive.
///
/// | name | equation | parameters |
/// |---|---|---|
/// | `additive` | `E + A N^-a + (D Σ t_j r_j^q)^-b` | m + 5 |
/// | `multiplicative` | `E + (Σ t_j r_j^q)^-g (A N^-a + K D^-b + h)` | m + 8 |
/// | `dml` | `E + exp(Σ t_j r_j) (A N^-a + K D^-b + h)` | m + 6 |
/// | `slodm_additive` | `E + 1 / Σ C_j r_j^γ_j + A N^-a + K D^-b` | 2 m + 5 |
/// | `slodm_joint` | as before, with `A (Σ C'_j r_j)^γ N^-a`, `K (Σ C''_j r_j)^γ' D^-b` | 4 m + 7 |
/// | `bimix` | `r^-α (A N^-a + K D^-b + h)`, r the target's own weight | 6 |
/// | `dcpt` | `E + A N^-a + K r^η D^-b + C (r + ε)^-γ`, r the target's own weight | 9 |
/// | `repetition` | `E + exp(Σ -b_j B(e_j) + g_j H(e_j)) (A N^-a + K D^-b + h)`, e_j the epochs of a domain | 2 m + 9 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LawName {
    /// The mixture scales the amount of data.
    Additive,
    /// The mixture scales everything above the floor.
    Multiplicative,
    /// Data Mixing Laws (arXiv 2403.16952), all scales at once.
    Dml,
    /// Scaling laws for optimal data mixtures (arXiv 2507.09404), additive.
    SlodmAdditive,
    /// The same with mixtures that move the terms of size and tokens.
    SlodmJoint,
    /// BiMix (arXiv 2405.14908) with a term for size.
    Bimix,
    /// D-CPT (arXiv 2406.01375).
    Dcpt,
    /// Epochs of every domain with a benefit that saturates and a harm that grows,
    /// as Marin's MARINER is described; needs the available tokens.
    Repetition,
}

impl LawName {
    /// All forms.
    pub const ALL: [Self; 8] = [
        Self::Additive,
        Self::Multiplicative,
        Self::Dml,
        Self::SlodmAdditive,
        Self::SlodmJoint,
        Self::Bimix,
        Self::Dcpt,
        Self::Repetition,
    ];

    /// The name in tables and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Additive => "additive",
            Self::Multiplicative => "multiplicative",
            Self::Dml => "dml",
            Self::SlodmAdditive => "slodm_additive",
            Self::SlodmJoint => "slodm_joint",
            Self::Bimix => "bimix",
            Self::Dcpt => "dcpt",
            Self::Repetition => "repetition",
        }
    }

    /// Whether it is a law of the target's own weight alone, for targets that
    /// are domains.
    pub fn needs_own_domain(self) -> bool {
        matches!(self, Self::Bimix | Self::Dcpt)
    }

    /// Whether it is a law of epochs, which takes the available tokens.
    pub fn needs_available(self) -> bool {
        self == Self::Repetition
    }

    /// The form over some domains; `own` is the target's.
    pub(crate) fn form(self, domains: usize, own: Option<usize>) -> Form {
        let mut form = Form::default();
        match self {
            Self::Additive => form.additive(domains, own),
            Self::Multiplicative => form.multiplicative(domains, own),
            Self::Dml => form.dml(domains, own),
            Self::SlodmAdditive => form.slodm(domains, own, false),
            Self::SlodmJoint => form.slodm(domains, own, true),
            Self::Bimix => form.bimix(own.unwrap_or(0)),
            Self::Dcpt => form.dcpt(own.unwrap_or(0)),
            Self::Repetition => form.repetition(domains, own),
        }
        form
    }
}

/// How an amount enters a term.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Power {
    /// s^-1.
    Inverse,
    /// s^-exp(p).
    Falling(usize),
    /// s^exp(p).
    Rising(usize),
    /// s^p.
    Signed(usize),
    /// s.
    Once,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Amount {
    /// `floor + Σ exp(p[rates + j]) r_j^exp(p[power])`.
    Shared {
        rates: usize,
        power: usize,
        floor: f64,
    },
    /// `floor + Σ exp(p[rates + j]) r_j^exp(p[powers + j])`.
    Each {
        rates: usize,
        powers: usize,
        floor: f64,
    },
    /// `floor + Σ exp(p[rates + j]) r_j`.
    Linear { rates: usize, floor: f64 },
    /// One weight, continued along its tangent near zero.
    Own(usize),
    /// One weight plus a constant.
    Shifted { domain: usize, shift: usize },
    /// `exp(Σ -exp(p[benefits + j]) B(e_j) + exp(p[harms + j]) H(e_j))` of epochs
    /// e_j in the place of weights, with `B(e) = (e / (1 + e / ρ))^q` and
    /// `H(e) = ((max(e, 1)^s - 1) / s)²`; ρ, q and s are the exponentials of `limit`,
    /// `power` and `growth`.
    Epochs {
        benefits: usize,
        harms: usize,
        limit: usize,
        power: usize,
        growth: usize,
    },
}

/// One term: exp of its scale, size, tokens, amount and slopes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Term {
    pub(crate) scale: Option<usize>,
    pub(crate) size: Option<usize>,
    pub(crate) tokens: Option<usize>,
    pub(crate) amount: Option<(usize, Power)>,
    pub(crate) slopes: Option<usize>,
}

/// A law as a sum of terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) amounts: Vec<Amount>,
    pub(crate) terms: Vec<Term>,
    /// Where points before the end of a run have an excess in the logarithm: the
    /// first of its two parameters.
    pub(crate) excess: Option<usize>,
}

/// By how much a token of the target's own domain counts more than others at the
/// start, in the logarithm; as in the regression's law.
const OWN: f64 = 3.0;

/// What the two parameters of an excess are multiplied with, by the part of the
/// run that is left: one of all points but the last, as after a short decay, and
/// one that falls with what is left, as along a cosine.
pub(crate) fn excess(left: f64) -> [f64; 2] {
    /// The decay is over this part of a run before its end.
    const SHORT: f64 = 0.05;
    [(left / SHORT).min(1.0), left]
}

impl Form {
    /// The form with an excess before the end of a run.
    pub(crate) fn with_excess(mut self) -> Self {
        self.excess = Some(self.parameters.len());
        self.add("before_end", Kind::Signed, 0.0);
        self.add("by_rest", Kind::Signed, 0.0);
        self
    }

    fn add(&mut self, name: &'static str, kind: Kind, start: f64) -> usize {
        self.add_of(name, None, kind, start)
    }

    fn add_of(
        &mut self,
        name: &'static str,
        domain: Option<usize>,
        kind: Kind,
        start: f64,
    ) -> usize {
        self.parameters.push(Parameter {
            name,
            domain,
            kind,
            start,
        });
        self.parameters.len() - 1
    }

    fn rates(
        &mut self,
        name: &'static str,
        domains: usize,
        (own, more): (Option<usize>, f64),
        level: f64,
    ) -> usize {
        // Roots of equal weights sum to the root of their number.
        let even = level.ln() - 0.5 * (domains as f64).ln();
        let first = self.parameters.len();
        for j in 0..domains {
            let more = if own == Some(j) { more } else { 0.0 };
            self.add_of(name, Some(j), Kind::Rate, even + more);
        }
        first
    }

    fn shared(&mut self, domains: usize, own: Option<usize>, level: f64, floor: f64) -> usize {
        let power = self.add("q", Kind::Exponent, 0.5f64.ln());
        let rates = self.rates("t", domains, (own, OWN), level);
        self.amounts.push(Amount::Shared {
            rates,
            power,
            floor,
        });
        self.amounts.len() - 1
    }

    /// `E`, a term of size and one of tokens.
    fn scales(&mut self, floor: u8, size: u8, tokens: u8) -> (usize, [usize; 2], [usize; 2]) {
        let e = self.add("E", Kind::Level(floor), 0.0);
        (e, self.size(size), self.tokens(tokens))
    }

    fn size(&mut self, level: u8) -> [usize; 2] {
        [
            self.add("A", Kind::SizeLevel(level), 0.0),
            self.add("a", Kind::SizeExponent, 0.34f64.ln()),
        ]
    }

    fn tokens(&mut self, level: u8) -> [usize; 2] {
        [
            self.add("K", Kind::TokensLevel(level), 0.0),
            self.add("b", Kind::TokensExponent, 0.4f64.ln()),
        ]
    }

    fn term(&mut self, scale: usize) -> &mut Term {
        self.terms.push(Term {
            scale: Some(scale),
            ..Term::default()
        });
        self.terms.last_mut().expect("one was added")
    }

    fn additive(&mut self, domains: usize, own: Option<usize>) {
        let e = self.add("E", Kind::Level(50), 0.0);
        let [a, size] = self.size(15);
        let b = self.add("b", Kind::TokensExponent, 0.3f64.ln());
        let amount = self.shared(domains, own, 1.0, 1e-9);
        self.term(e);
        self.term(a).size = Some(size);
        self.terms.push(Term {
            tokens: Some(b),
            amount: Some((amount, Power::Falling(b))),
            ..Term::default()
        });
    }

    /// `A N^-a + K D^-b + h`, all times an amount or by slopes.
    fn scaled(
        &mut self,
        [a, size]: [usize; 2],
        [k, tokens]: [usize; 2],
        h: usize,
        amount: Option<(usize, Power)>,
        slopes: Option<usize>,
    ) {
        for (scale, size, tokens) in [
            (a, Some(size), None),
            (k, None, Some(tokens)),
            (h, None, None),
        ] {
            self.terms.push(Term {
                scale: Some(scale),
                size,
                tokens,
                amount,
                slopes,
            });
        }
    }

    fn multiplicative(&mut self, domains: usize, own: Option<usize>) {
        let (e, [a, size], [k, tokens]) = self.scales(35, 15, 15);
        let h = self.add("h", Kind::Level(30), 0.0);
        let g = self.add("g", Kind::Exponent, 0.3f64.ln());
        let amount = Some((self.shared(domains, own, 1.0, 1e-3), Power::Falling(g)));
        self.term(e);
        self.scaled([a, size], [k, tokens], h, amount, None);
    }

    fn dml(&mut self, domains: usize, own: Option<usize>) {
        let (e, [a, size], [k, tokens]) = self.scales(35, 15, 15);
        let h = self.add("h", Kind::Level(35), 0.0);
        let slopes = Some(self.parameters.len());
        for j in 0..domains {
            let start = if own == Some(j) { -0.8 } else { 0.0 };
            self.add_of("t", Some(j), Kind::Slope, start);
        }
        self.term(e);
        self.scaled([a, size], [k, tokens], h, None, slopes);
    }

    fn slodm(&mut self, domains: usize, own: Option<usize>, joint: bool) {
        let (e, [a, size], [k, tokens]) = self.scales(35, 15, 15);
        let rates = self.rates("C", domains, (own, OWN), 1.0);
        let powers = self.parameters.len();
        for j in 0..domains {
            self.add_of("gamma", Some(j), Kind::Exponent, 0.5f64.ln());
        }
        self.amounts.push(Amount::Each {
            rates,
            powers,
            floor: 1e-3,
        });
        self.term(e);
        self.terms.push(Term {
            amount: Some((0, Power::Inverse)),
            ..Term::default()
        });
        let moved = |form: &mut Self, name: &'static str, exponent: &'static str| {
            let rates = form.parameters.len();
            for j in 0..domains {
                form.add_of(name, Some(j), Kind::Rate, 0.0);
            }
            let power = form.add(exponent, Kind::Signed, -0.1);
            form.amounts.push(Amount::Linear { rates, floor: 1e-3 });
            (form.amounts.len() - 1, Power::Signed(power))
        };
        let by = joint.then(|| (moved(self, "C_A", "gamma_A"), moved(self, "C_B", "gamma_B")));
        let term = self.term(a);
        (term.size, term.amount) = (Some(size), by.map(|b| b.0));
        let term = self.term(k);
        (term.tokens, term.amount) = (Some(tokens), by.map(|b| b.1));
    }

    fn bimix(&mut self, own: usize) {
        let [a, size] = self.size(15);
        let [k, tokens] = self.tokens(20);
        let h = self.add("C", Kind::Level(65), 0.0);
        let alpha = self.add("alpha", Kind::Exponent, 0.1f64.ln());
        self.amounts.push(Amount::Own(own));
        self.scaled(
            [a, size],
            [k, tokens],
            h,
            Some((0, Power::Falling(alpha))),
            None,
        );
    }

    fn dcpt(&mut self, own: usize) {
        let (e, [a, size], [k, tokens]) = self.scales(40, 15, 20);
        let eta = self.add("eta", Kind::Exponent, 0.1f64.ln());
        let c = self.add("C", Kind::Level(25), 0.0);
        let shift = self.add("epsilon", Kind::Exponent, 0.1f64.ln());
        let gamma = self.add("gamma", Kind::Exponent, 0.2f64.ln());
        self.amounts.push(Amount::Own(own));
        self.amounts.push(Amount::Shifted { domain: own, shift });
        self.term(e);
        self.term(a).size = Some(size);
        let term = self.term(k);
        term.tokens = Some(tokens);
        term.amount = Some((0, Power::Rising(eta)));
        self.term(c).amount = Some((1, Power::Falling(gamma)));
    }

    fn repetition(&mut self, domains: usize, own: Option<usize>) {
        let (e, [a, size], [k, tokens]) = self.scales(35, 15, 15);
        let h = self.add("h", Kind::Level(30), 0.0);
        let power = self.add("q", Kind::Exponent, 0.5f64.ln());
        // Where repetition of one source as a whole saturates (arXiv 2305.16264).
        let limit = self.add("rho", Kind::Exponent, 15.4f64.ln());
        let growth = self.add("s", Kind::Exponent, 0.3f64.ln());
        let benefits = self.rates("b", domains, (own, 0.7), 0.5);
        let harms = self.parameters.len();
        for j in 0..domains {
            self.add_of("g", Some(j), Kind::Rate, 0.01f64.ln());
        }
        self.amounts.push(Amount::Epochs {
            benefits,
            harms,
            limit,
            power,
            growth,
        });
        self.term(e);
        self.scaled([a, size], [k, tokens], h, Some((0, Power::Once)), None);
    }

    /// The parameters of amounts that domains have one each of, by name. Slopes are
    /// free, since to pull them to each other made predictions of new mixtures worse;
    /// so are benefits and harms of epochs, which differ with the domain's size.
    pub(crate) fn groups(&self) -> Vec<Range<usize>> {
        let mut out: Vec<Range<usize>> = Vec::new();
        if (self.amounts.iter()).any(|amount| matches!(amount, Amount::Epochs { .. })) {
            return out;
        }
        for (i, parameter) in self.parameters.iter().enumerate() {
            if parameter.kind == Kind::Slope {
                continue;
            }
            match (parameter.domain, out.last_mut()) {
                (Some(j), Some(last)) if j > 0 => last.end = i + 1,
                (Some(_), _) => out.push(i..i + 1),
                (None, _) => {}
            }
        }
        out
    }

    /// A point to start from, for losses of a typical height. The first has no
    /// random part.
    pub(crate) fn start(&self, height: f64, turn: usize, rng: &mut Stream) -> Vec<f64> {
        let spread = if turn == 0 { 0.0 } else { 0.5 };
        (self.parameters.iter())
            .map(|p| {
                let draw = spread * (2.0 * rng.random::<f64>() - 1.0);
                match p.kind {
                    Kind::Level(part) | Kind::SizeLevel(part) | Kind::TokensLevel(part) => {
                        (f64::from(part) / 100.0 * height).ln() + 0.5 * draw
                    }
                    Kind::Rate => p.start + 2.0 * draw,
                    Kind::Signed => p.start,
                    _ => p.start + draw,
                }
            })
            .collect()
    }
}
