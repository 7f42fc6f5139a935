//! What an export consists of.

use serde::Serialize;

/// A file for a trainer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedFile {
    /// Its name, where it is one of several; otherwise a proposal.
    pub name: String,
    /// Its contents.
    pub text: String,
}
