//! The gate's share of `proof kill`.
#![allow(clippy::unwrap_used)]

use system_tests::proof::{Form, Order, kill};

#[test]
fn programs_killed_and_stopped_at_any_moment_lose_nothing() {
    kill::run(&Order { form: Form::Gate, seed: 1, amount: None }).unwrap();
}
