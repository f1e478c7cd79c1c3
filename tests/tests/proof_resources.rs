//! The gate's share of `proof resources`.
#![allow(clippy::unwrap_used)]

use system_tests::proof::{Form, Order, resources};

#[test]
fn what_runs_out_or_is_taken_costs_nobody_else_their_messages() {
    resources::run(&Order { form: Form::Gate, seed: 1, amount: None }).unwrap();
}
