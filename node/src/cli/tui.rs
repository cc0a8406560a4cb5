//! `tui`: the driver of the full-screen client. It moves inputs, requests and answers.

use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Run;
use super::error::CliError;
use super::gate::{Gate, Listener, Shared};
use super::output::note;
use super::signals::Interrupted;
use crate::api::{Request, Response};
use crate::error::NodeError;
use crate::tui::screen::{Options, Screen};
use crate::tui::terminal::{self, Inputs, Terminal};
use crate::tui::{Action, Input};

/// Between two drawings, and between two requests that nobody waits for, while much happens.
const PACE: Duration = Duration::from_millis(20);

/// Between two looks at the clock, for the dates beside timelines.
const CLOCK_EVERY: Duration = Duration::from_secs(30);

/// An answer, and the gate back.
type Answered = (Gate, Result<Response, CliError>);

/// Whoever ends the program from outside: by a signal, or by closing the terminal.
struct Stop {
    interrupted: Interrupted,
    hung_up: Signal,
}

impl Stop {
    async fn come(&mut self) {
        tokio::select! {
            () = self.interrupted.come() => {}
            _ = self.hung_up.recv() => {}
        }
    }
}

pub(super) async fn run(run: &Run, timeline: Option<String>) -> Result<(), CliError> {
    if run.output.json {
        return Err(CliError::Usage(
            "`khlong tui` is for people; with --json use `khlong log --follow`".to_owned(),
        ));
    }
    if !terminal::is_there() {
        return Err(CliError::Usage(
            "`khlong tui` needs a terminal on standard input and output that can move its cursor; \
             `khlong log` writes to files and pipes"
                .to_owned(),
        ));
    }
    // Before anything is opened, so that no signal finds the program without its handlers.
    let mut stop = Stop {
        interrupted: Interrupted::listen()?,
        hung_up: signal(SignalKind::hangup()).map_err(CliError::Terminal)?,
    };
    let mut screen = Screen::new(Options {
        zone: TimeZone::system(),
        color: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        timeline,
    });
    // What keeps the folder closed is told on the ordinary screen.
    let gate = run.open(true).await?;
    let outcome = on_terminal(run, gate, &mut screen, &mut stop).await;
    for (timeline, text) in screen.unsent() {
        note(&format!("not sent in {timeline}: {text}"));
    }
    outcome
}

async fn on_terminal(
    run: &Run,
    gate: Gate,
    screen: &mut Screen,
    stop: &mut Stop,
) -> Result<(), CliError> {
    let entered = Terminal::enter().and_then(|terminal| Ok((terminal, Inputs::read()?)));
    let (mut terminal, mut inputs) = match entered {
        Ok(entered) => entered,
        Err(error) => {
            gate.close().await;
            return Err(CliError::Terminal(error));
        }
    };
    let mut gate = gate;
    loop {
        let was_daemon = gate.is_daemon();
        let ended = match Session::begin(run, gate, screen).await {
            Ok(mut session) => {
                let ended = tokio::select! {
                    ended = session.go_on(&mut terminal, &mut inputs) => ended,
                    () = stop.come() => Ok(()),
                };
                session.end().await;
                ended
            }
            Err(error) => Err(error),
        };
        match ended {
            Err(error) if was_daemon && is_gone(&error) => {}
            ended => return ended,
        }
        // One that is being killed may take a connection yet.
        tokio::time::sleep(PACE).await;
        // What is typed meanwhile waits.
        gate = tokio::select! {
            opened = run.open(true) => opened?,
            () = stop.come() => return Ok(()),
        };
        screen.handle(Input::Reopened);
    }
}

fn is_gone(error: &CliError) -> bool {
    matches!(error, CliError::Node(NodeError::DaemonGone))
}

type UnderWay = Option<Pin<Box<dyn Future<Output = Answered> + Send>>>;

/// One opening of the node.
struct Session<'s> {
    screen: &'s mut Screen,
    /// Absent while a request is under way.
    gate: Option<Gate>,
    listener: Listener,
    shared: Option<Shared>,
    told: mpsc::Receiver<String>,
    under_way: UnderWay,
    asked_at: Instant,
}

impl<'s> Session<'s> {
    async fn begin(run: &Run, gate: Gate, screen: &'s mut Screen) -> Result<Self, CliError> {
        let (tell, told) = mpsc::channel(1);
        let shared = gate.share(&run.home, move |text| drop(tell.try_send(text)));
        // Before anything is asked, so that nothing falls between the two.
        let listener = gate.subscribe().await;
        match listener {
            Ok(listener) => Ok(Self {
                screen,
                gate: Some(gate),
                listener,
                shared,
                told,
                under_way: None,
                asked_at: Instant::now(),
            }),
            Err(error) => {
                gate.close().await;
                Err(error)
            }
        }
    }

    /// Until the person has enough or something fails.
    async fn go_on(
        &mut self,
        terminal: &mut Terminal,
        inputs: &mut Inputs,
    ) -> Result<(), CliError> {
        let mut clock = tokio::time::interval(CLOCK_EVERY);
        let mut next_draw = Instant::now();
        let mut next_request = Instant::now();
        let mut is_drawn = false;
        while !terminal::is_lost() {
            let now = Instant::now();
            if now >= next_request && self.under_way.is_none() {
                self.ask_next();
            }
            if !is_drawn && now >= next_draw {
                terminal.draw(self.screen).map_err(CliError::Terminal)?;
                (is_drawn, next_draw) = (true, now + PACE);
                // A new size may need more of the history.
                continue;
            }
            let input = tokio::select! {
                input = inputs.next() => {
                    // Whoever types does not wait.
                    next_request = now;
                    let Some(input) = input else { return Ok(()) };
                    input.map_err(CliError::Terminal)?
                }
                (gate, answer) = answered(&mut self.under_way) => {
                    self.gate = Some(gate);
                    // A node with much to read is asked less often.
                    next_request = Instant::now() + PACE.max(self.asked_at.elapsed());
                    Input::Answer(response_of(answer)?)
                }
                heard = self.listener.next() => Input::Heard(heard?),
                Some(text) = self.told.recv() => Input::Told(text),
                _ = clock.tick() => Input::Now(now_ms()),
                () = tokio::time::sleep_until(next_draw), if !is_drawn => continue,
                () = tokio::time::sleep_until(next_request), if next_request > now => continue,
            };
            let mut action = self.screen.handle(input);
            while let Some(input) = (action == Action::Draw).then(|| inputs.ready()).flatten() {
                action = self.screen.handle(input.map_err(CliError::Terminal)?);
            }
            match action {
                Action::Draw => {}
                Action::DrawAnew => terminal.forget().map_err(CliError::Terminal)?,
                Action::Quit => return self.send_the_rest().await,
            }
            is_drawn = false;
        }
        Ok(())
    }

    fn ask_next(&mut self) {
        if self.gate.is_some()
            && let Some(request) = self.screen.poll_request()
        {
            self.ask(request);
        }
    }

    fn ask(&mut self, request: Request) {
        if let Some(mut gate) = self.gate.take() {
            self.asked_at = Instant::now();
            self.under_way = Some(Box::pin(async move {
                let answer = gate.ask(request).await;
                (gate, answer)
            }));
        }
    }

    /// What the person has sent is written before the end.
    async fn send_the_rest(&mut self) -> Result<(), CliError> {
        loop {
            if self.under_way.is_some() {
                let (gate, answer) = answered(&mut self.under_way).await;
                self.gate = Some(gate);
                self.screen.handle(Input::Answer(response_of(answer)?));
            }
            let Some(request) = self.screen.poll_send() else {
                return Ok(());
            };
            self.ask(request);
        }
    }

    async fn end(mut self) {
        // A daemon finishes what it was asked without us; it may be one that says nothing.
        if self.under_way.is_some() && self.shared.is_some() {
            self.gate = Some(answered(&mut self.under_way).await.0);
        }
        if let Some(shared) = self.shared {
            shared.end().await;
        }
        if let Some(gate) = self.gate {
            gate.close().await;
        }
    }
}

/// The answer to the request under way; never without one.
async fn answered(under_way: &mut UnderWay) -> Answered {
    match under_way {
        Some(request) => {
            let answered = request.await;
            *under_way = None;
            answered
        }
        None => std::future::pending().await,
    }
}

/// A refusal is shown; everything else ends the session.
fn response_of(answer: Result<Response, CliError>) -> Result<Response, CliError> {
    match answer {
        Err(CliError::Refused { message, exit_code }) => {
            Ok(Response::Refused { message, exit_code })
        }
        answer => answer,
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
