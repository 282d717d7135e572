//! `flob checkpoint edit`: the flobs named, in `$EDITOR`, or by edits on the command line; what comes of it is checked and saved as a new checkpoint.

use std::{env, fs, path::Path, process::Command};

use clap::Args;
use flob_image::{
    Environment, Place, diff,
    store::Store,
    text::{self, TextError},
    verify,
};
use flob_session::{Error, names::Names};

use serde_json::json;

use super::{diff::flob_lines, direct::Direct, verify::finding_to_json};
use crate::cli::{
    Context, complete, print,
    source::{Look, View},
};

/// Flobs that are opened without being named.
const SMALL: usize = 40;

/// Arguments of `checkpoint edit`.
#[derive(Args, Debug)]
pub struct Edit {
    /// Its id, the beginning of that, or its name
    #[arg(add = complete::checkpoints())]
    id: String,
    /// The flobs to edit; all of them in a small environment if left out
    #[arg(conflicts_with_all = ["set", "poke"])]
    flobs: Vec<String>,
    #[command(flatten)]
    direct: Direct,
    /// A name for the new checkpoint
    #[arg(long)]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Edit {
    /// Edits; prints the new checkpoint's id.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let store = Store::open_default()?;
        let view = Look { at: Some(self.id.clone()), json: false }.open(context, true)?;
        let checkpoint = store.load(&self.id)?;
        let (edited, pages) = if self.direct.is_empty() {
            (self.in_editor(&view)?, Vec::new())
        } else {
            (self.direct.environment(&view)?, self.direct.pages(&view, &checkpoint)?)
        };
        let changes = diff::diff(&view.environment, &edited).changed;
        if changes.is_empty() && pages.is_empty() {
            eprintln!("flob: nothing was changed; no new checkpoint");
            if self.json {
                print::json(&json!({ "id": null, "parent": checkpoint.id() }))?;
            }
            return Ok(0);
        }
        for line in changes.iter().flat_map(|change| flob_lines(&view, &view, change)) {
            eprintln!("{line}");
        }
        for finding in verify::verify(&edited) {
            eprintln!("{finding}");
        }
        let id = store.save_edited(&checkpoint, &edited, self.name, &pages)?;
        if self.json {
            let findings = verify::verify(&edited);
            let findings: Vec<_> = findings.iter().map(finding_to_json).collect();
            print::json(&json!({ "id": id, "parent": checkpoint.id(), "findings": findings }))?;
        } else {
            print::line(&id)?;
        }
        Ok(0)
    }

    fn in_editor(&self, view: &View) -> Result<Environment, Error> {
        let places = self.places(&view.environment, &view.names)?;
        let text = text::to_text(&view.environment, Some(&places), &|place| view.names.flob(place));
        edit(&view.environment, &text)
    }

    fn places(&self, environment: &Environment, names: &Names) -> Result<Vec<Place>, Error> {
        if !self.flobs.is_empty() {
            return self.flobs.iter().map(|flob| Ok(names.find(flob)?)).collect();
        }
        if environment.flobs.len() > SMALL {
            let count = environment.flobs.len();
            return Err(Error::Usage(format!(
                "name the flobs to edit: there are {count} ('flob tree --at {}')",
                self.id
            )));
        }
        Ok(environment.flobs.iter().map(|flob| flob.place).collect())
    }
}

/// Lets the editor have the text until it parses, or comes back unchanged after an error.
fn edit(environment: &Environment, text: &str) -> Result<Environment, Error> {
    let io = |error| Error::io("keeping the text for the editor", error);
    let file = tempfile::Builder::new().prefix("flob-").suffix(".toml").tempfile().map_err(io)?;
    fs::write(file.path(), text).map_err(io)?;
    let mut last: Option<(String, TextError)> = None;
    loop {
        open_editor(file.path(), last.as_ref().map(|(_, error)| error.line))?;
        let text = fs::read_to_string(file.path()).map_err(io)?;
        if let Some((before, error)) = &last
            && *before == text
        {
            return Err(Error::BadInput(format!("the text was given up: {error}")));
        }
        let mut edited = environment.clone();
        match text::apply_text(&mut edited, &text) {
            Ok(_) => return Ok(edited),
            Err(error) => {
                eprintln!("flob: {error}");
                last = Some((text, error));
            }
        }
    }
}

fn open_editor(file: &Path, line: Option<usize>) -> Result<(), Error> {
    let editor =
        ["VISUAL", "EDITOR"].into_iter().find_map(|name| env::var(name).ok().filter(|it| !it.is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".into());
    // The variable may hold arguments: the shell takes it apart, as every program does.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor);
    if let Some(line) = line {
        command.arg(format!("+{line}"));
    }
    let status =
        command.arg(file).status().map_err(|error| Error::io(format!("starting {editor}"), error))?;
    if status.success() { Ok(()) } else { Err(Error::Environment(format!("{editor} ended with {status}"))) }
}
