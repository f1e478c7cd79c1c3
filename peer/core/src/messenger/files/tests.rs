//! Files between several messengers, with disks and streams that do at once what they are told.

mod hostile;
mod house;
mod ways;
