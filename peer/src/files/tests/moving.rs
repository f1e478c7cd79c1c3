//! Files that arrive: of all sizes, resumed, repaired, beside each other and beside messages.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn files_of_all_sizes_arrive_as_they_are() {
    let (mut giver, mut taker) = linked().await;
    for size in [0, 1, 52, MIB - 1, MIB, MIB + 1, 10 * MIB] {
        let content = bytes(size);
        let (source, target) = offered(&mut giver, &format!("f{size}.bin"), &content).await;
        taker.fetch(1, &target);
        let serving = if size > 0 { Some(giver.serve_next(&source).await) } else { None };
        let path = taker.fetched(1).await.unwrap();
        assert_eq!(path, taker.downloads().join(format!("f{size}.bin")));
        assert!(std::fs::read(&path).unwrap() == content, "{size}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        if let Some(serving) = serving {
            assert_eq!(giver.served(serving).await, Ok(()));
        }
    }
    assert_eq!(names(&taker.downloads()).len(), 7, "nothing partial is left");
    let mode = std::fs::metadata(taker.downloads()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
