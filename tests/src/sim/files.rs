//! What a machine's program does with files, as its shell does it: measures own ones, seals and opens pieces, writes what
//! comes. Streams on links have a part of their own.

use common::body::FileFault;
use common::piece;
use peer_core::event::{FileJob, FileNews, FileStep, FileStop, FileTarget, Input};
use peer_core::stored::{FileRow, FileState};

use super::folder;
use super::world::{What, World};

/// A partial file that something else has open is tried again after so long.
const BUSY_MS: u64 = 20;

impl World {
    /// A program asks for something to be done with files.
    pub(crate) fn begin_file_job(&mut self, number: usize, run: u32, job: FileJob) {
        match job {
            FileJob::Fetch { ticket, link, target } => self.fetch(number, run, ticket, link, target),
            FileJob::Serve { serving, source } => self.serve(number, serving, &source),
            FileJob::Refuse { serving, later } => {
                let stop = if later { FileStop::Later } else { FileStop::Fault(FileFault::Withdrawn) };
                self.refuse_stream(number, serving, stop);
            }
            FileJob::Stop { ticket } => self.stop_fetch(number, ticket),
            FileJob::StopServing { serving } => self.stop_serving(number, serving),
            job @ (FileJob::Measure { .. } | FileJob::Read { .. } | FileJob::Write { .. }) => {
                let delay_ms = self.disk_latency();
                self.after(delay_ms, What::File(number, run, Box::new(job)));
            }
        }
    }

    /// The disk does it.
    pub(crate) fn file_job(&mut self, number: usize, run: u32, job: FileJob) {
        if self.machines[number].run != run {
            return;
        }
        let folder = &self.machines[number].folder;
        let news = match job {
            FileJob::Measure { ticket, path } => {
                FileNews::Measured { ticket, facts: folder.measured(&path).map(Box::new) }
            }
            FileJob::Read { ticket, source, offer, key, index } => {
                let piece = folder.is_as_offered(&source).map(|()| {
                    let nonce = self.dice.bytes();
                    let plain = folder::plain(&source.blake3, source.size, index);
                    piece::seal(&key, offer, index, nonce, &plain).expect("a small piece")
                });
                FileNews::Piece { ticket, piece }
            }
            FileJob::Write { ticket, target, piece } => {
                if self.is_coming(number, &target) {
                    let again = FileJob::Write { ticket, target, piece };
                    return self.after(BUSY_MS, What::File(number, run, Box::new(again)));
                }
                FileNews::Written { ticket, step: self.write_piece(number, &target, piece) }
            }
            _ => return,
        };
        self.file_news(number, run, news);
    }

    pub(crate) fn file_news(&mut self, number: usize, run: u32, news: FileNews) {
        let delay_ms = self.dice.between(0, 3);
        self.after(delay_ms, What::Input(number, run, Box::new(Input::File(Box::new(news)))));
    }

    /// Whatever is answered is flushed. A piece that is not the next one is not written.
    fn write_piece(
        &mut self,
        number: usize,
        target: &FileTarget,
        piece: Option<(u32, Vec<u8>)>,
    ) -> Result<FileStep, FileFault> {
        let downloads = &mut self.machines[number].folder.downloads;
        downloads.flush(target);
        let (next, whole) = (downloads.next(target), downloads.is_whole(target));
        if let Some((_, sealed)) = piece.filter(|(index, _)| *index == next && !whole) {
            let file = &target.file;
            let plain = piece::open(&file.key, target.offer, next, &sealed).map_err(|_| FileFault::HashWrong)?;
            if plain != folder::plain(&file.blake3, file.size, next) {
                self.model.broken(format!("piece {next} of {} opens and is another one", target.offer));
            }
            self.put_piece(number, target, next)?;
            self.machines[number].folder.downloads.flush(target);
        }
        let downloads = &self.machines[number].folder.downloads;
        if downloads.is_whole(target) {
            return Ok(FileStep::Whole(self.finish_file(number, target)));
        }
        Ok(FileStep::Next(downloads.next(target)))
    }

    /// The next piece is written, if there is room. It is not flushed by that.
    pub(crate) fn put_piece(&mut self, number: usize, target: &FileTarget, index: u32) -> Result<(), FileFault> {
        let machine = &mut self.machines[number];
        if machine.disk.is_full() {
            return Err(FileFault::DiskFull);
        }
        machine.folder.downloads.put(target, target.file.blake3, index);
        self.model.file_written(number, machine.who, target.offer);
        Ok(())
    }

    /// A disk has committed how a file stands: what came lies where it says.
    pub(crate) fn file_committed(&mut self, number: usize, row: &FileRow, new: bool) {
        let machine = &self.machines[number];
        let me = self.identities[machine.who].public();
        if row.state == FileState::Done && row.author != me {
            let path = row.path.clone().unwrap_or_default();
            if !machine.folder.downloads.holds(&path, &row.file.blake3, row.file.size) {
                self.model
                    .broken(format!("machine {number} calls the file of {} done, and it is not there", row.offer));
            }
        }
        let who = self.machines[number].who;
        self.model.file_committed(number, who, row, new);
    }

    pub(crate) fn finish_file(&mut self, number: usize, target: &FileTarget) -> std::path::PathBuf {
        let machine = &mut self.machines[number];
        let path = machine.folder.downloads.finish(target);
        let right = machine.folder.downloads.holds(&path, &target.file.blake3, target.file.size);
        self.model.file_whole(number, machine.who, target, right);
        self.trace.note(self.now, format_args!("m{number} has {} as {}", target.offer, path.display()));
        path
    }
}
