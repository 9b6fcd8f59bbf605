//! The API server in process, as a tower service.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{Request, Response};
use tower::{BoxError, Service};

use crate::api::Broken;

/// The API server without a socket: hand it to `kube::Client::new`. Its only error is a connection that a [`Fault`](crate::Fault) broke.
#[derive(Debug, Clone)]
pub struct SimService {
    router: axum::Router,
}

impl SimService {
    pub(crate) fn new(router: axum::Router) -> Self {
        Self { router }
    }
}

impl<B> Service<Request<B>> for SimService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = Service::<Request<B>>::call(&mut self.router, request);
        Box::pin(async move {
            let response = match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<Broken>().is_some() {
                return Err(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "tcp connect error: Connection refused",
                ));
            }
            Ok(response)
        })
    }
}
