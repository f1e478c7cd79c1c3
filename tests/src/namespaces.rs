//! Networks of a test's own, made of the kernel's network namespaces: a few hosts around one router, each with its own
//! address, and a way to part any two of them silently, in one direction or both, or to pull a host's cable. It needs
//! Linux, root and the program `ip` (iproute2), and says so where one is missing. Not here: what runs on the hosts.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

/// Every namespace made here begins so; then come the id of the process that made it, the network's number, and the host.
const PREFIX: &str = "homing-";
const ROUTER: &str = "router";

/// A network; it goes when dropped. Programs in it are to be ended first.
#[derive(Debug)]
pub struct Network {
    prefix: String,
    hosts: Vec<&'static str>,
}

impl Network {
    /// A network of `hosts`, all of whom reach each other.
    ///
    /// # Errors
    /// Why there can be none here.
    pub fn new(hosts: &[&'static str]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        remove_orphans()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Made first, so that whatever fails below is cleaned up by its drop.
        let network = Self { prefix: format!("{PREFIX}{}-{number}-", std::process::id()), hosts: hosts.to_vec() };
        let router = network.namespace(ROUTER);
        ip(&["netns", "add", &router])?;
        for host in hosts {
            network.add(host)?;
        }
        let forward = ["netns", "exec", &router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"];
        ip(&forward).context("the router cannot be made to forward")?;
        Ok(network)
    }

    fn add(&self, host: &str) -> Result<()> {
        let (namespace, router) = (self.namespace(host), self.namespace(ROUTER));
        let ([host_side, router_side], port) = (self.addresses(host)?, self.port(host)?);
        ip(&["netns", "add", &namespace])?;
        ip(&["link", "add", "eth0", "netns", &namespace, "type", "veth", "peer", "name", &port, "netns", &router])?;
        for (of, address, device) in [(&namespace, host_side, "eth0"), (&router, router_side, &port)] {
            ip(&["-n", of, "address", "add", &format!("{address}/24"), "dev", device])?;
            ip(&["-n", of, "link", "set", device, "up"])?;
        }
        ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        ip(&["-n", &namespace, "route", "add", "default", "via", &router_side.to_string()])
    }

    /// The namespace of a host.
    #[must_use]
    pub fn namespace(&self, host: &str) -> String {
        format!("{}{host}", self.prefix)
    }

    /// The address of a host.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn address(&self, host: &str) -> Result<Ipv4Addr> {
        Ok(self.addresses(host)?[0])
    }

    fn number(&self, host: &str) -> Result<u8> {
        let at = self.hosts.iter().position(|known| *known == host);
        Ok(u8::try_from(at.with_context(|| format!("no host {host}"))? + 1)?)
    }

    fn addresses(&self, host: &str) -> Result<[Ipv4Addr; 2]> {
        let number = self.number(host)?;
        Ok([Ipv4Addr::new(10, 77, number, 2), Ipv4Addr::new(10, 77, number, 1)])
    }

    /// The router's side of a host's cable.
    fn port(&self, host: &str) -> Result<String> {
        Ok(format!("port{}", self.number(host)?))
    }

    /// From now on the router swallows what goes from one host to another, and tells nobody.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn part(&self, from: &str, to: &str) -> Result<()> {
        self.rule("add", from, to)
    }

    /// Takes [`Network::part`] back.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn join(&self, from: &str, to: &str) -> Result<()> {
        self.rule("del", from, to)
    }

    fn rule(&self, verb: &str, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.address(from)?.to_string(), self.address(to)?.to_string());
        ip(&["-n", &self.namespace(ROUTER), "rule", verb, "from", &from, "to", &to, "blackhole"])
    }

    /// Pulls a host's cable at the router: the host sees that its link is down.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn unplug(&self, host: &str) -> Result<()> {
        ip(&["-n", &self.namespace(ROUTER), "link", "set", &self.port(host)?, "down"])
    }

    /// Plugs it in again.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn plug(&self, host: &str) -> Result<()> {
        ip(&["-n", &self.namespace(ROUTER), "link", "set", &self.port(host)?, "up"])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in self.hosts.iter().chain([&ROUTER]) {
            // One that was not made cannot be removed.
            let _ = ip(&["netns", "del", &self.namespace(host)]);
        }
    }
}

/// Why there are no networks of namespaces here; none where there are.
#[must_use]
pub fn missing() -> Option<String> {
    Network::new(&["one", "two"]).and_then(|network| network.part("one", "two")).err().map(|error| format!("{error:#}"))
}

fn ip(words: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(words).output().context("the program `ip` (iproute2) cannot be run")?;
    if !output.status.success() {
        bail!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Removes namespaces whose process was killed before it could.
fn remove_orphans() -> Result<()> {
    let output =
        Command::new("ip").args(["netns", "list"]).output().context("the program `ip` (iproute2) cannot be run")?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let name = line.split_whitespace().next().unwrap_or("");
        let Some(owner) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
        if owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists() {
            // Another test may be doing the same.
            let _ = ip(&["netns", "del", name]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many attempts of a second each a way has that is open: the kernel tells a host of its cable up to a second after
    /// it was plugged in, what was sent before is lost, and a busy machine answers late.
    const ATTEMPTS: u32 = 20;

    fn reaches(network: &Network, from: &str, to: &str) -> bool {
        (0..ATTEMPTS).any(|_| answers(network, from, to))
    }

    fn answers(network: &Network, from: &str, to: &str) -> bool {
        let (namespace, to) = (network.namespace(from), network.address(to).unwrap().to_string());
        // The answer is a refusal: nobody listens there. Silence lasts until the shell's own end.
        let script = format!("exec 2>&1; timeout 1 bash -c 'exec 3<>/dev/tcp/{to}/9'; [ $? -ne 124 ]");
        ip(&["netns", "exec", &namespace, "bash", "-c", &script]).is_ok()
    }

    #[test]
    fn hosts_are_parted_one_way_both_ways_and_by_their_cable_and_nothing_is_left() {
        if let Some(reason) = missing() {
            eprintln!("SKIPPED: no network namespaces here: {reason}");
            return;
        }
        let network = Network::new(&["alice", "bob", "carol"]).unwrap();
        assert!(reaches(&network, "alice", "bob") && reaches(&network, "bob", "alice"));
        network.part("alice", "bob").unwrap();
        assert!(!answers(&network, "alice", "bob") && reaches(&network, "alice", "carol"));
        network.join("alice", "bob").unwrap();
        assert!(reaches(&network, "alice", "bob"));
        network.unplug("carol").unwrap();
        assert!(!answers(&network, "carol", "bob"));
        network.plug("carol").unwrap();
        assert!(reaches(&network, "carol", "bob"));
        let name = network.namespace("alice");
        assert!(network.part("alice", "dave").is_err());
        drop(network);
        let listed = Command::new("ip").args(["netns", "list"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&listed.stdout).contains(&name));
    }
}
