//! Tokens for EKS, made in this process (T9): a presigned call of STS that tells the cluster who signed it. No helper
//! binary is run, and nothing is sent to AWS from here: the cluster makes the call.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use pilothouse_cluster::TokenSource;
use tokio::sync::Mutex;

use crate::clock::SharedClock;

/// What a token begins with.
const PREFIX: &str = "k8s-aws-v1.";
/// The header that binds a token to one cluster. It is signed, and sent by the cluster.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";
/// What the signature says of its own life. A cluster takes a token for 15 minutes after it was signed.
const EXPIRES: Duration = Duration::from_secs(60);
/// How long a token is used before the next one is made.
const USED_FOR: SignedDuration = SignedDuration::from_mins(10);
/// How long before the credentials end their tokens are not used any more.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// Makes the tokens for one cluster, each used for ten minutes.
pub(super) struct EksTokens {
    pub(super) cluster: String,
    pub(super) region: String,
    pub(super) credentials: SharedCredentialsProvider,
    pub(super) clock: SharedClock,
    pub(super) last: Mutex<Option<Made>>,
}

/// A token, and until when it is used.
pub(super) struct Made {
    token: String,
    until: Timestamp,
}

impl TokenSource for EksTokens {
    fn token(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move {
            let mut last = self.last.lock().await;
            let now = self.clock.now();
            if let Some(made) = last.as_ref().filter(|made| now < made.until) {
                return Ok(made.token.clone());
            }
            let credentials = self.credentials.provide_credentials().await;
            let credentials =
                credentials.map_err(|error| format!("AWS gives no credentials: {}", whole(&error)))?;
            let token = token(&credentials, &self.cluster, &self.region, now)?;
            let until = [now.checked_add(USED_FOR).ok(), ends(&credentials)].into_iter().flatten().min();
            *last = Some(Made { token: token.clone(), until: until.unwrap_or(now) });
            Ok(token)
        })
    }
}

/// An error with what caused it: the chain says on its last line what is missing.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Until when tokens of temporary credentials are used.
fn ends(credentials: &Credentials) -> Option<Timestamp> {
    Timestamp::try_from(credentials.expiry()?).ok()?.checked_sub(MARGIN).ok()
}

/// The host of STS in a region: the partition of China has another domain.
fn sts_host(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("sts.{region}.{suffix}")
}

/// The token that these credentials give for the cluster at that instant.
fn token(credentials: &Credentials, cluster: &str, region: &str, now: Timestamp) -> Result<String, String> {
    let host = sts_host(region);
    let url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let identity = credentials.clone().into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(SystemTime::from(now))
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = [("host", host.as_str()), (CLUSTER_HEADER, cluster)];
    let request = SignableRequest::new("GET", url.as_str(), headers.into_iter(), SignableBody::Bytes(&[]));
    let signed = sign(request.map_err(|error| error.to_string())?, &params);
    let (instructions, _) = signed.map_err(|error| error.to_string())?.into_parts();
    let mut url = url;
    for (name, value) in instructions.params() {
        url.push_str(&format!("&{name}={}", encoded(value)));
    }
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url)))
}

/// Percent-encoded as AWS reads a query.
fn encoded(value: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    value.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_credential_types::provider::future;

    use super::*;
    use crate::clock::TokioClock;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn at() -> Timestamp {
        "2026-11-21T09:00:00Z".parse().unwrap()
    }

    fn credentials(session: Option<&str>, expiry: Option<SystemTime>) -> Credentials {
        Credentials::new("AKIDEXAMPLE", SECRET, session.map(str::to_owned), expiry, "test")
    }

    fn url(token: &str) -> String {
        String::from_utf8(URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX).unwrap()).unwrap()).unwrap()
    }

    /// The signatures were made by an implementation of Signature Version 4 of its own.
    #[test]
    fn a_token_is_the_presigned_call_that_the_cluster_makes() {
        let made = token(&credentials(None, None), "prod", "eu-central-1", at()).unwrap();
        let expected = "https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15\
            &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261121%2Feu-central-1%2Fsts%2Faws4_request\
            &X-Amz-Date=20261121T090000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id\
            &X-Amz-Signature=477ee11b52101d258ea836fbf0ef8a638d550f3a7a538a00a996a5f02f99e270";
        assert_eq!(url(&made), expected);
        let session = token(&credentials(Some("to/ken+="), None), "prod", "us-east-1", at()).unwrap();
        for part in [
            "&X-Amz-Security-Token=to%2Fken%2B%3D",
            "&X-Amz-Signature=47b28eb87ce0bc53ed552c5db314157eca01e4419475eb1e396b3ef84bd1380e",
        ] {
            assert!(url(&session).contains(part), "{}", url(&session));
        }
        assert!(!made.contains('=') && !url(&made).contains(SECRET));
        let other = token(&credentials(None, None), "staging", "eu-central-1", at()).unwrap();
        assert_ne!(other, made, "it is good for one cluster only");
    }

    #[test]
    fn china_has_its_own_host() {
        assert_eq!(sts_host("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn");
    }

    #[derive(Debug)]
    struct Counted(Arc<AtomicU32>, Option<SystemTime>);

    impl ProvideCredentials for Counted {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.0.fetch_add(1, Ordering::Relaxed);
            future::ProvideCredentials::ready(Ok(credentials(None, self.1)))
        }
    }

    fn tokens(expiry: Option<SystemTime>) -> (EksTokens, Arc<AtomicU32>) {
        let count = Arc::new(AtomicU32::new(0));
        let tokens = EksTokens {
            cluster: "prod".to_owned(),
            region: "eu-central-1".to_owned(),
            credentials: SharedCredentialsProvider::new(Counted(Arc::clone(&count), expiry)),
            clock: Arc::new(TokioClock::starting_at(at())),
            last: Mutex::new(None),
        };
        (tokens, count)
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_for_ten_minutes_and_renewed_before_it_expires() {
        let (tokens, asked) = tokens(None);
        let first = tokens.token().await.unwrap();
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!(tokens.token().await.unwrap(), first);
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = tokens.token().await.unwrap();
        assert_ne!(second, first);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_token_outlives_the_credentials_that_signed_it() {
        let (tokens, asked) = tokens(Some(SystemTime::from(at()) + Duration::from_secs(180)));
        tokens.token().await.unwrap();
        tokio::time::advance(Duration::from_secs(119)).await;
        tokens.token().await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        tokens.token().await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
