//! Groups of several messengers: what each of them sees.

pub(in crate::messenger) mod asked;
mod disk;
mod hostile;
mod registry;
mod restored;
mod together;
pub(in crate::messenger) mod town;
mod wrong;
