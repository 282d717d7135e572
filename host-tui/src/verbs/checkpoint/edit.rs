//! `flob checkpoint edit`: the flobs named, in `$EDITOR`; what comes back is checked and saved as a new checkpoint.

use std::{env, fs, path::Path, process::Command};

use clap::Args;
use flob_image::{
    Environment, Place,
    store::Store,
    text::{self, Change, TextError},
    verify,
};
use flob_session::{Error, Source, Stored, names::Names};

use crate::cli::{print, source::symbols_of};

/// Flobs that are opened without being named.
const SMALL: usize = 40;

/// Arguments of `checkpoint edit`.
#[derive(Args, Debug)]
pub struct Edit {
    /// Its id, the beginning of that, or its name
    id: String,
    /// The flobs to edit; all of them in a small environment if left out
    flobs: Vec<String>,
    /// A name for the new checkpoint
    #[arg(long)]
    name: Option<String>,
}

impl Edit {
    /// Edits; prints the new checkpoint's id.
    pub fn run(self) -> Result<u8, Error> {
        let store = Store::open_default()?;
        let mut stored = Stored::open(&store, &self.id)?;
        let environment = stored.environment(true)?;
        let names = Names::new(&environment, &symbols_of(&environment, &store, None));
        let places = self.places(&environment, &names)?;
        let text = text::to_text(&environment, Some(&places), &|place| names.flob(place));
        let (edited, changes) = edit(&environment, &text)?;
        if changes.is_empty() {
            eprintln!("flob: nothing was changed; no new checkpoint");
            return Ok(0);
        }
        for change in &changes {
            eprintln!("{} {}: {} → {}", names.flob(change.place), change.name, change.before, change.after);
        }
        for finding in verify::verify(&edited) {
            eprintln!("{finding}");
        }
        print::line(&store.save_edited(stored.checkpoint(), &edited, self.name, &[])?)?;
        Ok(0)
    }

    fn places(&self, environment: &Environment, names: &Names) -> Result<Vec<Place>, Error> {
        if !self.flobs.is_empty() {
            return self.flobs.iter().map(|flob| names.find(flob)).collect();
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
fn edit(environment: &Environment, text: &str) -> Result<(Environment, Vec<Change>), Error> {
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
            Ok(changes) => return Ok((edited, changes)),
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
