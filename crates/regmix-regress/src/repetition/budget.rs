//! The tokens that there are and the tokens that a run takes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Mixture, Result};

use crate::constraints::Constraints;
use crate::repetition::effective_tokens::effective_tokens;
use crate::repetition::unimax::unimax;

/// How many tokens there are and how many the target run takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Tokens per domain.
    pub available: BTreeMap<String, f64>,
    /// Tokens of the target run.
    pub target_tokens: f64,
    /// How often a token may be seen.
    pub max_epochs: f64,
}

impl Budget {
    /// The caps that the budget sets.
    ///
    /// # Errors
    /// When a domain is missing or unknown, a number is out of range, or the
    /// domains together are too small for the run.
    pub fn caps(&self, domains: &DomainSet) -> Result<Constraints> {
        let available = self.ordered(domains)?;
        Constraints::from_epochs(
            domains.clone(),
            &available,
            self.target_tokens,
            self.max_epochs,
        )
    }

    /// The most even mixture that the limit of repetition allows, see
    /// [`unimax`].
    ///
    /// # Errors
    /// When a domain is missing or unknown, or a number is out of range.
    pub fn unimax(&self, domains: &DomainSet) -> Result<Mixture> {
        let available = self.ordered(domains)?;
        unimax(
            domains.clone(),
            &available,
            self.target_tokens,
            self.max_epochs,
        )
    }

    /// How often the target run sees a domain's tokens at a weight; `None`
    /// where there are no tokens.
    pub(crate) fn epochs(&self, domain: &str, weight: f64) -> Result<Option<f64>> {
        let tokens = self.tokens(domain)?;
        Ok((tokens > 0.0).then(|| weight * self.target_tokens / tokens))
    }

    /// The effective number of tokens that the target run sees of a domain at
    /// a weight, see [`effective_tokens`].
    ///
    /// ```
    /// use regmix_regress::Budget;
    ///
    /// let budget = Budget {
    ///     available: [("web".to_owned(), 1e9), ("law".to_owned(), 1e7)].into(),
    ///     target_tokens: 1e9,
    ///     max_epochs: 8.0,
    /// };
    /// // 5 epochs of law count as four and a half.
    /// assert!((budget.effective_tokens("law", 0.05)? / 4.52e7 - 1.0).abs() < 0.01);
    /// assert_eq!(budget.effective_tokens("web", 0.95)?, 9.5e8);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the domain is unknown.
    pub fn effective_tokens(&self, domain: &str, weight: f64) -> Result<f64> {
        let unique = self.tokens(domain)?;
        Ok(effective_tokens(weight * self.target_tokens, unique))
    }

    /// Tokens in the order of the domains.
    fn ordered(&self, domains: &DomainSet) -> Result<Vec<f64>> {
        for name in self.available.keys() {
            domains.require(name)?;
        }
        domains.names().map(|d| self.tokens(d)).collect()
    }

    /// The tokens there are of a domain.
    ///
    /// # Errors
    /// When no number is given for it.
    pub fn tokens(&self, domain: &str) -> Result<f64> {
        self.available.get(domain).copied().ok_or_else(|| {
            Error::input(format!("available tokens of domain `{domain}` are missing"))
                .field("available")
                .help("give a number for every domain")
        })
    }
}
