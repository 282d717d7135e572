//! `flob why`: why a thread does not run.

use clap::Args;
use flob_abi::FlobKind;
use flob_session::Error;
use serde_json::json;

use crate::cli::{Context, complete, print, source::Look};

/// Arguments of `why`.
#[derive(Args, Debug)]
pub struct Why {
    #[command(flatten)]
    look: Look,
    /// The thread
    #[arg(add = complete::flobs(Some(FlobKind::Thread)))]
    thread: String,
}

impl Why {
    /// Says it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let mut view = self.look.open(context, false)?;
        let thread = view.names.find_kind(&self.thread, FlobKind::Thread)?;
        let (why, source) = view.why();
        let sentence = why.sentence(thread, source);
        if !self.look.json {
            print::line(&sentence)?;
            return Ok(0);
        }
        let circle = why.deadlock(thread).unwrap_or_default();
        let circle: Vec<String> = circle.into_iter().map(|thread| why.names.flob(thread)).collect();
        let trace = why.backtrace(thread, source).into_iter();
        let trace =
            trace.map(|frame| json!({ "function": frame.function, "file": frame.file, "line": frame.line }));
        print::json(&json!({
            "thread": why.names.flob(thread),
            "why": sentence,
            "deadlock": circle,
            "call": why.call(thread),
            "backtrace": trace.collect::<Vec<_>>(),
        }))?;
        Ok(0)
    }
}
