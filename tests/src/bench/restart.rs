//! How soon a directory server serves again with 500,000 kept messages: after an orderly end, and after SIGKILL with a
//! log that was not moved into the database.

use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::{Context as _, Result};
use directory_server::data_dir::{DATABASE_FILE, identity_in};

use super::session::Session;
use super::store::{Content, RECIPIENT, fill};
use super::table::{Samples, Target, row, say};
use crate::hostile::stranger;
use crate::programs::Directory;

/// 500,000 items of the smallest sealed size, each mailbox with 5,000.
const CONTENT: Content = Content { recipients: 100, submitters: 100, per_pair: 50, sealed_bytes: 300 };

/// Restarts with 500,000 kept messages.
///
/// # Errors
/// When it cannot be measured.
pub async fn run(rounds: usize) -> Result<()> {
    let root = tempfile::Builder::new().prefix("homing-bench-").tempdir()?;
    // The first start makes the key and the folder.
    let mut directory = Directory::start(root.path(), "directory", Ipv4Addr::LOCALHOST, 0);
    directory.terminate();
    let identity = identity_in(directory.data_dir())?.context("the server has made no key")?;
    let (store, rate) = fill(&directory.data_dir().join(DATABASE_FILE), &identity, CONTENT)?;
    store.close()?;
    let mut filled = Samples::default();
    filled.push(rate);
    row("filling the store with 500,000 items, batches of 512", "/s", &filled, None, Target::None);
    let mut token = None;
    for (what, killed) in [("after SIGTERM", false), ("after SIGKILL", true)] {
        let [mut listening, mut answered] = std::array::from_fn(|_| Samples::default());
        for _ in 0..rounds {
            let start = Instant::now();
            directory.restart();
            listening.push(start.elapsed().as_secs_f64() * 1e3);
            let (mut session, next) = Session::log_in_with(directory.address(), &stranger(RECIPIENT), token).await?;
            answered.push(start.elapsed().as_secs_f64() * 1e3);
            token = Some(next);
            session.online(RECIPIENT);
            session.flush().await?;
            session.next().await?;
            if killed {
                directory.kill_9();
            } else {
                directory.terminate();
            }
        }
        let name = |until: &str| format!("restart {what}, 500,000 kept, until {until}");
        row(&name("`listening on`"), "ms", &listening, None, Target::AtMost(100.0));
        row(&name("the first login is answered"), "ms", &answered, None, Target::AtMost(100.0));
    }
    let bytes = std::fs::metadata(directory.data_dir().join(DATABASE_FILE))?.len();
    say(&format!("<!-- the database has {} MB -->", bytes / 1_000_000));
    Ok(())
}
