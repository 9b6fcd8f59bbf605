//! A release while it runs: on a terminal one line a stage with a spinner, elsewhere a line whenever something happens.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pilothouse_domain::timeline::Event;
use pilothouse_operations::clock::{Clock, SystemClock};
use pilothouse_serve_api::api::ReleaseView;

use super::describe::{describe, place, proof_of};
use super::lines::{Line, Mark, lines, name_width, still, text};
use crate::print;

const TICK: Duration = Duration::from_millis(120);

/// Follows one release. Give it the release's view and the events since the last time, as often as you like.
pub(crate) struct LiveView {
    screen: Option<Screen>,
    /// The number of the last event that was told.
    last: u64,
}

struct Screen {
    bars: MultiProgress,
    shown: Vec<Shown>,
}

struct Shown {
    line: Line,
    bar: ProgressBar,
}

impl LiveView {
    /// With `terminal`, lines that move on standard error; without, plain lines on standard output.
    pub(crate) fn new(terminal: bool) -> Self {
        let screen = terminal.then(|| Screen { bars: MultiProgress::new(), shown: Vec::new() });
        Self { screen, last: 0 }
    }

    /// Shows how the release stands, and what happened since.
    pub(crate) fn update(&mut self, view: &ReleaseView, events: &[Event]) {
        if let Some(screen) = &mut self.screen {
            screen.draw(&lines(view, SystemClock.now()));
            return;
        }
        for line in news(events, &mut self.last) {
            print::line(&line);
        }
    }

    /// Leaves what is shown where it is.
    pub(crate) fn finish(self) {
        drop(self);
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        for shown in self.screen.iter().flat_map(|s| &s.shown) {
            shown.bar.abandon();
        }
    }
}

/// The lines of events that were not told before.
fn news(events: &[Event], last: &mut u64) -> Vec<String> {
    let mut told = Vec::new();
    for event in events.iter().filter(|e| e.seq > *last) {
        told.push(format!("{:.0}  {}  {}", event.at, place(event), describe(event)));
        told.extend(
            proof_of(event).into_iter().map(|proof| format!("{:.0}  {}  {proof}", event.at, place(event))),
        );
    }
    *last = events.iter().map(|e| e.seq).max().unwrap_or(0).max(*last);
    told
}

impl Screen {
    fn draw(&mut self, lines: &[Line]) {
        let width = name_width(lines);
        for (index, line) in lines.iter().enumerate() {
            let known = self.shown.get(index).is_some_and(|shown| shown.line.key == line.key);
            if !known {
                let bar = self.bars.insert(index, ProgressBar::new_spinner());
                bar.set_style(style(line.mark));
                self.shown.insert(index, Shown { line: line.clone(), bar });
            }
            self.shown[index].show(line, width, !known);
        }
        for gone in self.shown.drain(lines.len()..) {
            self.bars.remove(&gone.bar);
        }
    }
}

impl Shown {
    fn show(&mut self, line: &Line, width: usize, new: bool) {
        if new || self.line.mark != line.mark {
            self.bar.set_style(style(line.mark));
            match line.mark {
                Mark::Running => self.bar.enable_steady_tick(TICK),
                _ => self.bar.disable_steady_tick(),
            }
        }
        let message = if line.mark == Mark::Running { text(line, width) } else { still(line, width) };
        // Every message is drawn with all the lines around it: one that says nothing new would only flicker.
        if new || self.bar.message() != message {
            self.bar.set_message(message);
            self.bar.tick();
        }
        self.line = line.clone();
    }
}

fn style(mark: Mark) -> ProgressStyle {
    let template = if mark == Mark::Running { "  {spinner:.cyan} {wide_msg}" } else { "{wide_msg}" };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;
    use jiff::Timestamp;
    use pilothouse_domain::ids::ReleaseId;
    use pilothouse_domain::timeline::{EventDraft, Happening};

    use super::*;

    fn line(key: &str, mark: Mark) -> Line {
        Line { key: key.to_owned(), mark, name: key.to_owned(), took: String::new(), note: String::new() }
    }

    fn keys(screen: &Screen) -> Vec<&str> {
        screen.shown.iter().map(|s| s.line.key.as_str()).collect()
    }

    #[test]
    fn lines_keep_their_place_and_new_ones_come_where_they_belong() {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let mut screen = Screen { bars, shown: Vec::new() };
        screen.draw(&[line("dev#1", Mark::Heading), line("prod#1", Mark::Heading)]);
        screen.draw(&[
            line("dev#1", Mark::Heading),
            line("dev#1/a", Mark::Running),
            line("prod#1", Mark::Heading),
        ]);
        assert_eq!(keys(&screen), ["dev#1", "dev#1/a", "prod#1"]);
        screen.draw(&[
            line("dev#1", Mark::Heading),
            line("dev#1/a", Mark::Done),
            line("prod#1", Mark::Heading),
        ]);
        assert_eq!((keys(&screen).len(), screen.shown[1].line.mark), (3, Mark::Done));
        screen.draw(&[line("dev#1", Mark::Heading)]);
        assert_eq!(keys(&screen), ["dev#1"]);
    }

    #[test]
    fn an_event_is_told_once() {
        let draft = EventDraft {
            release: ReleaseId::new(ulid::Ulid::from_parts(1, 1)),
            at: Timestamp::from_second(1_790_000_000).unwrap(),
            actor: "system".to_owned(),
            environment: Some("dev".to_owned()),
            attempt: Some(1),
            stage: None,
            what: Happening::DeploymentStarted {},
        };
        let events = [Event::chain(draft, None)];
        let mut last = 0;
        assert_eq!(news(&events, &mut last), ["2026-09-21T14:13:20Z  dev #1  deployment started"]);
        assert!(news(&events, &mut last).is_empty());
        assert_eq!(last, 1);
    }
}
