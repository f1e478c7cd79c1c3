//! Where the TLS records in a stream of bytes end, from their plain headers alone; their contents stay closed.

/// Bytes of a record's header; the last two are the length of what follows.
const HEADER_BYTES: u64 = 5;
/// Ends that are noted, at most.
const NOTED_MAX: usize = 4_096;

/// Follows one way of one connection.
#[derive(Debug, Default)]
pub struct Records {
    header: [u8; 5],
    held: usize,
    at: u64,
    body_left: u64,
    ends: Vec<u64>,
}

impl Records {
    /// Bytes that went over.
    pub fn follow(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.at += 1;
            if self.body_left > 0 {
                self.body_left -= 1;
            } else {
                self.header[self.held] = *byte;
                self.held += 1;
                if (self.held as u64) < HEADER_BYTES {
                    continue;
                }
                self.held = 0;
                self.body_left = u64::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            }
            if self.body_left == 0 && self.ends.len() < NOTED_MAX {
                self.ends.push(self.at);
            }
        }
    }

    /// How many bytes had gone over at the end of each record.
    #[must_use]
    pub fn ends(&self) -> &[u64] {
        &self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_where_their_headers_say_however_they_are_cut() {
        let stream = [&[22, 3, 1, 0, 3, 9, 9, 9][..], &[23, 3, 3, 0, 0], &[23, 3, 3, 1, 0], &[7; 256]].concat();
        for step in [1, 2, 7, stream.len()] {
            let mut records = Records::default();
            stream.chunks(step).for_each(|chunk| records.follow(chunk));
            assert_eq!(records.ends(), [8, 13, 274], "in steps of {step}");
        }
    }
}
