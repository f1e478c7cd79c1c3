//! Groups of several messengers.
