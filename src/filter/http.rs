//! One HTTP stream.

use crate::host::Proxy;
use crate::root::SharedRecorder;
use opmeter_core::{Recorder, Stream};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

/// The context of one HTTP stream.
pub struct HttpStream {
    recorder: SharedRecorder,
    stream: Stream,
}

// === impl HttpStream ===

impl HttpStream {
    pub fn new(recorder: SharedRecorder) -> Self {
        Self { recorder, stream: Stream::default() }
    }

    fn with(&mut self, act: impl FnOnce(&mut Recorder, &mut Stream)) {
        if let Ok(mut recorder) = self.recorder.try_borrow_mut()
            && let Some(recorder) = recorder.as_mut()
        {
            act(recorder, &mut self.stream);
        }
    }
}

impl Context for HttpStream {}

impl HttpContext for HttpStream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        self.with(|recorder, stream| recorder.on_request(stream, &mut Proxy, &mut Proxy));
        Action::Continue
    }

    fn on_log(&mut self) {
        self.with(|recorder, stream| recorder.on_log(stream, &mut Proxy, &mut Proxy));
    }
}
