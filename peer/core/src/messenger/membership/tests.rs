//! Groups of several messengers: what each of them sees.

mod asked;
mod hostile;
mod registry;
mod restored;
mod together;
mod town;
mod wrong;
