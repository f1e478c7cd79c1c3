//! Links between peers: dialled by address, in order, lost at any point.

use std::collections::VecDeque;
use std::net::SocketAddr;

use common::identity::PublicKey;
use common::wire::peer::PeerFrame;
use peer_core::event::{Input, LinkEnd, LinkId};

use super::world::{What, World};

/// One side of a link.
#[derive(Debug)]
struct Side {
    machine: usize,
    run: u32,
    id: LinkId,
    open: bool,
    /// On its way to this side; none: the end.
    coming: VecDeque<Option<Box<PeerFrame>>>,
    coming_at: u64,
}

/// One side of a link, as others see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) machine: usize,
    pub(crate) run: u32,
    pub(crate) id: LinkId,
    /// It is open, and what is sent on the link arrives.
    pub(crate) open: bool,
}

/// A link: the dialling side first.
#[derive(Debug)]
pub(crate) struct Link {
    sides: [Side; 2],
    /// Everything on it is lost from now on.
    dead: bool,
}

impl Link {
    pub(crate) fn end(&self, side: usize) -> End {
        let Side { machine, run, id, open, .. } = self.sides[side];
        End { machine, run, id, open: open && !self.dead }
    }
}

impl World {
    pub(crate) fn dial(&mut self, machine: usize, link: LinkId, key: PublicKey, addresses: Vec<SocketAddr>) {
        let run = self.machines[machine].run;
        let dead = addresses.iter().take_while(|address| self.found(machine, address).is_none()).count();
        let mut delay_ms = 2 * self.latency();
        if dead == addresses.len() {
            delay_ms += self.dice.between(100, 5_000);
        } else {
            delay_ms += 250 * dead as u64;
        }
        self.machines[machine].dials.insert(link, (key, addresses));
        self.after(delay_ms, What::Dialled { machine, run, link });
    }

    /// The machine that answers at an address.
    fn found(&self, from: usize, address: &SocketAddr) -> Option<usize> {
        let there = |(_, other): &(usize, &super::machine::Machine)| other.core.is_some() && other.address == *address;
        let found = self.machines.iter().enumerate().find(there).map(|(number, _)| number)?;
        (found != from && self.reaches(from, found)).then_some(found)
    }

    pub(crate) fn dialled(&mut self, machine: usize, run: u32, link: LinkId) {
        if self.machines[machine].run != run {
            return;
        }
        let Some((key, addresses)) = self.machines[machine].dials.remove(&link) else { return };
        let mut end = LinkEnd::NotReached;
        for address in addresses {
            let Some(other) = self.found(machine, &address) else { continue };
            if self.identities[self.machines[other].who].public() == key {
                self.link_up(machine, link, other);
                return;
            }
            end = LinkEnd::WrongKey;
        }
        self.machine_input(machine, run, Input::LinkDown { link, end });
    }

    fn link_up(&mut self, dialler: usize, link: LinkId, other: usize) {
        let accepted = &mut self.machines[other];
        let there = LinkId(accepted.next_accepted);
        accepted.next_accepted += 2;
        let place = self.links.len();
        let side = |machine: usize, run: u32, id: LinkId| Side {
            machine,
            run,
            id,
            open: true,
            coming: VecDeque::new(),
            coming_at: 0,
        };
        let sides = [side(dialler, self.machines[dialler].run, link), side(other, self.machines[other].run, there)];
        self.links.push(Link { sides, dead: false });
        self.machines[dialler].links.insert(link, (place, 0));
        self.machines[other].links.insert(there, (place, 1));
        for (side, machine, from) in [(1, other, dialler), (0, dialler, other)] {
            let key = self.identities[self.machines[from].who].public();
            let address = self.machines[from].address;
            let (link, run) = (self.links[place].sides[side].id, self.machines[machine].run);
            self.machine_input(machine, run, Input::LinkUp { link, key, address, dialled: side == 0 });
        }
    }

    /// Sends on a link; none: the end.
    pub(crate) fn send_across(&mut self, machine: usize, link: LinkId, frame: Option<Box<PeerFrame>>) {
        let Some((place, side)) = self.machines[machine].links.get(&link).copied() else { return };
        if !self.links[place].sides[side].open || self.links[place].dead {
            return;
        }
        let at_ms = self.now + self.latency();
        let other = &mut self.links[place].sides[1 - side];
        other.coming.push_back(frame);
        other.coming_at = other.coming_at.max(at_ms);
        let at_ms = other.coming_at;
        self.at(at_ms, What::Across(place, 1 - side));
    }

    pub(crate) fn close_link(&mut self, machine: usize, link: LinkId) {
        let run = self.machines[machine].run;
        if self.machines[machine].dials.remove(&link).is_some() {
            let down = Input::LinkDown { link, end: LinkEnd::Closed };
            self.after(0, What::Input(machine, run, Box::new(down)));
            return;
        }
        self.send_across(machine, link, None);
        if let Some((place, side)) = self.machines[machine].links.remove(&link)
            && std::mem::replace(&mut self.links[place].sides[side].open, false)
        {
            let down = Input::LinkDown { link, end: LinkEnd::Closed };
            self.after(1, What::Input(machine, run, Box::new(down)));
            self.streams_break(place, side);
        }
    }

    pub(crate) fn frame_across(&mut self, place: usize, side: usize) {
        let (here, there) = (&self.links[place].sides[side], &self.links[place].sides[1 - side]);
        let (machine, run, link, from) = (here.machine, here.run, here.id, there.machine);
        if !here.open {
            self.links[place].sides[side].coming.pop_front();
            return;
        }
        if !self.reaches(machine, from) {
            let delay_ms = self.dice.between(200, 1_500);
            self.after(delay_ms, What::Across(place, side));
            return;
        }
        match self.links[place].sides[side].coming.pop_front() {
            Some(Some(frame)) => self.machine_input(machine, run, Input::LinkFrame { link, frame }),
            Some(None) => self.link_gone(place, side),
            None => {}
        }
    }

    /// One side finds its link lost; the other does so at the latest when it has heard nothing for long.
    pub(crate) fn link_gone(&mut self, place: usize, side: usize) {
        let here = &mut self.links[place].sides[side];
        if !std::mem::replace(&mut here.open, false) {
            return;
        }
        let (machine, run, link) = (here.machine, here.run, here.id);
        let delay_ms = self.dice.between(1_000, 15_000);
        self.after(delay_ms, What::LinkGone(place, 1 - side));
        self.streams_break(place, side);
        if self.machines[machine].run == run {
            self.machines[machine].links.remove(&link);
            self.machine_input(machine, run, Input::LinkDown { link, end: LinkEnd::Lost });
        }
    }

    /// One side has heard nothing for long, if the way is still closed.
    pub(crate) fn link_idle(&mut self, place: usize, side: usize) {
        let sides = &self.links[place].sides;
        if !self.reaches(sides[0].machine, sides[1].machine) {
            self.link_gone(place, side);
        }
    }

    /// Links over a way that has just been closed are found lost by silence.
    pub(crate) fn watch_links(&mut self, a: usize, b: usize) {
        for place in 0..self.links.len() {
            let sides = &self.links[place].sides;
            let pair = (sides[0].machine, sides[1].machine);
            if (pair == (a, b) || pair == (b, a)) && sides.iter().any(|side| side.open) {
                for side in 0..2 {
                    let delay_ms = self.dice.between(8_000, 15_000);
                    self.after(delay_ms, What::LinkIdle(place, side));
                }
            }
        }
    }

    /// A program has gone, or its address: the other ends find out, sooner or later.
    pub(crate) fn drop_links(&mut self, machine: usize, power_lost: bool) {
        self.machines[machine].dials.clear();
        self.streams_end(machine);
        for (_, (place, side)) in std::mem::take(&mut self.machines[machine].links) {
            self.links[place].sides[side].open = false;
            let delay_ms = if power_lost { self.dice.between(5_000, 15_000) } else { self.latency() };
            self.after(delay_ms, What::LinkGone(place, 1 - side));
        }
    }

    /// Breaks one of a machine's links: each end finds out in its time.
    pub(crate) fn break_link(&mut self, machine: usize) {
        let links: Vec<(usize, usize)> = self.machines[machine].links.values().copied().collect();
        let Some((place, _)) = self.dice.pick(&links) else { return };
        self.links[place].dead = true;
        for side in 0..2 {
            self.links[place].sides[side].coming.clear();
            let delay_ms = self.dice.between(0, 6_000);
            self.after(delay_ms, What::LinkGone(place, side));
        }
    }
}
