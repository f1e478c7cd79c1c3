//! The bytes of a file in pages that copies share, so that a snapshot of a disk costs next to nothing.

use std::sync::Arc;

const PAGE: usize = 4_096;

/// Bytes of a file. What lies beyond its end within the last page is zero.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pages: Vec<Arc<[u8; PAGE]>>,
    len: usize,
}

impl Content {
    pub fn len(&self) -> usize {
        self.len
    }

    /// Fills `into` with what is there, and with zeros beyond the end; how much was there.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        into.fill(0);
        let there = self.len.saturating_sub(offset).min(into.len());
        let mut done = 0;
        while done < there {
            let (page, at) = ((offset + done) / PAGE, (offset + done) % PAGE);
            let count = (PAGE - at).min(there - done);
            if let Some(page) = self.pages.get(page) {
                into[done..done + count].copy_from_slice(&page[at..at + count]);
            }
            done += count;
        }
        there
    }

    /// Overwrites; a hole before it is zeros.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.extend(offset + bytes.len());
        let mut done = 0;
        while done < bytes.len() {
            let (page, at) = ((offset + done) / PAGE, (offset + done) % PAGE);
            let count = (PAGE - at).min(bytes.len() - done);
            if let Some(page) = self.pages.get_mut(page) {
                Arc::make_mut(page)[at..at + count].copy_from_slice(&bytes[done..done + count]);
            }
            done += count;
        }
    }

    /// At least so long, with zeros.
    pub fn extend(&mut self, len: usize) {
        if len > self.len {
            self.len = len;
            let pages = len.div_ceil(PAGE);
            if pages > self.pages.len() {
                let zeros = Arc::new([0; PAGE]);
                self.pages.resize(pages, zeros);
            }
        }
    }

    /// At most so long.
    pub fn cut(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.len = len;
        self.pages.truncate(len.div_ceil(PAGE));
        if let Some(last) = self.pages.last_mut()
            && !len.is_multiple_of(PAGE)
        {
            Arc::make_mut(last)[len % PAGE..].fill(0);
        }
    }

    /// Exactly so long.
    pub fn resize(&mut self, len: usize) {
        self.cut(len);
        self.extend(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_reads_as_it_was_written_cut_and_extended() {
        let mut content = Content::default();
        let mut plain = Vec::new();
        for step in 0..400_usize {
            let (offset, len) = (step * 7_919 % 20_000, step * 104_729 % 9_000);
            if step % 5 == 4 {
                content.resize(offset);
                plain.resize(offset, 0);
            } else {
                let bytes = vec![step as u8; len];
                plain.resize(plain.len().max(offset + len), 0);
                plain[offset..offset + len].copy_from_slice(&bytes);
                content.write(offset, &bytes);
            }
            let mut read = vec![1; 40_000];
            assert_eq!(content.read(0, &mut read), plain.len());
            assert_eq!(read[..plain.len()], plain);
            assert!(read[plain.len()..].iter().all(|byte| *byte == 0));
        }
    }
}
