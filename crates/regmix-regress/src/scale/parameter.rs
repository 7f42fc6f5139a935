//! The parameters of a law: what each does, and where it starts.

/// What a parameter does, which says how it starts, and when it cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ln of a part of the loss; the start is this many hundredths of it.
    Level(u8),
    /// As `Level`, of a term that falls with size.
    SizeLevel(u8),
    /// As `Level`, of a term that falls with tokens.
    TokensLevel(u8),
    /// ln of the exponent of size.
    SizeExponent,
    /// ln of the exponent of tokens.
    TokensExponent,
    /// ln of another exponent.
    Exponent,
    /// An exponent of any sign.
    Signed,
    /// ln of a domain's contribution to an amount.
    Rate,
    /// A slope by a weight.
    Slope,
}

#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(super) name: &'static str,
    /// The domain, where there is one for each.
    pub(super) domain: Option<usize>,
    pub(crate) kind: Kind,
    pub(crate) start: f64,
}

impl Parameter {
    /// The name as it stands in the equation, with the place of its domain.
    pub(crate) fn name(&self) -> String {
        match self.domain {
            Some(j) => format!("{}[{j}]", self.name),
            None => self.name.to_owned(),
        }
    }

    /// Whether it is an exponent of the whole law, which targets may share.
    pub(crate) fn is_exponent(&self) -> bool {
        let exponent = matches!(
            self.kind,
            Kind::SizeExponent | Kind::TokensExponent | Kind::Exponent
        );
        exponent && self.domain.is_none()
    }
}
