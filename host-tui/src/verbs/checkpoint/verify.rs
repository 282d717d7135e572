//! `flob checkpoint verify`: every byte against its checksum, and what is odd about what they say, by code.

use clap::Args;
use flob_image::{
    store::{Inspection, Store},
    verify::{self, Finding, Severity},
};
use flob_session::Error;
use serde_json::{Value as Json, json};

use super::wait::Shown;
use crate::cli::{complete, print};

/// Arguments of `checkpoint verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Ids, beginnings of ids, or names; all if left out
    #[arg(add = complete::checkpoints())]
    ids: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Verifies them all before the first damage, or oddity that forbids a restore, becomes the error.
    pub fn run(self) -> Result<u8, Error> {
        let store = Store::open_default()?;
        let ids = if self.ids.is_empty() {
            store.list()?.into_iter().map(|listed| listed.id).collect()
        } else {
            self.ids
        };
        let mut shown = Shown::new();
        let mut inspection = store.inspection(&ids, &mut shown.progress());
        let mut worst = None;
        let mut all = Vec::new();
        for id in &ids {
            let (findings, error) = verify_one(&store, id, &mut inspection, &mut shown);
            shown.clear();
            all.push(json!({
                "id": id,
                "findings": findings.iter().map(finding_to_json).collect::<Vec<_>>(),
                "damage": error.as_ref().map(ToString::to_string),
            }));
            if !self.json {
                print::line(&format!("{id}: {}", if error.is_some() { "bad" } else { "sound" }))?;
                findings.iter().try_for_each(|finding| print::line(&format!("  {finding}")))?;
            }
            worst = worst.or(error);
        }
        if self.json {
            print::json(&all.into())?;
        }
        worst.map_or(Ok(0), Err)
    }
}

/// A finding, for programs: `docs/verify.md` has the codes.
pub fn finding_to_json(finding: &Finding) -> Json {
    let severity = match finding.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "code": finding.code.name(),
        "severity": severity,
        "place": format!("{:#x}", finding.place),
        "text": finding.text,
    })
}

/// What is odd about a checkpoint, and why it cannot be restored, if so.
fn verify_one(
    store: &Store,
    id: &str,
    inspection: &mut Inspection,
    shown: &mut Shown,
) -> (Vec<Finding>, Option<Error>) {
    let checkpoint = match store.load(id) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return (Vec::new(), Some(error.into())),
    };
    let findings = verify::verify(checkpoint.environment());
    let damage = inspection.check(&checkpoint, &mut shown.progress());
    let damage = damage.into_iter().next().map(Error::from);
    let forbids = findings.iter().find(|finding| finding.severity() == Severity::Error);
    let forbids = forbids.map(|finding| {
        Error::BadInput(format!("checkpoint {id} cannot be restored as it stands (--force tries): {finding}"))
    });
    (findings, damage.or(forbids))
}
