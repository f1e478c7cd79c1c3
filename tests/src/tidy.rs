//! What the tidy test looks with: a reader of source files, their module graph, and one function for each rule.
//!
//! Every rule takes sources and returns what breaks it, so that a planted violation can prove that the rule bites.
//! Not here: the list of what is allowed in this project, which stands in `tests/tidy.rs`; and no real parser: tokens,
//! braces and paths are enough for these rules, and cost no dependency.

pub mod manifest;
pub mod modules;
pub mod rules;
pub mod source;
