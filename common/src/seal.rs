//! HPKE sealing.
