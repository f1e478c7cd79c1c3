//! A file of a gigabyte from one peer to another, from the offer to the word that it is there, compared and flushed: beside a copy
//! on the same disk with an fsync, and beside `scp` where that is installed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::table::{Samples, Target, row, say};
use crate::programs::World;

const BYTES: u64 = 1024 * 1024 * 1024;
const BLOCK: usize = 1024 * 1024;
const ARRIVAL: Duration = Duration::from_secs(300);
/// Tenths of a second that `sshd` has to listen.
const LISTENS_AFTER: u32 = 50;

/// Measures so many rounds, in each all one after the other.
///
/// # Errors
/// What could not be done.
pub fn run(rounds: usize) -> Result<()> {
    let world = World::new();
    let path = world.path("gigabyte.bin");
    noise(&path)?;
    let alice = world.peer("alice");
    let bob = world.setup("bob").with("--accept-from=contacts").registered();
    bob.ok("!add alice");
    alice.send("bob", "hello");
    bob.wait_message("alice", "hello");
    let (mut ours, mut copied, mut secure) = (Samples::default(), Samples::default(), Samples::default());
    let sshd = Sshd::start(&world);
    if let Err(why) = &sshd {
        say(&format!("<!-- files: no scp beside it: {why:#} -->"));
    }
    for _ in 0..rounds {
        let begun = Instant::now();
        let id = alice.ok(&format!("!file bob {}", path.display()))["id"].clone();
        let is = |event: &serde_json::Value| event["id"] == id && event["state"] == "done";
        let done = bob.expect_line(0, ARRIVAL, "file", "done", is).json;
        ours.push(rate(begun));
        std::fs::remove_file(done["path"].as_str().context("no path")?)?;

        let begun = Instant::now();
        let copy = world.path("copy.bin");
        std::fs::copy(&path, &copy)?;
        std::fs::File::open(&copy)?.sync_all()?;
        copied.push(rate(begun));
        std::fs::remove_file(&copy)?;

        if let Ok(sshd) = &sshd {
            secure.push(sshd.copies(&path, &copy)?);
        }
    }
    row("verified file, 1 GiB", "MB/s", &ours, Some(("cp + fsync", &copied)), Target::RatioAtLeast(0.5));
    if sshd.is_ok() {
        row("verified file, 1 GiB", "MB/s", &ours, Some(("scp, aes128-gcm", &secure)), Target::RatioAtLeast(1.0));
    }
    Ok(())
}

fn rate(begun: Instant) -> f64 {
    BYTES as f64 / begun.elapsed().as_secs_f64() / 1e6
}

fn noise(path: &Path) -> Result<()> {
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let mut file = std::fs::File::create(path)?;
    let mut block = vec![0; BLOCK];
    for _ in 0..BYTES / BLOCK as u64 {
        dice.fill_bytes(&mut block);
        file.write_all(&block)?;
    }
    file.sync_all()?;
    Ok(())
}

/// A server for `scp`, with keys of its own, for this run alone.
struct Sshd {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Sshd {
    fn start(world: &World) -> Result<Self> {
        let server = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let server = server.context("there is no sshd")?;
        let folder = world.path("ssh");
        std::fs::create_dir_all(&folder)?;
        for key in ["host", "user"] {
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key));
            ensure!(make.status()?.success(), "no key could be made");
        }
        std::fs::copy(folder.join("user.pub"), folder.join("authorized"))?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut serve = Command::new(server);
        serve.args(["-D", "-e", "-f", "/dev/null", "-o", "ListenAddress=127.0.0.1", "-o", "StrictModes=no"]);
        serve.args(["-o", "PidFile=none", "-o", "UsePAM=no", "-o", "Subsystem=sftp internal-sftp"]);
        serve.arg("-o").arg(format!("Port={port}"));
        serve.arg("-o").arg(format!("HostKey={}", folder.join("host").display()));
        serve.arg("-o").arg(format!("AuthorizedKeysFile={}", folder.join("authorized").display()));
        let child = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let sshd = Self { child, folder, port };
        for _ in 0..LISTENS_AFTER {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(sshd);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("sshd does not listen")
    }

    /// MB/s, from the start of `scp` to the end of an fsync.
    fn copies(&self, from: &Path, to: &Path) -> Result<f64> {
        let begun = Instant::now();
        let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
        let mut copy = Command::new("scp");
        copy.args(["-q", "-c", "aes128-gcm@openssh.com", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]);
        copy.arg("-o").arg(format!("UserKnownHostsFile={}", self.folder.join("known").display()));
        copy.arg("-i").arg(self.folder.join("user")).arg("-P").arg(self.port.to_string());
        copy.arg(from).arg(format!("{user}@127.0.0.1:{}", to.display()));
        if !copy.status()?.success() {
            bail!("scp has failed");
        }
        std::fs::File::open(to)?.sync_all()?;
        let rate = rate(begun);
        std::fs::remove_file(to)?;
        Ok(rate)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
