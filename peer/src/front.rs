//! The front end: lines in, lines out, for a person or for a script. It understands the grammar and chooses words;
//! it decides nothing, and knows neither the network nor the store, only the loop's handle.

pub mod desk;
pub mod help;
pub mod hooks;
pub mod json;
pub mod line;
pub mod markup;
pub mod render;
pub mod safe_text;
pub mod screen;
pub mod times;
pub mod words;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use peer_core::event::{Answer, Event};
use tokio::sync::oneshot;

use crate::driver::api::{Attached, FrontInput, Handle};
use crate::terminal;
use desk::{Asked, Desk};
use line::{Printer, Reader};
use render::Render;
use screen::{Bell, Form, Line, NOTHING, RING};

/// Events that are put out before the loop is told so.
const BATCH_MAX: usize = 64;
/// At the end, a reader that takes nothing is waited for so long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How this front end speaks.
#[derive(Debug, Clone)]
pub struct Setup {
    /// One JSON object a line.
    pub json: bool,
    /// Standard output is a terminal.
    pub terminal: bool,
    /// Colours, when not JSON.
    pub colour: bool,
    /// A prompt, with the history in this file; none: plain lines.
    pub prompt: Option<PathBuf>,
    /// What else happens when a message is put out.
    pub hooks: hooks::Wanted,
}

/// A running front end.
#[derive(Debug)]
pub struct Front {
    written: oneshot::Receiver<()>,
    hooked: oneshot::Receiver<()>,
}

/// Starts the two threads of a front end.
///
/// # Errors
/// When the system gives no thread.
pub fn start(handle: Handle, attached: Attached, setup: Setup) -> io::Result<Front> {
    let Attached { source, events, done: put_out } = attached;
    let desk = Arc::new(Desk::default());
    let reader = Reader { desk: desk.clone(), handle: handle.clone(), source, number: 0 };
    let (printers, printer) = mpsc::sync_channel(1);
    let (done, written) = oneshot::channel();
    let (all_done, hooked) = oneshot::channel();
    let prompt = setup.prompt.clone();
    let hooks = hooks::Hooks::start(setup.hooks.clone())?;
    let writing = std::thread::Builder::new().name("front-out".to_owned());
    writing.spawn(move || {
        let sink = printer.recv().ok().flatten().map_or(Sink::Stdout, Sink::Prompt);
        let render = (!setup.json).then(|| Render::new(TimeZone::system()));
        let mut writer =
            Writer { desk, handle, sink, setup, bell: Bell::default(), render, format: true, hooks, open: true };
        writer.run(events);
        drop(put_out);
        // Nobody waits when the program is already leaving.
        let _ = done.send(());
        writer.hooks.finish(hooks::LAST_JOBS);
        let _ = all_done.send(());
    })?;
    let reading = std::thread::Builder::new().name("front-in".to_owned());
    reading.spawn(move || match prompt {
        Some(history) => reader.prompt(&history, &printers),
        None => {
            drop(printers);
            reader.pipe(io::stdin().lock());
        }
    })?;
    Ok(Front { written, hooked })
}

impl Front {
    /// Waits until everything is written, or its reader has taken nothing for too long; and then for what else was to happen
    /// with the messages, no longer than that itself waits.
    pub async fn finished(self) {
        // Both ways of not finishing end the same: there is nobody to write to.
        if matches!(tokio::time::timeout(LAST_WORDS, self.written).await, Ok(Ok(()))) {
            // Without a bound here: the thread that has written everything waits no longer than `LAST_JOBS`.
            let _ = self.hooked.await;
        }
    }
}

enum Sink {
    Stdout,
    Prompt(Printer),
}

/// The writing half.
struct Writer {
    desk: Arc<Desk>,
    handle: Handle,
    sink: Sink,
    setup: Setup,
    bell: Bell,
    render: Option<Render>,
    /// Whether marks in texts are carried out.
    format: bool,
    hooks: hooks::Hooks,
    open: bool,
}

impl Writer {
    fn run(&mut self, mut events: tokio::sync::mpsc::Receiver<Event>) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        runtime.block_on(async {
            loop {
                let first = tokio::select! {
                    first = events.recv() => first,
                    () = tokio::time::sleep(self.until_due()) => {
                        self.echo();
                        continue;
                    }
                };
                let Some(first) = first else { break };
                self.batch(first, &mut events).await;
            }
        });
        let rest = self.render.as_mut().map(|render| render.rest(now_ms()));
        self.lines(&rest.unwrap_or_default());
    }

    async fn batch(&mut self, first: Event, events: &mut tokio::sync::mpsc::Receiver<Event>) {
        let mut shown = Vec::new();
        let mut next = Some(first);
        while let Some(event) = next {
            self.put(&event);
            shown.extend(event.mark().filter(|_| self.open));
            next = if shown.len() < BATCH_MAX { events.try_recv().ok() } else { None };
        }
        self.desk.written();
        if !shown.is_empty() {
            // A loop that has left shows them again at the next start.
            let _ = self.handle.submit(FrontInput::Shown(shown)).await;
        }
    }

    fn put(&mut self, event: &Event) {
        self.desk.learn(event);
        if let Event::Message(view) = event {
            self.hooks.message(view);
        }
        let asked = match event {
            Event::Answer { id, answer } => self.desk.answer(id.number, answer),
            _ => None,
        };
        let now_ms = now_ms();
        match (&mut self.render, event) {
            (_, Event::Answer { answer: Ok(answer), .. }) if matches!(**answer, Answer::Format(_)) => {
                self.switch_format(answer, asked);
            }
            (Some(render), Event::Answer { answer, .. }) => {
                let file = asked.and_then(|asked| asked.file);
                if let (Some(path), Ok(Answer::Sent { n, .. })) = (file, answer.as_deref()) {
                    render.offered(*n, &path);
                }
                let lines = render.answer(answer.as_deref(), now_ms);
                self.lines(&lines);
            }
            (Some(render), event) => {
                let lines = render.event(event, now_ms);
                if matches!(event, Event::Message(view) if view.urgent) {
                    self.ring();
                }
                self.lines(&lines);
            }
            (None, Event::Answer { answer, .. }) => {
                let word = asked.map(|asked| asked.word).unwrap_or_default();
                self.text(json::line(&json::answer(&word, answer.as_deref())) + "\n");
            }
            (None, event) => self.text(json::events(event).iter().map(|value| json::line(value) + "\n").collect()),
        }
    }

    /// `!format` is carried out here: the loop only keeps its answer in order.
    fn switch_format(&mut self, answer: &Answer, asked: Option<Asked>) {
        if let Answer::Format(Some(on)) = answer {
            self.format = *on;
        }
        let now = Answer::Format(Some(self.format));
        match &mut self.render {
            Some(render) => {
                let lines = render.answer(Ok(&now), now_ms());
                self.lines(&lines);
            }
            None => {
                let word = asked.map(|asked| asked.word).unwrap_or_default();
                self.text(json::line(&json::answer(&word, Ok(&now))) + "\n");
            }
        }
    }

    fn until_due(&self) -> Duration {
        let due_ms = self.render.as_ref().and_then(Render::due_ms);
        let wait_ms = due_ms.map_or(3_600_000, |due_ms| due_ms.saturating_sub(now_ms()).max(0));
        Duration::from_millis(wait_ms.unsigned_abs())
    }

    fn echo(&mut self) {
        let lines = self.render.as_mut().map(|render| render.due(now_ms()));
        self.lines(&lines.unwrap_or_default());
    }

    fn lines(&mut self, lines: &[Line]) {
        // Asked anew each time: the window may have another size by now.
        let columns = if self.setup.terminal { terminal::columns() } else { None };
        let form = Form { colour: self.setup.colour, markup: self.setup.colour && self.format, columns };
        self.text(lines.iter().map(|line| line.written(form)).collect());
    }

    fn ring(&mut self) {
        if self.setup.terminal && self.bell.may_ring(Instant::now()) {
            self.raw(RING);
        }
    }

    fn text(&mut self, text: String) {
        if !text.is_empty() && self.open && !self.print(&text) {
            self.raw(&text);
        }
    }

    /// Above the line that is being typed. False when there is no prompt, or not any more: then it was not printed.
    fn print(&mut self, text: &str) -> bool {
        let Sink::Prompt(printer) = &mut self.sink else { return false };
        // The printer only queues, one text at most: when it has room for another, this one stands on the screen. When
        // the prompt ends first, it says so.
        let printed = printer.print(text.to_owned()).and_then(|()| printer.print(NOTHING.to_owned())).is_ok();
        if !printed {
            self.sink = Sink::Stdout;
        }
        printed
    }

    /// As it is, whether or not there is a prompt.
    fn raw(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        drop(out);
        if written.is_err() {
            self.close();
        }
    }

    /// Nobody reads any more: the program leaves as at the end of its input. The loop may be waiting for this very
    /// thread to take its events, so another one tells it.
    fn close(&mut self) {
        self.open = false;
        let handle = self.handle.clone();
        std::thread::spawn(move || handle.submit_blocking(FrontInput::EndOfInput));
    }
}

/// The wall clock, milliseconds since 1970.
fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
