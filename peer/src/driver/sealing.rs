//! Sealing, opening and prekeys on a thread of their own: half a millisecond each at worst, too long for the loop.
//! Answers come in the order of the jobs. Not here: when to seal, to which prekey, and what opened bytes mean.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use common::identity::{Context, Identity};
use common::record::{Prekey, PrekeyRecord};
use common::seal::{OpenError, Opener, Sealer, generate_prekey};
use peer_core::event::{Input, NotOpened, SealedKind, Ticket};
use tokio::sync::mpsc;

/// Jobs that may wait; one more is given back.
pub(super) const JOBS_MAX: usize = 256;
/// Answers that may wait.
const ANSWERS_MAX: usize = 256;

/// Something to seal, to open or to make. The fields are those of the outputs of the same names.
#[derive(Debug)]
pub(super) enum Job {
    Seal {
        ticket: Ticket,
        kind: SealedKind,
        to: common::identity::PublicKey,
        prekey: Box<Prekey>,
        plain: Vec<u8>,
    },
    Open {
        ticket: Ticket,
        kind: SealedKind,
        from: common::identity::PublicKey,
        counter: u64,
        secret: common::seal::PrekeySecret,
        sealed: Vec<u8>,
    },
    MakePrekey {
        counter: u64,
        created_ms: i64,
    },
    Sign {
        ticket: Ticket,
        context: Context,
        bytes: Vec<u8>,
    },
    /// The private half is destroyed: so is everything derived from it. Not answered.
    Forget(u64),
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Sealing {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

impl Sealing {
    /// Starts the thread; its answers come from the receiver.
    pub(super) fn start(me: Identity) -> io::Result<(Self, mpsc::Receiver<Input>)> {
        let (jobs, waiting) = sync_channel(JOBS_MAX);
        let (answers, answered) = mpsc::channel(ANSWERS_MAX);
        let thread = Builder::new().name("sealing".to_owned()).spawn(move || work(&me, &waiting, &answers))?;
        Ok((Self { jobs, thread }, answered))
    }

    /// Submits without waiting; gives the job back when too many wait.
    // The job is what the caller keeps for later; a box would cost every caller for the rare case.
    #[allow(clippy::result_large_err)]
    pub(super) fn try_submit(&self, job: Job) -> Result<(), Job> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }

    /// Ends the thread after its present job, if the receiver of answers is dropped.
    pub(super) fn shutdown(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the sealing thread has panicked");
        }
    }
}

fn work(me: &Identity, jobs: &Receiver<Job>, answers: &mpsc::Sender<Input>) {
    let mut worker = Worker { me, sealer: Sealer::new(), opener: Opener::new() };
    while let Ok(job) = jobs.recv() {
        if let Some(answer) = worker.answer(job)
            && answers.blocking_send(answer).is_err()
        {
            return;
        }
    }
}

struct Worker<'a> {
    me: &'a Identity,
    sealer: Sealer,
    opener: Opener,
}

impl Worker<'_> {
    fn answer(&mut self, job: Job) -> Option<Input> {
        match job {
            Job::Seal { ticket, kind, to, prekey, plain } => {
                let sealed = self.sealer.seal(self.me, &to, &prekey, context(kind), &plain, &mut entropy);
                let sealed = sealed.inspect_err(|error| tracing::warn!(%error, "not sealed")).ok();
                Some(Input::Sealed { ticket, sealed })
            }
            Job::Open { ticket, kind, from, counter, secret, sealed } => {
                let plain = self.opener.open(&self.me.public(), &from, &secret, counter, context(kind), &sealed);
                Some(Input::Opened { ticket, plain: plain.map_err(not_opened) })
            }
            Job::MakePrekey { counter, created_ms } => {
                let mut seed = [0; 32];
                entropy(&mut seed);
                let (secret, key) = generate_prekey(seed);
                let prekey = Prekey { owner: self.me.public(), counter, created_ms, key };
                Some(Input::PrekeyMade { record: PrekeyRecord::sign(self.me, &prekey), secret })
            }
            Job::Sign { ticket, context, bytes } => {
                Some(Input::Signed { ticket, signature: self.me.sign(context, &bytes) })
            }
            Job::Forget(counter) => {
                self.opener.forget(counter);
                None
            }
        }
    }
}

fn context(kind: SealedKind) -> Context {
    match kind {
        SealedKind::Parcel => Context::Envelope,
        SealedKind::State => Context::PairState,
    }
}

fn not_opened(error: OpenError) -> NotOpened {
    match error {
        OpenError::NotForThisKey => NotOpened::WrongPrekey,
        OpenError::Malformed | OpenError::Forged => NotOpened::Forged,
    }
}

/// Waits until the system has entropy: nothing is ever sealed with anything less.
fn entropy(target: &mut [u8]) {
    while let Err(error) = getrandom::fill(target) {
        tracing::error!(%error, "the system gives no entropy");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sealed_opens_at_the_other_end_in_the_order_of_the_jobs() {
        let (alice, bob) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let (from, to) = (alice.public(), bob.public());
        let (at_bob, mut bobs) = Sealing::start(bob).unwrap();
        let (at_alice, mut alices) = Sealing::start(alice).unwrap();
        at_bob.try_submit(Job::MakePrekey { counter: 4, created_ms: 1 }).unwrap();
        let Some(Input::PrekeyMade { record, secret }) = bobs.recv().await else { panic!("no prekey") };
        let prekey = Box::new(record.verify(&to).unwrap());
        for n in 0..3 {
            let (kind, prekey, plain) = (SealedKind::Parcel, prekey.clone(), vec![n; 10]);
            at_alice.try_submit(Job::Seal { ticket: Ticket(u64::from(n)), kind, to, prekey, plain }).unwrap();
        }
        for n in 0..3 {
            let Some(Input::Sealed { ticket, sealed: Some(sealed) }) = alices.recv().await else {
                panic!("not sealed")
            };
            assert_eq!(ticket, Ticket(u64::from(n)));
            for (kind, expected) in
                [(SealedKind::Parcel, Ok(vec![n; 10])), (SealedKind::State, Err(NotOpened::WrongPrekey))]
            {
                let (secret, sealed) = (secret.clone(), sealed.clone());
                at_bob.try_submit(Job::Open { ticket, kind, from, counter: 4, secret, sealed }).unwrap();
                let Some(Input::Opened { plain, .. }) = bobs.recv().await else { panic!("not opened") };
                assert_eq!(plain, expected);
            }
        }
        drop(bobs);
        at_bob.shutdown();
    }
}
