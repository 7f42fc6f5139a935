//! What a weight counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a trainer draws by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleUnit {
    /// Tokens.
    Tokens,
    /// Sequences of one length, filled with tokens: their shares are those of
    /// tokens.
    Sequences,
    /// Documents, or examples as they are stored.
    Documents,
    /// Bytes of text.
    Bytes,
}

impl SampleUnit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tokens, Self::Sequences, Self::Documents, Self::Bytes];

    /// The name in commands and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Sequences => "sequences",
            Self::Documents => "documents",
            Self::Bytes => "bytes",
        }
    }
}

impl fmt::Display for SampleUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SampleUnit {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        (Self::ALL.into_iter())
            .find(|u| u.as_str() == name)
            .ok_or_else(|| {
                Error::input(format!(
                    "unknown unit `{name}`: expected tokens, sequences, documents or bytes"
                ))
            })
    }
}
