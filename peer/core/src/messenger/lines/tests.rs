//! What is done to lines, rule by rule, with a store that answers as told.

mod amended;
mod bench;
mod changed;
mod read;
mod vanished;
