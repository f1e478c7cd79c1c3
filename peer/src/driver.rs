//! The one loop of the program.

pub mod api;
