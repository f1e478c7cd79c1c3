//! Inputs for the gate: small changes to inputs that are known, from a seed. A fuzzer does this better; this one is there where
//! none is, and gives the same inputs every time.

use crate::sim::Dice;

/// Bytes that mean something to decoders and terminals.
const TELLING: [u8; 16] = [0, 1, 2, 0x7f, 0x80, 0xff, 0xfb, 0xfc, 0xfd, 0xfe, 0x1b, b'[', b']', 0x9b, b'\n', b'!'];

/// Makes inputs.
#[derive(Debug)]
pub struct Mutator<'a> {
    dice: Dice,
    known: &'a [Vec<u8>],
    max_bytes: usize,
}

impl<'a> Mutator<'a> {
    /// From these known inputs, none longer than `max_bytes`.
    #[must_use]
    pub fn new(seed: u64, known: &'a [Vec<u8>], max_bytes: usize) -> Self {
        Self { dice: Dice::new(seed), known, max_bytes }
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.known_or_random();
        for _ in 0..self.dice.between(1, 6) {
            self.change(&mut input);
        }
        input.truncate(self.max_bytes);
        input
    }

    fn known_or_random(&mut self) -> Vec<u8> {
        if self.known.is_empty() || self.dice.one_in(8) {
            let length = self.dice.below(200);
            return (0..length).map(|_| self.byte()).collect();
        }
        self.known[self.place(self.known.len())].clone()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.place(input.len() + 1);
        match self.dice.below(6) {
            0 => input.insert(at, self.byte()),
            1 => input.truncate(at),
            2 if at < input.len() => input[at] = self.byte(),
            3 if at < input.len() => input[at] ^= 1 << self.dice.below(8),
            4 if at < input.len() => {
                let end = (at + self.place(16) + 1).min(input.len());
                let part: Vec<u8> = input[at..end].to_vec();
                let into = self.place(input.len() + 1);
                input.splice(into..into, part);
            }
            _ => {
                let tail = self.known_or_random();
                let from = self.place(tail.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&tail[from..]);
            }
        }
    }

    fn byte(&mut self) -> u8 {
        if self.dice.one_in(2) { self.dice.bytes::<1>()[0] } else { self.dice.pick(&TELLING).unwrap_or(0) }
    }

    fn place(&mut self, below: usize) -> usize {
        usize::try_from(self.dice.below(below as u64)).unwrap_or(0)
    }
}
