//! Partitions of whole hosts, in networks made of namespaces: who is parted from whom, for how long, and that everything
//! written meanwhile arrives. Not here: how messages are measured, and the namespaces themselves.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::traffic::{Receipts, Two};
use crate::namespaces::Network;
use crate::programs::{Setup, World};

/// From whom to whom nothing goes.
type Walls = &'static [(&'static str, &'static str)];

/// A partition.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// How it is called.
    pub name: &'static str,
    /// What is parted.
    pub kind: Kind,
    /// Whether everything arrives before it heals.
    pub arrives_meanwhile: bool,
}

/// How it is parted.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// The router swallows datagrams, and tells nobody.
    Walls(Walls),
    /// A host's cable is pulled and plugged in again and again.
    Flapping(&'static str),
}

const fn walls(name: &'static str, arrives_meanwhile: bool, walls: Walls) -> Case {
    Case { name, kind: Kind::Walls(walls), arrives_meanwhile }
}

/// All cases.
pub const CASES: &[Case] = &[
    walls("parted: the two peers from each other", true, &[("alice", "bob"), ("bob", "alice")]),
    walls(
        "parted: the directory from both",
        true,
        &[("alice", "directory"), ("directory", "alice"), ("bob", "directory"), ("directory", "bob")],
    ),
    walls(
        "parted: one peer from all",
        false,
        &[("alice", "directory"), ("directory", "alice"), ("alice", "bob"), ("bob", "alice")],
    ),
    walls("parted: alice to bob, one way", true, &[("alice", "bob")]),
    walls("parted: alice to all, one way", false, &[("alice", "bob"), ("alice", "directory")]),
    walls("parted: all to alice, one way", false, &[("bob", "alice"), ("directory", "alice")]),
    Case { name: "parted: alice's cable flapping", kind: Kind::Flapping("alice"), arrives_meanwhile: false },
    Case { name: "parted: the directory's cable flapping", kind: Kind::Flapping("directory"), arrives_meanwhile: true },
];

/// What can arrive while hosts are parted does so within this time.
const MEANWHILE: Duration = Duration::from_secs(30);
/// Time between two messages of one writer.
const GAP: Duration = Duration::from_millis(250);

/// Runs a case that lasts for `time`; returns the receipts, and how soon all were there after it healed.
///
/// # Errors
/// When the network cannot be made, or what should arrive meanwhile does not.
///
/// # Panics
/// When a message is lost, doubled or out of order.
pub fn run(case: &Case, time: Duration) -> Result<(Receipts, String)> {
    // Dropped last: what runs in it has to end first.
    let network = Network::new(&["directory", "alice", "bob"])?;
    let world = World::inside(&network.namespace("directory"), network.address("directory")?);
    let setup = |name: &'static str| -> Result<Setup> {
        let address = (network.address(name)?, 0).into();
        Ok(world.setup(name).bound_to(address).inside(&network.namespace(name)))
    };
    let mut two = Two::meet(setup("alice")?.start(), setup("bob")?.start());
    two.wait_for_link();
    part(&network, case, &mut two, time)?;
    // Nothing new is written: what waits has to find out by itself.
    let healed = Instant::now();
    let receipts = two.receipts(Duration::from_secs(180));
    let after = receipts.all_after(healed).as_secs_f64();
    two.check();
    Ok((receipts, format!("{:.0} s; all there {after:.1} s after it healed", time.as_secs_f64())))
}

/// Parts, lets both write meanwhile, and heals.
fn part(network: &Network, case: &Case, two: &mut Two, time: Duration) -> Result<()> {
    match case.kind {
        Kind::Walls(walls) => {
            walls.iter().try_for_each(|(from, to)| network.part(from, to))?;
            two.keep_writing(time, GAP);
            if case.arrives_meanwhile {
                // It would say so if one were missing.
                let _ = two.receipts(MEANWHILE);
            }
            walls.iter().try_for_each(|(from, to)| network.join(from, to))
        }
        Kind::Flapping(host) => {
            let end = Instant::now() + time;
            // Longer each time, up to two seconds, and plugged in for half as long.
            for turn in 1u32.. {
                if Instant::now() >= end {
                    break;
                }
                let down = Duration::from_millis(200) * (turn % 10).max(1);
                network.unplug(host)?;
                two.keep_writing(down, GAP);
                network.plug(host)?;
                two.keep_writing(down / 2, GAP);
            }
            Ok(())
        }
    }
}
