//! What a shell's Tab completes beyond verbs and options: names of sessions, flobs and checkpoints, asked for when they are
//! wanted. A shell's completion must not complain: what cannot be asked gives no names.

use clap::CommandFactory;
use clap_complete::{
    engine::{ArgValueCandidates, CompletionCandidate},
    env::CompleteEnv,
};
use flob_abi::FlobKind;
use flob_image::{Flob, store::Store};
use flob_session::{Client, Error, sessions};

use super::{Cli, source::View};

/// Whoever has this set asks for completions (the scripts do).
pub const VARIABLE: &str = "COMPLETE";

/// Answers a shell that asks; comes back if none does.
pub fn answer_shell() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// The sessions that run.
pub fn sessions() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(sessions::list().unwrap_or_default()))
}

/// The flobs of the one session that runs (or that `FLOB_SESSION` names), or those of one kind.
pub fn flobs(kind: Option<FlobKind>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || candidates(names(kind).unwrap_or_default()))
}

fn names(kind: Option<FlobKind>) -> Result<Vec<String>, Error> {
    let View { environment, names, .. } = View::live(Client::connect(None)?, false)?;
    let fits = |flob: &&Flob| kind.is_none_or(|kind| flob.state.kind() == kind);
    Ok(environment.flobs.iter().filter(fits).map(|flob| names.flob(flob.place)).collect())
}

/// The checkpoints of the store, by name where they have one.
pub fn checkpoints() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(ids().unwrap_or_default()))
}

fn ids() -> Result<Vec<String>, Error> {
    let entries = Store::open_default()?.list()?;
    Ok(entries.into_iter().filter_map(|entry| Some(entry.summary.ok()?.name.unwrap_or(entry.id))).collect())
}

fn candidates(names: Vec<String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}
