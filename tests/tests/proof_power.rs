//! The gate's form of `scripts/proof-power`.
#![allow(clippy::unwrap_used)]

use system_tests::proof::{Form, Order, power};

#[test]
fn no_loss_of_power_takes_what_was_answered_from_either_store() {
    power::run(&Order { form: Form::Gate, seed: 1, amount: None }).unwrap();
}
