//! An S3 server for the tests of the store: the protocol and the files are those of `s3s` and `s3s-fs`. What is added:
//! conditional writes are one after the other, as with a real service, and the server can die or misbehave as told.
//!
//! ```text
//! flob-s3-server FOLDER PORT KEY SECRET [OPTION…]
//!     before=N  die when the N-th change comes in     (a write or a removal, from 0)
//!     after=N   die when the N-th change is done, before it is answered
//!     stall=N   never answer the N-th write, and do nothing of it
//!     hold=PATH keep writes below this path, and say 'held' for each, until a line comes in on standard input
//!     careless  heed no conditions
//! ```
//!
//! It prints its address when it is ready (port 0: any that is free), and ends when its standard input does.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output,
    PutObjectInput, PutObjectOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::{RwLock, Semaphore};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How the server misbehaves.
struct Manners {
    /// Changes, or writes, until it dies or is silent; negative for ever.
    before: AtomicI64,
    after: AtomicI64,
    stall: AtomicI64,
    /// What is held, until there is a permit.
    hold: Option<String>,
    released: Arc<Semaphore>,
    careless: bool,
}

impl Manners {
    fn parse(options: &[String]) -> Result<Self, Failure> {
        let never = || AtomicI64::new(-1);
        let mut manners = Self {
            before: never(),
            after: never(),
            stall: never(),
            hold: None,
            released: Arc::new(Semaphore::new(0)),
            careless: false,
        };
        for option in options {
            match option.split_once('=') {
                Some(("before", number)) => manners.before = AtomicI64::new(number.parse()?),
                Some(("after", number)) => manners.after = AtomicI64::new(number.parse()?),
                Some(("stall", number)) => manners.stall = AtomicI64::new(number.parse()?),
                Some(("hold", path)) => manners.hold = Some(path.to_owned()),
                None if option == "careless" => manners.careless = true,
                _ => return Err(format!("no such option: {option}").into()),
            }
        }
        Ok(manners)
    }

    /// Waits, if this is to be held.
    async fn hold(&self, path: &str) {
        if self.hold.as_deref().is_some_and(|held| path.contains(held)) {
            println!("held");
            // It is never closed.
            drop(self.released.acquire().await);
        }
    }
}

/// Whether this is the write that was meant.
fn is_now(counter: &AtomicI64) -> bool {
    counter.fetch_sub(1, Ordering::SeqCst) == 0
}

fn die_at(counter: &AtomicI64) {
    if is_now(counter) {
        std::process::abort();
    }
}

/// The server's objects; one write at a time.
struct Objects {
    files: FileSystem,
    order: RwLock<()>,
    manners: Manners,
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        if is_now(&self.manners.stall) {
            std::future::pending::<()>().await;
        }
        self.manners.hold(&request.input.key).await;
        let _alone = self.order.write().await;
        die_at(&self.manners.before);
        if self.manners.careless {
            request.input.if_none_match = None;
        }
        let result = self.files.put_object(request).await;
        die_at(&self.manners.after);
        result
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let _shared = self.order.read().await;
        self.files.get_object(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let _shared = self.order.read().await;
        self.files.head_object(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _shared = self.order.read().await;
        self.files.list_objects_v2(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _alone = self.order.write().await;
        die_at(&self.manners.before);
        let result = self.files.delete_object(request).await;
        die_at(&self.manners.after);
        result
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let _alone = self.order.write().await;
        die_at(&self.manners.before);
        let result = self.files.delete_objects(request).await;
        die_at(&self.manners.after);
        result
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, port, key, secret, options @ ..] = arguments.as_slice() else {
        eprintln!(
            "flob-s3-server FOLDER PORT KEY SECRET [before=N] [after=N] [stall=N] [hold=PATH] [careless]"
        );
        return ExitCode::FAILURE;
    };
    let manners = match Manners::parse(options) {
        Ok(manners) => manners,
        Err(error) => {
            eprintln!("flob-s3-server: {error}");
            return ExitCode::FAILURE;
        }
    };
    let released = Arc::clone(&manners.released);
    // Whoever has started it may be killed.
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            released.add_permits(1);
        }
        std::process::exit(0);
    });
    match run(folder, port, SimpleAuth::from_single(key, secret.as_str()), manners) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flob-s3-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &str, port: &str, keys: SimpleAuth, manners: Manners) -> Result<(), Failure> {
    let files = FileSystem::new(folder).map_err(|error| format!("{folder} cannot be served: {error:?}"))?;
    let mut builder = S3ServiceBuilder::new(Objects { files, order: RwLock::new(()), manners });
    builder.set_auth(keys);
    let address = format!("127.0.0.1:{port}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(&address, builder.build()))
}

async fn serve(address: &str, service: S3Service) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    loop {
        let (socket, _) = listener.accept().await?;
        let connection = TokioIo::new(socket);
        let service = service.clone();
        tokio::spawn(async move {
            // A client that goes away is its own business.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(connection, service).await;
        });
    }
}
