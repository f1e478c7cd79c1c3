//! The two ends of the control socket against a loop that is played by the test.

use super::*;
use crate::driver::api::{COMMANDS_MAX, FrontInput, fronts};

#[test]
fn a_request_reads_back_and_unknown_ones_are_refused() {
    let text = r#"{"send":{"to":"bob","text":"hi","wait":"kept","timeout_ms":5}}"#;
    let Request::Send(send) = serde_json::from_str(text).unwrap() else { panic!("a send") };
    assert_eq!((send.to.as_str(), send.id, send.wait), ("bob", None, Wanted::Kept));
    assert!(serde_json::from_str::<Request>(r#"{"quit":{}}"#).is_err());
    assert_eq!(serde_json::to_string(&Request::WhoAmI {}).unwrap(), r#"{"whoami":{}}"#);
}

#[test]
fn a_file_is_handed_over_by_its_absolute_path_and_without_a_text() {
    let of = |more: &str| {
        let text = format!(r#"{{"send":{{"to":"bob","wait":"kept","timeout_ms":5,"id":"k",{more}}}}}"#);
        let Request::Send(send) = serde_json::from_str(&text).unwrap() else { panic!("a send") };
        assert_eq!(
            serde_json::from_str::<Request>(&serde_json::to_string(&Request::Send(send.clone())).unwrap()).unwrap(),
            Request::Send(send.clone())
        );
        command(send).map_err(|error| (error.code, error.message))
    };
    let to: To = "bob".parse().unwrap();
    let path = "/srv/my report.pdf".to_owned();
    assert_eq!(of(r#""file":"/srv/my report.pdf""#), Ok(Command::File { to, path, key: Some("k".to_owned()) }));
    for more in [
        r#""file":"report.pdf""#,
        r#""file":"/a","text":"x""#,
        r#""file":"/a","urgent":true"#,
        r#""file":"/a","reply":"3""#,
    ] {
        let (code, message) = of(more).unwrap_err();
        assert!(code == ErrorCode::BadArgument && message.starts_with("file: "), "{more}: {message}");
    }
}

/// A socket in a data directory of its own, served by nobody who answers commands.
async fn with_socket<T>(test: impl AsyncFnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path().join("peer").as_path()).unwrap();
    let listener = listen(&data_dir);
    let (handle, _side) = fronts();
    let (_serves, stop) = oneshot::channel();
    tokio::select! {
        done = test(data_dir.path()) => done,
        () = serve(listener, handle, stop) => panic!("it serves for ever"),
    }
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone_and_replaces_a_stale_one() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path().join("peer").as_path()).unwrap();
    drop(listen(&data_dir).unwrap());
    let _listener = listen(&data_dir).unwrap();
    let mode = std::fs::metadata(data_dir.control_socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_an_error() {
    with_socket(async |path| {
        let mut stream = UnixStream::connect(DataDir::control_socket_in(path)).await.unwrap();
        stream.write_all(b"hello\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((&answer["event"], &answer["code"]), (&"error".into(), &"bad-argument".into()));
    })
    .await;
}

#[tokio::test]
async fn a_bad_recipient_is_refused_and_an_endless_request_is_cut() {
    with_socket(async |path| {
        let request = |text: String| SendRequest {
            to: "b".to_owned(),
            text,
            file: None,
            id: None,
            urgent: false,
            reply: None,
            wait: Wanted::Kept,
            timeout_ms: 1,
        };
        let handed = send(path, request("hi".to_owned()), |_| {}).await.unwrap();
        assert_eq!(handed.progress.last().unwrap()["code"], "bad-name");
        let refused = send(path, request("x".repeat(2 * usize::try_from(REQUEST_MAX_BYTES).unwrap())), |_| {}).await;
        assert!(refused.is_err() || refused.unwrap().progress.last().unwrap()["code"] == "bad-argument");
    })
    .await;
}

#[tokio::test]
async fn nobody_listening_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(whoami(folder.path()).await, Err(ControlError::Io(_))));
}

#[tokio::test]
async fn a_data_directory_with_a_long_path_has_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(120)).join("e".repeat(120));
    let data_dir = DataDir::open(&deep).unwrap();
    let (handle, _side) = fronts();
    let (_serves, stop) = oneshot::channel();
    let listener = listen(&data_dir);
    assert!(listener.is_some() && data_dir.control_socket().exists());
    let asking = async {
        let (_folder, path) = reachable(&deep).unwrap();
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(b"hello\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap()
    };
    let answered = tokio::select! {
        answered = asking => answered,
        () = serve(listener, handle, stop) => panic!("it serves for ever"),
    };
    assert!(answered > 0);
}

fn hello(wait: Wanted) -> SendRequest {
    let (to, text) = ("bob".to_owned(), "hi".to_owned());
    SendRequest { to, text, file: None, id: Some("k".to_owned()), urgent: false, reply: None, wait, timeout_ms: 20_000 }
}

#[tokio::test]
async fn an_owner_that_leaves_is_told_from_one_that_answers() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path().join("peer").as_path()).unwrap();
    let missing = send(data_dir.path(), hello(Wanted::Kept), |_| {}).await.unwrap_err();
    assert!(missing.is_passing(), "{missing}");
    let (handle, side) = fronts();
    let (serves, stop) = oneshot::channel::<()>();
    drop(side);
    let asking = async {
        let handed = send(data_dir.path(), hello(Wanted::Kept), |_| {}).await.unwrap();
        drop(serves);
        handed
    };
    let (handed, ()) = tokio::join!(asking, serve(listen(&data_dir), handle, stop));
    assert!(handed.broke_off && !handed.progress.is_answered());
}

#[tokio::test]
async fn what_waits_for_room_is_not_begun_when_its_asker_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = DataDir::open(folder.path().join("peer").as_path()).unwrap();
    let listener = listen(&data_dir);
    let (handle, side) = fronts();
    let (serves, stop) = oneshot::channel::<()>();
    for _ in 0..COMMANDS_MAX {
        handle.submit(FrontInput::EndOfInput).await.unwrap();
    }
    let stream = UnixStream::connect(data_dir.control_socket()).await.unwrap();
    let (_, mut write) = stream.into_split();
    let request = serde_json::to_string(&Request::Send(hello(Wanted::Kept))).unwrap() + "\n";
    write.write_all(request.as_bytes()).await.unwrap();
    drop(write);
    drop(serves);
    let served = timeout(Duration::from_secs(20), serve(listener, handle, stop)).await;
    assert!(served.is_ok(), "the command still waits for room");
    assert_eq!(side.waiting(), COMMANDS_MAX);
}
