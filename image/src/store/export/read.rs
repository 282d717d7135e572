//! Reading an exported file: once through, everything checked, nothing kept but what names it; then again, part by part.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};

use super::super::manifest::{Chunk, Hash, Head, Manifest, PageEntry};
use super::super::pack::PAGE;
use super::super::{Progress, Step, StoreError};
use super::blocks::{BlockReader, Kind, Problem};
use super::id_of;
use crate::Environment;
use crate::encode::{self, DecodeError};

/// A part of an exported file.
pub(super) enum Part<'a> {
    Page(u64, &'a [u8]),
    Input(&'a [u8]),
    /// The whole ELF.
    Program(&'a [u8]),
}

/// An exported file that was read once and found whole.
pub(super) struct Exported {
    path: PathBuf,
    file: File,
    pub id: Hash,
    pub head: Head,
    pub environment: Environment,
    pub pages: u64,
}

impl Exported {
    /// Reads and checks all of it.
    pub fn open(path: &Path, progress: Progress<'_>) -> Result<Self, StoreError> {
        let io = |source| StoreError::io(format!("reading {}", path.display()), source);
        let mut file = File::open(path).map_err(io)?;
        let total = file.metadata().map_err(io)?.len() / PAGE as u64;
        let named = |problem| describe(path, problem);
        let mut check = Check::default();
        progress(Step::Reading, 0, total);
        let (id, head, environment) = read(&mut file, &mut |part| {
            let page = matches!(part, Part::Page(..));
            check.take(&part);
            if page {
                progress(Step::Reading, check.pages.len() as u64, total);
            }
            Ok(())
        })
        .map_err(|stop| stop.name(path))?;
        let pages = check.finish(id, &head, &environment).map_err(named)?;
        Ok(Self { path: path.to_owned(), file, id, head, environment, pages })
    }

    /// Reads it again, and hands out its parts.
    pub fn parts(
        &mut self,
        take: &mut dyn FnMut(Part<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let rewound = self.file.rewind();
        rewound.map_err(|source| StoreError::io(format!("reading {}", self.path.display()), source))?;
        let (id, _, _) = read(&mut self.file, take).map_err(|stop| stop.name(&self.path))?;
        if id != self.id {
            return Err(describe(&self.path, Problem::damaged("it was changed while it was read")));
        }
        Ok(())
    }
}

/// Why reading ended: because of the file, or because of whoever takes its parts.
enum Stop {
    Problem(Problem),
    Taker(StoreError),
}

impl Stop {
    fn name(self, path: &Path) -> StoreError {
        match self {
            Self::Problem(problem) => describe(path, problem),
            Self::Taker(error) => error,
        }
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

type Taker<'a> = &'a mut dyn FnMut(Part<'_>) -> Result<(), StoreError>;

fn read(file: &mut File, take: Taker<'_>) -> Result<(Hash, Head, Environment), Stop> {
    let mut reader = BlockReader::new(BufReader::new(file))?;
    let (mut head, mut program): (Vec<u8>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let (kind, data) = reader.next()?;
        match kind {
            Kind::Head => head.extend_from_slice(&data),
            Kind::Pages => pages(&data, take)?,
            Kind::Input => take(Part::Input(&data)).map_err(Stop::Taker)?,
            Kind::Program => program.get_or_insert_default().extend_from_slice(&data),
            Kind::Done => break,
        }
    }
    if let Some(elf) = program {
        take(Part::Program(&elf)).map_err(Stop::Taker)?;
    }
    let senseless = || Problem::damaged("its head makes no sense");
    let (id, head) = head.split_first_chunk::<32>().ok_or_else(senseless)?;
    let head: Head = postcard::from_bytes(head).map_err(|_| senseless())?;
    let environment = encode::decode(&head.environment).map_err(|error| match error {
        DecodeError::Newer(version) => Problem::Newer(version),
        other => Problem::damaged(other.to_string()),
    })?;
    Ok((*id, head, environment))
}

/// Hands out the pages of a block.
fn pages(data: &[u8], take: Taker<'_>) -> Result<(), Stop> {
    let senseless = || Problem::damaged("a block of pages makes no sense");
    let (runs, bytes): (Vec<(u64, u64)>, _) = postcard::take_from_bytes(data).map_err(|_| senseless())?;
    let mut pages = bytes.chunks_exact(PAGE);
    for (first, count) in runs {
        for number in first..first.checked_add(count).ok_or_else(senseless)? {
            take(Part::Page(number, pages.next().ok_or_else(senseless)?)).map_err(Stop::Taker)?;
        }
    }
    if pages.next().is_none() && pages.remainder().is_empty() { Ok(()) } else { Err(senseless().into()) }
}

/// What a whole file must fit together to.
#[derive(Default)]
struct Check {
    pages: Vec<(u64, Hash)>,
    input: Vec<Chunk>,
}

impl Check {
    fn take(&mut self, part: &Part<'_>) {
        match part {
            Part::Page(number, bytes) => self.pages.push((*number, *blake3::hash(bytes).as_bytes())),
            Part::Input(bytes) => {
                self.input.push(Chunk { name: *blake3::hash(bytes).as_bytes(), bytes: bytes.len() as u64 });
            }
            Part::Program(_) => {}
        }
    }

    /// How many pages there are, if everything fits.
    fn finish(mut self, id: Hash, head: &Head, environment: &Environment) -> Result<u64, Problem> {
        self.pages.sort_unstable_by_key(|page| page.0);
        let ordered = self.pages.is_sorted_by(|one, next| one.0 < next.0);
        let last = environment.size.div_ceil(PAGE as u64);
        if !ordered || self.pages.last().is_some_and(|page| page.0 >= last) || self.input != head.input {
            return Err(Problem::damaged("its parts do not fit together"));
        }
        let count = self.pages.len() as u64;
        let entry = |(number, hash)| PageEntry { number, hash, pack: 0, slot: 0 };
        let pages = self.pages.into_iter().map(entry).collect();
        match id_of(&Manifest { head: head.clone(), packs: Vec::new(), pages }) {
            Ok(found) if found == id => Ok(count),
            _ => Err(Problem::damaged("its contents are not those of the checkpoint that it names")),
        }
    }
}

fn describe(path: &Path, problem: Problem) -> StoreError {
    let file = path.display().to_string();
    match problem {
        Problem::Io(source) => StoreError::io(format!("reading {file}"), source),
        Problem::Newer(version) => StoreError::Newer { file, version },
        Problem::Foreign => StoreError::Invalid(format!(
            "{file} is no exported checkpoint; `flob checkpoint export ID FILE` makes one"
        )),
        Problem::Damaged(what) => {
            let advice = "nothing was imported: get the file once more, or export the checkpoint again";
            StoreError::Damaged { file, what, advice: advice.to_owned() }
        }
    }
}
