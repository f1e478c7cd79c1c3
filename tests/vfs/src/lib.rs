//! A file system for SQLite, in memory, that models a disk with a volatile cache: what was not flushed is lost, kept, torn
//! or spoilt when the power goes, as chance decides. Not here: what a store promises, and no file of the real system.
//!
//! Open a database with the VFS [`NAME`] at [`Disk::path`]. A disk takes any number of files and connections, on any
//! threads; disks know nothing of each other. What it promises is what SQLite is told by the file system that the programs
//! really use on Linux, and no more:
//!
//! * Bytes written are stable once that file was flushed after it, not earlier, and in no order.
//! * A write that power loss interrupts spoils no byte outside of what was written ("powersafe overwrite").
//! * A file's making and its removal are stable once their folder was flushed, which SQLite asks for with the first flush
//!   of a new log or journal, and with some removals.
//! * After a flush that failed, what it was to write is never written, though it can still be read; the next flush
//!   succeeds all the same.
//!
//! [`calls`] is another way to the same end: the writes and flushes of real programs, on real files, fail on command.

pub mod calls;
mod content;
mod crash;
mod disk;
mod faults;
mod glue;
mod image;
mod locks;
mod shared;

pub use disk::{Disk, History};
pub use faults::Fault;
pub use glue::NAME;
pub use image::{Image, Op};
