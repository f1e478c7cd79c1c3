//! The program as a whole: opens everything in order, wires front, loop and control socket, and turns the end into an
//! exit code. The parts know nothing of each other.

use std::io::{self, IsTerminal};
use std::time::Duration;

use peer_core::event::Exit;
use peer_core::limits::FLUSH_MS;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cli::{Cli, IdentityTask, Task};
use crate::config::Settings;
use crate::control;
use crate::driver;
use crate::driver::api::{Handle, Patience};
use crate::front::hooks::Wanted;
use crate::front::line::history_in;
use crate::front::{self, Setup};
use crate::keystore::DataDir;
use crate::logging;
use crate::once;
use crate::open::{Failure, open};
use crate::progress::exit;
use crate::terminal::Terminal;

/// After the first signal the program has so long to leave by itself.
const LEAVE_DEADLINE: Duration = Duration::from_millis(FLUSH_MS + 3_000);
/// The terminal's settings are put back within this time or not at all.
const RESTORE_PATIENCE: Duration = Duration::from_millis(500);

/// Does what the command line asks for.
///
/// # Errors
/// [`Failure`], whose exit code is the program's.
pub fn run(cli: Cli) -> Result<u8, Failure> {
    let settings = Settings::resolve(cli.options)?;
    logging::start(settings.verbose, settings.quiet);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        match cli.task {
            None => talk(&settings).await,
            Some(Task::Send(options)) => once::send(&settings, &options).await,
            Some(Task::Identity(IdentityTask::Show)) => once::identity(&settings).await,
        }
    });
    // Tasks that are still under way have nothing more to say.
    runtime.shutdown_background();
    ended
}

/// Start and talk.
async fn talk(settings: &Settings) -> Result<u8, Failure> {
    let data_dir = DataDir::open(&settings.data_dir)?;
    let parts = open(settings, &data_dir, true)?;
    let signals = Signals::new()?;
    let listener = control::listen(&data_dir);
    let (handle, side) = driver::api::fronts();
    let terminal = Terminal::remember();
    let front = front::start(handle.clone(), handle.attach(Patience::Wait), setup(settings, &data_dir))?;
    let (talks, left) = oneshot::channel();
    let talking = async {
        let ended = driver::run(parts, side).await;
        drop::<oneshot::Sender<()>>(talks);
        front.finished().await;
        ended
    };
    let ended = tokio::select! {
        ended = control::beside(talking, control::serve(listener, handle.clone(), left)) => ended,
        () = signals.forward(&handle) => Ok(Exit::Done),
    };
    restore(terminal).await;
    // The next owner would remove it too; until then it would look alive. It may be gone already.
    let _ = data_dir.remove_stale_socket();
    match ended? {
        Exit::Done => Ok(exit::DONE),
        Exit::WrongDirectoryKey => Err(Failure::WrongDirectoryKey),
        Exit::StoreFailed(why) => Err(Failure::StoreFailed(why)),
    }
}

/// A terminal that takes nothing, not even this, holds nobody up.
async fn restore(terminal: Terminal) {
    let (done, restored) = oneshot::channel();
    std::thread::spawn(move || {
        terminal.restore();
        // Nobody waits for it any more when it took too long.
        let _ = done.send(());
    });
    let _ = timeout(RESTORE_PATIENCE, restored).await;
}

fn setup(settings: &Settings, data_dir: &DataDir) -> Setup {
    let on_terminal = io::stdout().is_terminal();
    let prompts = on_terminal && io::stdin().is_terminal() && !settings.json;
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Setup {
        json: settings.json,
        terminal: on_terminal,
        colour: on_terminal && !settings.json && !settings.no_color && !no_colour,
        prompt: prompts.then(|| history_in(data_dir.path())),
        hooks: Wanted { program: settings.on_message.clone(), notify: settings.notify },
    }
}

/// The signals that ask the program to leave.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Taken before anything is said, so that none is missed.
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The first one is as good as the end of input, whatever the loop waits for. Returns at the second, and when leaving
    /// takes longer than it ever should: everything that was said is on disk.
    async fn forward(mut self, handle: &Handle) {
        self.next().await;
        handle.leave();
        // Both ends mean the same: now.
        let _ = timeout(LEAVE_DEADLINE, self.next()).await;
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
