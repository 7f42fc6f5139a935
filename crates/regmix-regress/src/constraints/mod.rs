//! What a mixture must keep to: a floor and a cap per domain, and limits on
//! the total of several.

mod feasible;
mod group;
mod project;

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Mixture, Result};

use crate::repetition::available::check_available;

pub use group::Group;

/// How far outside its bounds a weight may be by rounding.
const SLACK: f64 = 1e-9;

/// A floor and a cap on the weight of every domain, and on the total of
/// groups of domains. No domain is in two groups: projections and the test
/// for a minimum are then exact and cheap.
///
/// ```
/// use regmix_data::DomainSet;
/// use regmix_regress::Constraints;
///
/// let domains = DomainSet::from_names(["web", "code", "law"])?;
/// let constraints = Constraints::none(domains).with_cap("web", 0.5)?.with_floor("law", 0.1)?;
/// let mixture = constraints.project(&[0.9, 0.1, 0.0])?;
/// assert_eq!(mixture.get("web"), Some(0.5));
/// assert!(constraints.allows(mixture.weights()));
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Constraints {
    domains: DomainSet,
    floors: Vec<f64>,
    caps: Vec<f64>,
    groups: Vec<Group>,
}

/// A bound that a mixture sits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The domain, or the group.
    pub name: String,
    /// Which of its bounds.
    pub bound: Bound,
}

/// A side of the allowed range of a weight, or of the total of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The least weight allowed (above zero).
    Floor,
    /// The largest weight allowed (below one).
    Cap,
    /// The least total of a group (above the sum of the floors of its domains).
    GroupFloor,
    /// The largest total of a group (below the sum of the caps of its domains).
    GroupCap,
}

impl Constraints {
    /// No bounds but those of a mixture: weights between 0 and 1.
    pub fn none(domains: DomainSet) -> Self {
        let n = domains.len();
        Self {
            domains,
            floors: vec![0.0; n],
            caps: vec![1.0; n],
            groups: Vec::new(),
        }
    }

    /// From floors and caps in the order of the domains, and groups, such as a
    /// file holds them.
    ///
    /// # Errors
    /// When there are more or fewer than one of each per domain, a group has a
    /// place that is no domain's, or as [`Constraints::with_group`].
    pub fn from_parts(
        domains: DomainSet,
        floors: &[f64],
        caps: &[f64],
        groups: &[Group],
    ) -> Result<Self> {
        let n = domains.len();
        let places = groups.iter().flat_map(|g| &g.members);
        if floors.len() != n || caps.len() != n || places.clone().any(|&i| i >= n) {
            return Err(Error::input(format!(
                "{} floors, {} caps and groups up to domain number {}: expected {n} domains",
                floors.len(),
                caps.len(),
                places.max().map_or(0, |i| i + 1)
            )));
        }
        let names: Vec<String> = domains.names().map(str::to_owned).collect();
        let mut out = Self::none(domains);
        for (name, (floor, cap)) in names.iter().zip(floors.iter().zip(caps)) {
            let i = out.place(name, *cap)?;
            out.caps[i] = *cap;
            let i = out.place(name, *floor)?;
            out.floors[i] = *floor;
        }
        for group in groups {
            let members: Vec<&str> = group.members.iter().map(|&i| &*names[i]).collect();
            out.add_group(&group.name, &members, group.floor, group.cap)?;
        }
        out.checked()
    }

    /// Caps from repetition: no domain is seen more than `max_epochs` times.
    ///
    /// `available` are tokens per domain, `target_tokens` those of the run
    /// that the mixture is for. The cap is
    /// `min(1, max_epochs · available / target_tokens)`.
    ///
    /// ```
    /// use regmix_data::DomainSet;
    /// use regmix_regress::Constraints;
    ///
    /// let domains = DomainSet::from_names(["web", "code"])?;
    /// let caps = Constraints::from_epochs(domains, &[1e9, 5e7], 1e9, 4.0)?;
    /// assert_eq!(caps.caps(), [1.0, 0.2]);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a number is negative or not finite, `target_tokens` or
    /// `max_epochs` is zero, or the domains together are too small for the
    /// run.
    pub fn from_epochs(
        domains: DomainSet,
        available: &[f64],
        target_tokens: f64,
        max_epochs: f64,
    ) -> Result<Self> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if !positive(target_tokens) || !positive(max_epochs) {
            return Err(Error::input(format!(
                "{target_tokens} target tokens and {max_epochs} epochs: expected positive numbers"
            )));
        }
        check_available(&domains, available)?;
        let mut out = Self::none(domains);
        for (i, &tokens) in available.iter().enumerate() {
            out.caps[i] = (max_epochs * tokens / target_tokens).min(1.0);
        }
        out.checked()
    }

    /// Requires a least weight.
    ///
    /// # Errors
    /// When the domain is unknown, the floor is not in `[0, 1]`, or no
    /// mixture can keep to all bounds.
    pub fn with_floor(mut self, domain: &str, floor: f64) -> Result<Self> {
        let i = self.place(domain, floor)?;
        self.floors[i] = floor;
        self.checked()
    }

    /// Sets a largest weight.
    ///
    /// # Errors
    /// As [`Constraints::with_floor`].
    pub fn with_cap(mut self, domain: &str, cap: f64) -> Result<Self> {
        let i = self.place(domain, cap)?;
        self.caps[i] = cap;
        self.checked()
    }

    /// Sets a least and a largest total weight of several domains, for
    /// example all sources of code.
    ///
    /// ```
    /// use regmix_data::DomainSet;
    /// use regmix_regress::Constraints;
    ///
    /// let domains = DomainSet::from_names(["web", "github", "stack"])?;
    /// let none = Constraints::none(domains);
    /// let code = none.clone().with_group("code", &["github", "stack"], 0.1, 0.4)?;
    /// assert!(code.allows(&[0.7, 0.2, 0.1]) && !code.allows(&[0.5, 0.3, 0.2]));
    /// // What clashes is named.
    /// let capped = none.with_cap("github", 0.2)?.with_cap("stack", 0.1)?;
    /// let err = capped.with_group("code", &["github", "stack"], 0.5, 1.0).unwrap_err();
    /// assert!(err.to_string().contains("sum to 0.3: `github` 0.2, `stack` 0.1"));
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a domain is unknown, comes twice or is in another group, a limit
    /// is not in `[0, 1]`, or no mixture can keep to all bounds.
    pub fn with_group(
        mut self,
        name: &str,
        members: &[&str],
        floor: f64,
        cap: f64,
    ) -> Result<Self> {
        self.add_group(name, members, floor, cap)?;
        self.checked()
    }

    /// Both these bounds and others over the same domains.
    ///
    /// # Errors
    /// When the domains differ or no mixture can keep to all bounds.
    pub fn and(mut self, other: &Self) -> Result<Self> {
        for name in other.domains.names() {
            self.domains.require(name)?;
        }
        for i in 0..self.domains.len() {
            let j = other.domains.require(self.domains[i].as_str())?;
            self.floors[i] = self.floors[i].max(other.floors[j]);
            self.caps[i] = self.caps[i].min(other.caps[j]);
        }
        for group in &other.groups {
            let members: Vec<&str> = (group.members.iter())
                .map(|&i| other.domains[i].as_str())
                .collect();
            self.add_group(&group.name, &members, group.floor, group.cap)?;
        }
        self.checked()
    }

    /// The domains, in the order of the bounds.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// The least weights.
    pub fn floors(&self) -> &[f64] {
        &self.floors
    }

    /// The largest weights.
    pub fn caps(&self) -> &[f64] {
        &self.caps
    }

    /// The limits on totals.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The same bounds in the order of another set of the same domains.
    ///
    /// # Errors
    /// When a domain is in one set only.
    pub fn reordered(&self, domains: &DomainSet) -> Result<Self> {
        Self::none(domains.clone()).and(self)
    }

    /// The constraints that were given, or none, over `domains`.
    pub(crate) fn or_none(given: Option<&Self>, domains: &DomainSet) -> Result<Self> {
        given.map_or_else(|| Ok(Self::none(domains.clone())), |c| c.reordered(domains))
    }

    /// Whether weights keep to the bounds, up to rounding (1e-9).
    pub fn allows(&self, weights: &[f64]) -> bool {
        weights.len() == self.domains.len()
            && (weights.iter().sum::<f64>() - 1.0).abs() <= Mixture::TOLERANCE
            && self.inside(weights, SLACK, SLACK)
    }

    /// Whether all weights and totals are inside their bounds, up to slacks.
    fn inside(&self, weights: &[f64], slack: f64, slack_of_totals: f64) -> bool {
        let within =
            |w: f64, floor: f64, cap: f64, slack: f64| w >= floor - slack && w <= cap + slack;
        (weights.iter().zip(&self.floors).zip(&self.caps))
            .all(|((w, floor), cap)| within(*w, *floor, *cap, slack))
            && (self.groups.iter()).all(|g| within(g.sum(weights), g.floor, g.cap, slack_of_totals))
    }

    /// The bounds that weights sit on (within 1e-6), domains first; a floor
    /// of 0 and a cap of 1 do not count, nor do limits of groups that say no
    /// more than the bounds of their domains.
    pub fn binding(&self, weights: &[f64]) -> Vec<Binding> {
        let mut out = Vec::new();
        let mut note = |name: &str, bound| {
            out.push(Binding {
                name: name.to_owned(),
                bound,
            });
        };
        for ((i, name), w) in self.domains.names().enumerate().zip(weights) {
            if self.floors[i] > 0.0 && *w <= self.floors[i] + 1e-6 {
                note(name, Bound::Floor);
            }
            if self.caps[i] < 1.0 && *w >= self.caps[i] - 1e-6 {
                note(name, Bound::Cap);
            }
        }
        let complete = weights.len() == self.domains.len();
        for group in self.groups.iter().filter(|_| complete) {
            let sum = group.sum(weights);
            if group.floor > group.sum(&self.floors) && sum <= group.floor + 1e-6 {
                note(&group.name, Bound::GroupFloor);
            }
            if group.cap < group.sum(&self.caps).min(1.0) && sum >= group.cap - 1e-6 {
                note(&group.name, Bound::GroupCap);
            }
        }
        out
    }

    fn add_group(&mut self, name: &str, members: &[&str], floor: f64, cap: f64) -> Result<()> {
        Group::new(&self.domains, name, members, floor, cap)?.join(&mut self.groups, &self.domains)
    }

    fn place(&self, domain: &str, bound: f64) -> Result<usize> {
        let i = self.domains.require(domain)?;
        if !(0.0..=1.0).contains(&bound) {
            return Err(
                Error::input(format!("bound {bound}, expected a weight between 0 and 1"))
                    .field(domain),
            );
        }
        Ok(i)
    }

    /// The places of the domains in no group.
    fn lone(&self) -> impl Iterator<Item = usize> {
        (0..self.domains.len()).filter(|i| !self.groups.iter().any(|g| g.members.contains(i)))
    }
}
