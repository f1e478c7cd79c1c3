//! Streams of files on links: asked for, answered, broken at any point. What is written stays written.

use std::collections::{BTreeMap, VecDeque};

use common::body::FileFault;
use common::limits::PIECE_BYTES;
use peer_core::event::{FileNews, FileSource, FileStop, FileTarget, LinkId, Serving, Ticket};

use super::folder;
use super::world::{What, World};

/// What happens on a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The question arrives.
    Asks,
    /// Something arrives at who asked.
    Comes,
    /// Who gives learns that it is not wanted any more.
    Reset,
}

/// What comes on a stream.
#[derive(Debug)]
enum Portion {
    Piece(u32),
    Last,
    No(FileStop),
}

/// One end of a stream.
#[derive(Debug)]
struct End {
    machine: usize,
    run: u32,
    /// Which side of the link it is.
    side: usize,
    /// Its program has not been told of its end.
    open: bool,
}

/// A file on its way over a link.
#[derive(Debug)]
struct Stream {
    link: usize,
    asker: End,
    giver: End,
    ticket: Ticket,
    target: Box<FileTarget>,
    serving: Option<Serving>,
    coming: VecDeque<Portion>,
}

/// All streams of which an end is open.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    all: BTreeMap<u64, Stream>,
    begun: u64,
}

impl World {
    pub(crate) fn fetch(&mut self, number: usize, run: u32, ticket: Ticket, link: LinkId, target: Box<FileTarget>) {
        let place = self.machines[number].links.get(&link).copied();
        let why = if self.is_coming(number, &target) { FileStop::Later } else { FileStop::Broken };
        let Some((link, side)) = place.filter(|_| why == FileStop::Broken) else {
            return self.file_news(number, run, FileNews::Fetched { ticket, result: Err(why) });
        };
        if self.machines[number].folder.downloads.is_whole(&target) {
            // The program died between writing it and giving it its name.
            let path = self.finish_file(number, &target);
            return self.file_news(number, run, FileNews::Fetched { ticket, result: Ok(path) });
        }
        let there = self.links[link].end(1 - side);
        let asker = End { machine: number, run, side, open: true };
        let giver = End { machine: there.machine, run: there.run, side: 1 - side, open: false };
        let stream = Stream { link, asker, giver, ticket, target, serving: None, coming: VecDeque::new() };
        self.streams.begun += 1;
        let key = self.streams.begun;
        self.streams.all.insert(key, stream);
        let delay_ms = self.latency();
        self.after(delay_ms, What::Stream(key, Step::Asks));
    }

    /// Whether a file is being written from a stream.
    pub(crate) fn is_coming(&self, number: usize, target: &FileTarget) -> bool {
        self.streams.all.values().any(|stream| {
            let same = stream.target.file.blake3 == target.file.blake3 && stream.target.place == target.place;
            let End { machine, run, open, .. } = stream.asker;
            same && open && machine == number && run == self.machines[number].run
        })
    }

    pub(crate) fn stream_step(&mut self, key: u64, step: Step) {
        let Some(stream) = self.streams.all.get(&key) else { return };
        let (asker, giver) = (stream.asker.machine, stream.giver.machine);
        let end = self.links[stream.link].end(stream.giver.side);
        if !end.open {
            // Nothing arrives any more; each end learns that from its link.
            return;
        }
        if !self.reaches(asker, giver) {
            let delay_ms = self.dice.between(200, 1_500);
            return self.after(delay_ms, What::Stream(key, step));
        }
        match step {
            Step::Asks => {
                self.machines[giver].servings += 1;
                let serving = Serving(self.machines[giver].servings);
                let Some(stream) = self.streams.all.get_mut(&key) else { return };
                (stream.serving, stream.giver.open) = (Some(serving), true);
                let offer = stream.target.offer;
                self.file_news(giver, end.run, FileNews::Asked { serving, link: end.id, offer });
            }
            Step::Comes => self.portion_comes(key),
            Step::Reset => self.end_giving(key, Err(FileStop::Broken)),
        }
    }

    fn stream_of(&self, number: usize, serving: Serving) -> Option<u64> {
        let run = self.machines[number].run;
        let is = |stream: &Stream| {
            let End { machine, run: of, open, .. } = stream.giver;
            stream.serving == Some(serving) && open && machine == number && of == run
        };
        self.streams.all.iter().find(|(_, stream)| is(stream)).map(|(key, _)| *key)
    }

    /// A program gives a file to who asked.
    pub(crate) fn serve(&mut self, number: usize, serving: Serving, source: &FileSource) {
        let Some(key) = self.stream_of(number, serving) else { return };
        let found = self.machines[number].folder.is_as_offered(source);
        let Some(stream) = self.streams.all.get(&key) else { return };
        let (asker, offer) = (self.machines[stream.asker.machine].who, stream.target.offer);
        let from = self.machines[stream.asker.machine].folder.downloads.next(&stream.target);
        self.model.file_served(number, self.machines[number].who, asker, offer, &source.blake3);
        if let Err(fault) = found {
            self.push_portion(key, 0, Portion::No(FileStop::Fault(FileFault::Changed)));
            return self.end_giving(key, Err(FileStop::Fault(fault)));
        }
        // Some go slowly enough for something to happen meanwhile.
        let pace_ms = if self.dice.one_in(4) { self.dice.between(200, 4_000) } else { self.dice.between(0, 30) };
        let mut delay_ms = 0;
        for index in from..folder::count(source.size) {
            self.push_portion(key, delay_ms, Portion::Piece(index));
            delay_ms += pace_ms;
        }
        self.push_portion(key, delay_ms, Portion::Last);
    }

    /// Sends something to who asked; portions of one stream arrive in order.
    fn push_portion(&mut self, key: u64, delay_ms: u64, portion: Portion) {
        let at_ms = self.now + delay_ms + self.latency();
        if let Some(stream) = self.streams.all.get_mut(&key) {
            stream.coming.push_back(portion);
            self.at(at_ms, What::Stream(key, Step::Comes));
        }
    }

    pub(crate) fn refuse_stream(&mut self, number: usize, serving: Serving, stop: FileStop) {
        let Some(key) = self.stream_of(number, serving) else { return };
        if let Some(stream) = self.streams.all.get_mut(&key) {
            stream.giver.open = false;
        }
        self.push_portion(key, 0, Portion::No(stop));
    }

    fn portion_comes(&mut self, key: u64) {
        let Some(stream) = self.streams.all.get_mut(&key) else { return };
        let Some(portion) = stream.coming.pop_front() else { return };
        let End { machine, run, open, .. } = stream.asker;
        if !open || self.machines[machine].run != run {
            return;
        }
        let (target, ticket) = (stream.target.clone(), stream.ticket);
        match portion {
            Portion::Piece(index) => {
                let next = self.machines[machine].folder.downloads.next(&target);
                if index != next {
                    self.model.broken(format!("piece {index} of {} comes where {next} is missing", target.offer));
                }
                if let Err(fault) = self.put_piece(machine, &target, index) {
                    self.end_asking(key, Err(FileStop::Fault(fault)));
                    return self.reset(key);
                }
                if self.dice.one_in(3) {
                    self.machines[machine].folder.downloads.flush(&target);
                }
                let bytes = (u64::from(index + 1) * PIECE_BYTES).min(target.file.size);
                if self.dice.one_in(2) {
                    self.file_news(machine, run, FileNews::Got { ticket, bytes });
                }
                self.tell_sent(key, bytes);
            }
            Portion::Last => {
                let path = self.finish_file(machine, &target);
                self.end_asking(key, Ok(path));
                self.end_giving(key, Ok(()));
            }
            Portion::No(stop) => self.end_asking(key, Err(stop)),
        }
    }

    fn tell_sent(&mut self, key: u64, bytes: u64) {
        let Some(Stream { giver, serving: Some(serving), .. }) = self.streams.all.get(&key) else { return };
        let (machine, run, serving) = (giver.machine, giver.run, *serving);
        if giver.open && self.dice.one_in(2) {
            self.file_news(machine, run, FileNews::Sent { serving, bytes });
        }
    }

    fn reset(&mut self, key: u64) {
        let delay_ms = self.latency();
        self.after(delay_ms, What::Stream(key, Step::Reset));
    }

    /// Whoever asked is told how it ended, once.
    fn end_asking(&mut self, key: u64, result: Result<std::path::PathBuf, FileStop>) {
        let Some(stream) = self.streams.all.get_mut(&key) else { return };
        let (machine, run, ticket) = (stream.asker.machine, stream.asker.run, stream.ticket);
        if std::mem::take(&mut stream.asker.open) {
            self.file_news(machine, run, FileNews::Fetched { ticket, result });
        }
        self.forget_stream(key);
    }

    /// Whoever gives is told how it ended, once.
    fn end_giving(&mut self, key: u64, result: Result<(), FileStop>) {
        let Some(stream) = self.streams.all.get_mut(&key) else { return };
        let (machine, run, serving) = (stream.giver.machine, stream.giver.run, stream.serving);
        if let Some(serving) = serving.filter(|_| std::mem::take(&mut stream.giver.open)) {
            self.file_news(machine, run, FileNews::Served { serving, result });
        }
        self.forget_stream(key);
    }

    fn forget_stream(&mut self, key: u64) {
        if self.streams.all.get(&key).is_some_and(|stream| !stream.asker.open && !stream.giver.open) {
            self.streams.all.remove(&key);
        }
    }

    pub(crate) fn stop_fetch(&mut self, number: usize, ticket: Ticket) {
        let run = self.machines[number].run;
        let is = |stream: &Stream| {
            stream.ticket == ticket && stream.asker.machine == number && stream.asker.run == run && stream.asker.open
        };
        let Some(key) = self.streams.all.iter().find(|(_, stream)| is(stream)).map(|(key, _)| *key) else { return };
        self.end_asking(key, Err(FileStop::Stopped));
        self.reset(key);
    }

    pub(crate) fn stop_serving(&mut self, number: usize, serving: Serving) {
        let Some(key) = self.stream_of(number, serving) else { return };
        self.end_giving(key, Err(FileStop::Stopped));
        if let Some(stream) = self.streams.all.get_mut(&key) {
            stream.coming.clear();
        }
        self.push_portion(key, 0, Portion::No(FileStop::Broken));
    }

    /// One side of a link is gone, and with it its ends of all streams.
    pub(crate) fn streams_break(&mut self, link: usize, side: usize) {
        let on_it = self.streams.all.iter().filter(|(_, stream)| stream.link == link);
        let (asking, giving): (Vec<_>, Vec<_>) =
            on_it.map(|(key, stream)| (*key, stream.asker.side == side)).partition(|(_, asks)| *asks);
        for (key, _) in asking {
            self.end_asking(key, Err(FileStop::Broken));
        }
        for (key, _) in giving {
            self.end_giving(key, Err(FileStop::Broken));
        }
    }

    /// A program is gone, and with it its ends of all streams.
    pub(crate) fn streams_end(&mut self, number: usize) {
        for stream in self.streams.all.values_mut() {
            for end in [&mut stream.asker, &mut stream.giver] {
                end.open &= end.machine != number;
            }
        }
        self.streams.all.retain(|_, stream| stream.asker.open || stream.giver.open);
    }
}
