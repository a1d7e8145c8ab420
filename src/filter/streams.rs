//! The streams of this worker, by context id.

use crate::abi;
use crate::host::Proxy;
use crate::mounts::Mounts;
use crate::root::SharedRecorder;
use hashbrown::HashMap;
use opmeter_core::{Recorder, Stream};
use std::cell::RefCell;
use std::rc::Rc;

/// A stream and the plugin it belongs to.
struct Context {
    root: u32,
    recorder: SharedRecorder,
    stream: Stream,
}

#[derive(Default)]
struct Contexts {
    roots: HashMap<u32, SharedRecorder>,
    streams: HashMap<u32, Context>,
    mounts: Mounts,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// A plugin was created.
pub fn add_root(root: u32, recorder: SharedRecorder) {
    with(|contexts| contexts.roots.insert(root, recorder));
}

/// A plugin is no more.
pub fn remove_root(root: u32) {
    with(|contexts| contexts.roots.remove(&root));
}

/// A stream begins. One of a plugin nobody knows is let pass without metrics.
pub fn add(id: u32, root: u32) {
    with(|contexts| {
        if let Some(recorder) = contexts.roots.get(&root).map(Rc::clone) {
            let context = Context { root, recorder, stream: Stream::default() };
            contexts.streams.insert(id, context);
        }
    });
}

/// The proxy has done with a context; `false` when it is no stream's.
pub fn on_done(id: u32) -> bool {
    with(|contexts| {
        contexts.mounts.on_done();
        contexts.streams.contains_key(&id)
    })
    .unwrap_or_default()
}

/// A stream is no more; `false` when it is none.
pub fn remove(id: u32) -> bool {
    with(|contexts| contexts.streams.remove(&id).is_some()).unwrap_or_default()
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
    with(|Contexts { roots, streams, mounts }| {
        if let Some(Context { recorder, stream, .. }) = streams.get_mut(&id) {
            lend(recorder, |recorder| {
                recorder.on_log(stream, &mut Proxy, &mut Proxy);
                mounts.on_counted(recorder, stream);
            });
        } else if let Some(recorder) = roots.get(&id) {
            lend(recorder, |recorder| mounts.on_entry(recorder));
        }
    });
}

/// Time has passed for all streams of a plugin.
pub fn tick(root: u32, recorder: &mut Recorder) {
    with(|contexts| {
        for (id, context) in &mut contexts.streams {
            if context.root == root && abi::set_effective_context(*id).is_ok() {
                recorder.on_tick(&mut context.stream, &mut Proxy, &mut Proxy);
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
