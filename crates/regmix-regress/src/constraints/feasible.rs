//! Whether any mixture keeps to all bounds, and which of them clash if not.

use regmix_data::{Error, Result};

use crate::constraints::{Constraints, SLACK};

/// The least or the largest total of one part (a group, or a domain in no
/// group), with what sets it.
struct Part {
    total: f64,
    words: Option<String>,
}

impl Constraints {
    /// Refuses bounds that no mixture keeps to.
    ///
    /// Groups share no domain, so it is enough to look at every domain, then
    /// at every group by itself, then at the sum of what groups and the
    /// domains outside of them need and take.
    pub(super) fn checked(self) -> Result<Self> {
        self.domains_alone()?;
        let floors = self.parts_of(&self.floors, |i| self.floors[i] > 0.0);
        let caps = self.parts_of(&self.caps, |i| self.caps[i] < 1.0);
        let mut least = floors.lone;
        let mut most = caps.lone;
        for (group, (floors, caps)) in
            (self.groups.iter()).zip(floors.grouped.into_iter().zip(caps.grouped))
        {
            let name = &group.name;
            let clash = |text: String, help: &str| Err(Error::input(text).field(name).help(help));
            if group.floor > group.cap {
                return clash(
                    format!(
                        "group `{name}` needs at least {} and may have at most {}: no mixture can \
                         keep to both",
                        number(group.floor),
                        number(group.cap)
                    ),
                    "lower its floor or raise its cap",
                );
            }
            if group.floor > caps.total + SLACK {
                return clash(
                    format!(
                        "group `{name}` needs at least {} but the caps of its domains sum to {}: {}",
                        number(group.floor),
                        number(caps.total),
                        caps.words.unwrap_or_default()
                    ),
                    "lower the group's floor, raise some of the caps, allow more epochs, or add data",
                );
            }
            if group.cap < floors.total - SLACK {
                return clash(
                    format!(
                        "group `{name}` may have at most {} but the floors of its domains sum to \
                         {}: {}",
                        number(group.cap),
                        number(floors.total),
                        floors.words.unwrap_or_default()
                    ),
                    "raise the group's cap or lower some of the floors",
                );
            }
            let own = |bound: f64| Part {
                total: bound,
                words: Some(format!("group `{name}` {}", number(bound))),
            };
            least.push(if group.floor > floors.total {
                own(group.floor)
            } else {
                floors
            });
            most.push(if group.cap < caps.total {
                own(group.cap)
            } else {
                caps
            });
        }
        let (needed, by) = summed(&least);
        if needed > 1.0 + SLACK {
            return Err(Error::input(format!(
                "floors sum to {}, expected at most 1: {by}",
                number(needed)
            ))
            .help("lower some of them"));
        }
        let (taken, by) = summed(&most);
        if taken < 1.0 - SLACK {
            return Err(Error::input(format!(
                "caps sum to {}, expected at least 1: {by}",
                number(taken)
            ))
            .help("raise some of them: allow more epochs, fewer target tokens, or add data"));
        }
        Ok(self)
    }

    fn domains_alone(&self) -> Result<()> {
        for (i, name) in self.domains.names().enumerate() {
            if self.floors[i] > self.caps[i] {
                return Err(Error::input(format!(
                    "floor {} of `{name}` is above its cap {}: no mixture can keep to both",
                    self.floors[i], self.caps[i]
                ))
                .field(name)
                .help("lower the floor, raise the cap, or allow more epochs"));
            }
        }
        Ok(())
    }

    /// The sums of one kind of bound: of every group, and of every domain
    /// outside of groups.
    fn parts_of(&self, bounds: &[f64], says: impl Fn(usize) -> bool) -> Parts {
        let part = |places: &[usize]| {
            let words: Vec<String> = (places.iter().filter(|&&i| says(i)))
                .map(|&i| format!("`{}` {}", self.domains[i], number(bounds[i])))
                .collect();
            Part {
                total: places.iter().map(|&i| bounds[i]).sum(),
                words: (!words.is_empty()).then(|| words.join(", ")),
            }
        };
        Parts {
            grouped: self.groups.iter().map(|g| part(&g.members)).collect(),
            lone: self.lone().map(|i| part(&[i])).collect(),
        }
    }
}

struct Parts {
    grouped: Vec<Part>,
    lone: Vec<Part>,
}

/// The sum of parts, and the bounds it is made of.
fn summed(parts: &[Part]) -> (f64, String) {
    let total = parts.iter().map(|p| p.total).sum();
    let words: Vec<&str> = parts.iter().filter_map(|p| p.words.as_deref()).collect();
    (total, words.join(", "))
}

/// At most four decimals.
fn number(x: f64) -> String {
    let text = format!("{x:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use crate::constraints::Constraints;
    use regmix_data::DomainSet;

    fn none() -> Constraints {
        let domains = DomainSet::from_names(["web", "github", "stack", "law"]).unwrap();
        Constraints::none(domains)
    }

    fn message(c: regmix_data::Result<Constraints>) -> String {
        c.unwrap_err().to_string()
    }

    #[test]
    fn clashes_of_domains_are_named() {
        let two = || Constraints::none(DomainSet::from_names(["d0", "d1"]).unwrap());
        let err = message(two().with_cap("d0", 0.2).unwrap().with_cap("d1", 0.3));
        assert_eq!(
            err,
            "caps sum to 0.5, expected at least 1: `d0` 0.2, `d1` 0.3"
        );
        let err = message(two().with_floor("d0", 0.7).unwrap().with_floor("d1", 0.7));
        assert_eq!(
            err,
            "floors sum to 1.4, expected at most 1: `d0` 0.7, `d1` 0.7"
        );
        let err = message(two().with_cap("d0", 0.2).unwrap().with_floor("d0", 0.3));
        assert!(err.contains("`d0` is above its cap"), "{err}");
        assert!(message(two().with_cap("x", 0.2)).contains("unknown domain `x`"));
        assert!(message(two().with_cap("d0", 1.5)).contains("bound 1.5"));
        let domains = two().domains().clone();
        let err = message(Constraints::from_epochs(domains, &[10.0, 10.0], 100.0, 4.0));
        assert!(err.contains("caps sum to 0.8"), "{err}");
    }

    #[test]
    fn clashes_of_groups_are_named() {
        let code = ["github", "stack"];
        let err = message(
            none()
                .with_cap("github", 0.2)
                .and_then(|c| c.with_cap("stack", 0.1))
                .and_then(|c| c.with_group("code", &code, 0.5, 1.0)),
        );
        assert_eq!(
            err,
            "`code`: group `code` needs at least 0.5 but the caps of its domains sum to 0.3: \
             `github` 0.2, `stack` 0.1"
        );
        let err = message(
            none()
                .with_floor("github", 0.3)
                .and_then(|c| c.with_group("code", &code, 0.0, 0.2)),
        );
        assert!(
            err.contains("at most 0.2 but the floors of its domains sum to 0.3: `github` 0.3"),
            "{err}"
        );
        let err = message(
            none()
                .with_floor("web", 0.6)
                .and_then(|c| c.with_group("code", &code, 0.5, 1.0)),
        );
        assert_eq!(
            err,
            "floors sum to 1.1, expected at most 1: `web` 0.6, group `code` 0.5"
        );
        let err = message(
            none()
                .with_cap("web", 0.3)
                .and_then(|c| c.with_cap("law", 0.2))
                .and_then(|c| c.with_group("code", &code, 0.0, 0.4)),
        );
        assert_eq!(
            err,
            "caps sum to 0.9, expected at least 1: `web` 0.3, `law` 0.2, group `code` 0.4"
        );
        let err = message(none().with_group("code", &code, 0.5, 0.4));
        assert!(
            err.contains("at least 0.5 and may have at most 0.4"),
            "{err}"
        );
    }

    #[test]
    fn groups_share_no_domain() {
        let one = || {
            none()
                .with_group("code", &["github", "stack"], 0.0, 0.5)
                .unwrap()
        };
        let err = message(one().with_group("text", &["stack", "law"], 0.1, 1.0));
        assert!(
            err.contains("`stack` is in the groups `code` and `text`"),
            "{err}"
        );
        assert!(message(one().with_group("code", &["law"], 0.0, 1.0)).contains("two groups"));
        assert!(message(one().with_group("x", &[], 0.0, 1.0)).contains("without domains"));
        assert!(message(one().with_group("x", &["law", "law"], 0.0, 1.0)).contains("twice"));
        assert!(message(one().with_group("x", &["mail"], 0.0, 1.0)).contains("mail"));
        assert!(message(one().with_group("x", &["law"], 0.0, 1.1)).contains("bound 1.1"));
        // The same group again tightens it.
        let both = one().and(
            &none()
                .with_group("code", &["stack", "github"], 0.1, 0.7)
                .unwrap(),
        );
        let group = &both.unwrap().groups()[0].clone();
        assert_eq!((group.floor(), group.cap()), (0.1, 0.5));
    }
}
