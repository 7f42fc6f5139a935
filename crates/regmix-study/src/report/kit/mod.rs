//! What the sections of the report are made of: elements, plots and numbers.

pub(crate) mod node;
pub(crate) mod number;
pub(crate) mod scale;
pub(crate) mod svg;
pub(crate) mod track;
