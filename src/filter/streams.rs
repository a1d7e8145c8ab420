//! The streams of this worker, by context id.

use crate::abi;
use crate::host::Proxy;
use crate::mounts::Mounts;
use hashbrown::HashMap;
use opmeter_core::{Hashing, Recorder, Stream};
use std::cell::RefCell;
use std::rc::Rc;

/// A stream and the plugin it belongs to.
struct Context {
    root: u32,
    recorder: SharedRecorder,
    stream: Stream,
}

/// Shared by all streams of one plugin; `None` until a configuration was accepted.
type SharedRecorder = Rc<RefCell<Option<Recorder>>>;

#[derive(Default)]
struct Contexts {
    /// Few, so they are looked through.
    roots: Vec<(u32, SharedRecorder)>,
    streams: HashMap<u32, Context, Hashing>,
    mounts: Mounts,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// A plugin was created.
pub fn add_root(root: u32) {
    with(|contexts| contexts.roots.push((root, SharedRecorder::default())));
}

/// A plugin records by a new configuration from now on.
pub fn configure(root: u32, recorder: Recorder) {
    if let Some(shared) = with(|contexts| contexts.root(root)).flatten()
        && let Ok(mut place) = shared.try_borrow_mut()
    {
        *place = Some(recorder);
    }
}

/// A stream begins. One of a plugin nobody knows is let pass without metrics.
pub fn add(id: u32, root: u32) {
    with(|contexts| {
        if let Some(recorder) = contexts.root(root) {
            let context = Context { root, recorder, stream: Stream::default() };
            contexts.streams.insert(id, context);
        }
    });
}

/// A stream or a plugin is no more.
pub fn remove(id: u32) {
    with(|contexts| {
        contexts.mounts.on_delete();
        if contexts.streams.remove(&id).is_none() {
            contexts.roots.retain(|(root, _)| *root != id);
        }
    });
}

/// The request headers of a stream pass.
pub fn on_request(id: u32) {
    act(id, |recorder, stream| recorder.on_request(stream, &mut Proxy, &mut Proxy));
}

/// The response headers of a stream pass.
pub fn on_response(id: u32) {
    act(id, |recorder, stream| recorder.on_response(stream, &mut Proxy, &mut Proxy));
}

/// A stream turns out to be a connection.
pub fn on_connection(id: u32) {
    act(id, |_, stream| *stream = Stream::connection());
}

/// A stream is over; or, when the context is a plugin's, an access log gets an entry.
pub fn on_log(id: u32) {
    with(|contexts| {
        let Contexts { streams, mounts, .. } = contexts;
        if let Some(Context { recorder, stream, .. }) = streams.get_mut(&id) {
            lend(recorder, |recorder| {
                recorder.on_log(stream, &mut Proxy, &mut Proxy);
                mounts.on_counted(recorder, stream);
            });
        } else if let Some(recorder) = contexts.root(id) {
            lend(&recorder, |recorder| contexts.mounts.on_entry(recorder));
        }
    });
}

/// Time has passed for all streams of a plugin.
pub fn on_tick(root: u32) {
    with(|contexts| {
        let mut lasting = false;
        if let Some(recorder) = contexts.root(root) {
            lend(&recorder, |recorder| {
                recorder.forget();
                lasting = recorder.plan().reporting_interval() > 0;
            });
        }
        let streams = contexts.streams.iter_mut().filter(|_| lasting);
        for (id, context) in streams {
            if context.root == root && abi::set_effective_context(*id).is_ok() {
                let Context { recorder, stream, .. } = context;
                lend(recorder, |recorder| recorder.on_tick(stream, &mut Proxy, &mut Proxy));
            }
        }
    });
    let _ = abi::set_effective_context(root);
}

fn act(id: u32, act: impl FnOnce(&mut Recorder, &mut Stream)) {
    with(|contexts| {
        if let Some(Context { recorder, stream, .. }) = contexts.streams.get_mut(&id) {
            lend(recorder, |recorder| act(recorder, stream));
        }
    });
}

fn lend(recorder: &SharedRecorder, act: impl FnOnce(&mut Recorder)) {
    if let Ok(mut recorder) = recorder.try_borrow_mut()
        && let Some(recorder) = recorder.as_mut()
    {
        act(recorder);
    }
}

/// No callback re-enters another, so the contexts are always free; if they were not, to do nothing is safe.
fn with<T>(act: impl FnOnce(&mut Contexts) -> T) -> Option<T> {
    CONTEXTS.with(|contexts| contexts.try_borrow_mut().ok().map(|mut contexts| act(&mut contexts)))
}

// === impl Contexts ===

impl Contexts {
    fn root(&self, id: u32) -> Option<SharedRecorder> {
        let (_, recorder) = self.roots.iter().find(|(root, _)| *root == id)?;
        Some(Rc::clone(recorder))
    }
}
