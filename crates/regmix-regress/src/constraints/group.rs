//! Limits on the total weight of several domains.

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Result};

/// Several domains whose weights together have a least and a largest sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub(super) name: String,
    /// Places of the domains, ascending.
    pub(super) members: Vec<usize>,
    pub(super) floor: f64,
    pub(super) cap: f64,
}

impl Group {
    pub(super) fn new(
        domains: &DomainSet,
        name: &str,
        members: &[&str],
        floor: f64,
        cap: f64,
    ) -> Result<Self> {
        if members.is_empty() {
            return Err(Error::input("a group without domains: expected at least one").field(name));
        }
        for bound in [floor, cap] {
            if !(0.0..=1.0).contains(&bound) {
                return Err(Error::input(format!(
                    "bound {bound}, expected a weight between 0 and 1"
                ))
                .field(name));
            }
        }
        let mut places = Vec::with_capacity(members.len());
        for member in members {
            let place = domains.require(member).map_err(|e| e.field(name))?;
            if places.contains(&place) {
                return Err(
                    Error::input(format!("`{member}` comes twice: expected it once")).field(name),
                );
            }
            places.push(place);
        }
        places.sort_unstable();
        Ok(Self {
            name: name.to_owned(),
            members: places,
            floor,
            cap,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The places of its domains, ascending.
    pub fn members(&self) -> &[usize] {
        &self.members
    }

    /// The least total weight.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// The largest total weight.
    pub fn cap(&self) -> f64 {
        self.cap
    }

    /// The total weight of its domains.
    pub(crate) fn sum(&self, weights: &[f64]) -> f64 {
        self.members.iter().map(|&i| weights[i]).sum()
    }

    /// Adds a group to others. Groups of the same name and domains become
    /// one with the tighter limits.
    pub(super) fn join(self, groups: &mut Vec<Self>, domains: &DomainSet) -> Result<()> {
        for other in groups.iter_mut() {
            if other.members == self.members && other.name == self.name {
                other.floor = other.floor.max(self.floor);
                other.cap = other.cap.min(self.cap);
                return Ok(());
            }
            if other.name == self.name {
                return Err(Error::input(
                    "two groups of this name with different domains: expected one",
                )
                .field(&self.name)
                .help("rename one of them"));
            }
            if let Some(&shared) = self.members.iter().find(|&i| other.members.contains(i)) {
                return Err(Error::input(format!(
                    "`{}` is in the groups `{}` and `{}`: expected every domain in one group at \
                     most",
                    domains[shared].as_str(),
                    other.name,
                    self.name
                ))
                .field(&self.name)
                .help("split the groups so that they share no domain"));
            }
        }
        groups.push(self);
        Ok(())
    }
}
