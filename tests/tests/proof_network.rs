//! The short form of `scripts/proof-network`: bad datagrams, bad lines and partitions between real peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use system_tests::proof::{Form, Order, network};

#[test]
fn over_every_bad_network_each_message_arrives_once_and_in_order() {
    network::run(&Order { form: Form::Gate, seed: 1, amount: None }).unwrap();
}
