//! The gate's share of `proof files`.
#![allow(clippy::unwrap_used)]

use system_tests::proof::{Form, Order, files};

#[test]
fn files_arrive_as_they_were_whoever_is_killed_and_when() {
    files::run(&Order { form: Form::Gate, seed: 1, amount: None }).unwrap();
}
