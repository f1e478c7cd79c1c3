//! Choices read off the bytes of an input, one after another; when they are used up, everything is zero. No randomness.

/// What is left of an input.
#[derive(Debug, Clone)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of it.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all of it is used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// True for odd bytes.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Less than `n`, which is at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number: mostly small, sometimes any, at times next to an end.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=223 => u64::from(small % 32),
            224..=239 => u64::from_be_bytes(self.array()),
            240..=247 => u64::MAX - u64::from(self.byte() % 4),
            _ => u64::from(u32::from_be_bytes(self.array())),
        }
    }

    /// So many bytes, zeros where there are no more.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// At most so many bytes.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A byte string of a length that the input says, at most `most`.
    pub fn blob(&mut self, most: usize) -> &'a [u8] {
        let length = usize::from(self.byte()).min(most);
        self.take(length)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.take(self.0.len())
    }
}
