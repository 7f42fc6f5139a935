//! Answers.

/// An answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Code and words, such as `200 OK`.
    pub status: &'static str,
    /// The type of the body, such as `application/json`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}
