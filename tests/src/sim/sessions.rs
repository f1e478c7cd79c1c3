//! Connections between peers and the directory: in order, broken at any point, half open at will.

use std::collections::VecDeque;
use std::net::SocketAddr;

use common::wire::directory::{FromDirectory, ToDirectory};
use directory_core::{Input as DirectoryInput, SessionId};
use peer_core::event::{DirectoryEnd, Input};

use super::directory::Which;
use super::world::{What, World};

/// A frame, or the end.
#[derive(Debug)]
enum Piece<T> {
    Frame(T),
    End,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    machine: usize,
    run: u32,
    directory_run: u32,
    session: SessionId,
    /// The peer's end is open.
    client: bool,
    /// The directory's end is open.
    server: bool,
    up: VecDeque<Piece<ToDirectory>>,
    down: VecDeque<Piece<FromDirectory>>,
    up_at: u64,
    down_at: u64,
    pub(crate) paused: bool,
    /// Everything on it is lost from now on, and nobody is told.
    pub(crate) dead: bool,
}

impl Conn {
    pub(crate) fn is_open(&self) -> bool {
        self.server && self.client && !self.dead
    }
}

impl World {
    pub(crate) fn begin_connect(&mut self, machine: usize, run: u32) {
        let delay_ms =
            if self.reaches_directory(machine) { 2 * self.latency() } else { self.dice.between(1_000, 9_000) };
        self.after(delay_ms, What::Connect(machine, run));
    }

    pub(crate) fn connect(&mut self, number: usize, run: u32) {
        if self.machines[number].run != run || self.machines[number].core.is_none() {
            return;
        }
        self.face(self.machines[number].directory);
        if !self.reaches_directory(number) || self.directory.core.is_none() {
            let end = Input::DirectoryDown(DirectoryEnd::NotReached);
            self.machine_input(number, run, end);
            return;
        }
        self.directory.sessions += 1;
        let session = SessionId(self.directory.sessions);
        let conn = Conn {
            machine: number,
            run,
            directory_run: self.directory.run,
            session,
            client: true,
            server: true,
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_at: 0,
            down_at: 0,
            paused: false,
            dead: false,
        };
        let place = self.conns.len();
        self.conns.push(conn);
        self.machines[number].conn = Some(place);
        self.directory.conns.insert(session, place);
        let who = self.machines[number].who;
        let key = self.identities[who].public();
        let address = SocketAddr::new(self.machines[number].address.ip(), 50_000);
        self.directory_input(DirectoryInput::SessionOpened { session, key, address });
        let key = self.directory.identity.public();
        self.machine_input(number, run, Input::DirectoryUp { key });
    }

    pub(crate) fn send_up(&mut self, machine: usize, frame: ToDirectory) {
        if let Some(place) = self.machines[machine].conn {
            self.push_up(place, Piece::Frame(frame));
        }
    }

    fn push_up(&mut self, place: usize, piece: Piece<ToDirectory>) {
        let at_ms = self.now + self.latency();
        let conn = &mut self.conns[place];
        conn.up.push_back(piece);
        conn.up_at = conn.up_at.max(at_ms);
        let at_ms = conn.up_at;
        self.at(at_ms, What::Up(place));
    }

    fn push_down(&mut self, place: usize, piece: Piece<FromDirectory>) {
        let at_ms = self.now + self.latency();
        let conn = &mut self.conns[place];
        conn.down.push_back(piece);
        conn.down_at = conn.down_at.max(at_ms);
        let at_ms = conn.down_at;
        self.at(at_ms, What::Down(place));
    }

    /// The directory sends.
    pub(crate) fn send_down(&mut self, session: SessionId, frame: FromDirectory) {
        if let Some(place) = self.directory.conns.get(&session).copied() {
            for frame in self.twist(place, self.conns[place].machine, frame) {
                self.push_frame_down(place, frame);
            }
        }
    }

    pub(crate) fn push_frame_down(&mut self, place: usize, frame: FromDirectory) {
        self.push_down(place, Piece::Frame(frame));
    }

    /// The directory closes, after what it sent.
    pub(crate) fn close_down(&mut self, session: SessionId) {
        if let Some(place) = self.directory.conns.remove(&session) {
            self.conns[place].server = false;
            self.push_down(place, Piece::End);
        }
    }

    /// A peer closes, after what it sent.
    pub(crate) fn close_conn(&mut self, machine: usize) {
        if let Some(place) = self.machines[machine].conn.take() {
            self.conns[place].client = false;
            self.push_up(place, Piece::End);
        }
    }

    /// A peer's program has gone.
    pub(crate) fn drop_conn(&mut self, machine: usize, power_lost: bool) {
        if power_lost {
            if let Some(place) = self.machines[machine].conn.take() {
                self.conns[place].client = false;
            }
        } else {
            self.close_conn(machine);
        }
    }

    /// Sent again later while it does not get through.
    fn stalls(&mut self, place: usize, again: What) -> bool {
        if self.reaches_directory(self.conns[place].machine) {
            return false;
        }
        let delay_ms = self.dice.between(300, 2_000);
        self.after(delay_ms, again);
        true
    }

    pub(crate) fn frame_up(&mut self, place: usize) {
        if self.conns[place].dead {
            self.conns[place].up.pop_front();
            return;
        }
        if self.stalls(place, What::Up(place)) {
            return;
        }
        self.face(Which::of(self.conns[place].directory_run));
        let conn = &mut self.conns[place];
        let alive = conn.server && conn.directory_run == self.directory.run;
        if alive && conn.paused {
            self.after(10, What::Up(place));
            return;
        }
        let (piece, session) = (conn.up.pop_front(), conn.session);
        match piece {
            Some(Piece::Frame(_)) if !alive => {
                // Nobody is there: the answer is a reset, if the machine is on at all.
                if self.directory.core.is_some() {
                    let delay_ms = self.latency();
                    self.after(delay_ms, What::ClientGone(place));
                }
            }
            Some(Piece::Frame(frame)) => {
                if !self.swallows(place, &frame) {
                    self.directory_input(DirectoryInput::Frame { session, frame });
                }
            }
            Some(Piece::End) if alive => self.server_gone(place),
            Some(Piece::End) | None => {}
        }
    }

    pub(crate) fn frame_down(&mut self, place: usize) {
        if self.conns[place].dead {
            self.conns[place].down.pop_front();
            return;
        }
        if self.stalls(place, What::Down(place)) {
            return;
        }
        let conn = &mut self.conns[place];
        let (machine, run) = (conn.machine, conn.run);
        let alive = conn.client && self.machines[machine].run == run;
        match conn.down.pop_front() {
            Some(Piece::Frame(_)) if !alive => {
                let delay_ms = self.latency();
                self.after(delay_ms, What::ServerGone(place));
            }
            Some(Piece::Frame(frame)) => {
                self.machine_input(machine, run, Input::DirectoryFrame(Box::new(frame)));
            }
            Some(Piece::End) if alive => self.client_gone(place),
            Some(Piece::End) | None => {}
        }
    }

    /// The directory's end finds the connection gone.
    pub(crate) fn server_gone(&mut self, place: usize) {
        self.face(Which::of(self.conns[place].directory_run));
        let conn = &mut self.conns[place];
        if !std::mem::replace(&mut conn.server, false) || conn.directory_run != self.directory.run {
            return;
        }
        let session = conn.session;
        self.directory.conns.remove(&session);
        self.directory_input(DirectoryInput::SessionClosed { session });
    }

    /// The peer's end finds the connection gone.
    pub(crate) fn client_gone(&mut self, place: usize) {
        let conn = &mut self.conns[place];
        if !std::mem::replace(&mut conn.client, false) {
            return;
        }
        let (machine, run) = (conn.machine, conn.run);
        if self.machines[machine].run == run && self.machines[machine].conn == Some(place) {
            self.machines[machine].conn = None;
            self.machine_input(machine, run, Input::DirectoryDown(DirectoryEnd::Lost));
        }
    }

    /// Breaks a connection: both ends find out, each in its time, or only by silence.
    pub(crate) fn break_conn(&mut self, machine: usize, half_open: bool) {
        let Some(place) = self.machines[machine].conn else { return };
        self.conns[place].dead = true;
        if half_open {
            return;
        }
        let (one, other) = (self.dice.between(1, 800), self.dice.between(1, 800));
        self.after(one, What::ClientGone(place));
        self.after(other, What::ServerGone(place));
    }

    /// The directory's program has gone.
    pub(crate) fn drop_all_conns(&mut self, power_lost: bool) {
        for (_, place) in std::mem::take(&mut self.directory.conns) {
            self.conns[place].server = false;
            if !power_lost {
                let delay_ms = self.latency();
                self.after(delay_ms, What::ClientGone(place));
            }
        }
    }
}
