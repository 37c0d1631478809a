//! Those who say nothing, read nothing, or are too many.
use super::*;

#[tokio::test]
async fn a_client_that_says_nothing_is_dropped_and_keeps_nobody_waiting() {
    let pki = Pki::new();
    let options = ServeOptions {
        handshake: Duration::from_millis(100),
        ..ServeOptions::default()
    };
    let (running, _live) = listener(&pki, options).await;
    let silent = exchange(running.addr, b"");
    let join = client(&running, pki.client(None, &["exarch-join/1"])).await.unwrap();
    assert!(text(&join, "/whoami").await.is_ok());
    assert_eq!(silent.await, b"");
}

#[tokio::test]
async fn who_begins_no_request_in_time_is_dropped_on_a_plain_listener() {
    let options = ServeOptions {
        header_read: Duration::from_millis(200),
        ..ServeOptions::default()
    };
    let (addr, stop) = plain(options).await;
    for said in [
        &b""[..],
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"GET /whoami",
        b"GET /whoami HTTP/1.1\r\nhost: localhost\r\n",
    ] {
        let began = std::time::Instant::now();
        assert_eq!(exchange(addr, said).await, b"", "{said:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{said:?}");
    }
    // A stalled beginning does not matter to one that has begun: the answer comes much later than the limit.
    let mut slow = TcpStream::connect(addr).await.unwrap();
    slow.write_all(b"GET /forever HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut nothing = [0; 1];
    assert!(
        timeout(SECOND, slow.read(&mut nothing)).await.is_err(),
        "it is waited for"
    );
    stop.cancel();
}

#[tokio::test]
async fn who_shakes_hands_and_begins_nothing_is_dropped_and_so_is_who_only_begins_http_2() {
    let pki = Pki::new();
    let options = ServeOptions {
        header_read: Duration::from_millis(200),
        keep_alive_interval: Duration::from_millis(200),
        keep_alive_timeout: Duration::from_millis(200),
        ..ServeOptions::default()
    };
    let (running, _live) = listener(&pki, options).await;
    let tls = pki.client(None, &["exarch-join/1"]);
    for said in [&b""[..], b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut dialled = dial(&running.addr.to_string(), "localhost", tls.clone()).await.unwrap();
        dialled.stream.write_all(said).await.unwrap();
        dialled.stream.flush().await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(LONG, dialled.stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{said:?}");
    }
    // One that has begun and answers may be silent for long: that is what a tunnel does.
    let idle = client(&running, tls).await.unwrap();
    assert!(timeout(SECOND, idle.closed()).await.is_err());
    assert!(text(&idle, "/whoami").await.is_ok());
}

#[tokio::test]
async fn who_does_not_read_its_answer_is_dropped() {
    let options = ServeOptions {
        unread: Duration::from_millis(500),
        max_connections: 1,
        ..ServeOptions::default()
    };
    let (addr, stop) = plain(options).await;
    let mut greedy = TcpStream::connect(addr).await.unwrap();
    greedy
        .write_all(b"GET /much HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    greedy.readable().await.unwrap();
    // The only place is free again once the other one is gone.
    let served = async {
        while !exchange(addr, ASK).await.starts_with(b"HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, served)
        .await
        .expect("the reader that does not read is dropped");
    stop.cancel();
}

#[tokio::test]
async fn those_who_say_nothing_make_room_for_who_comes() {
    let pki = Pki::new();
    let options = || ServeOptions {
        max_half_open: 2,
        handshake: LONG,
        header_read: LONG,
        ..ServeOptions::default()
    };
    let (running, _live) = listener(&pki, options()).await;
    let (addr, stop) = plain(options()).await;
    for (at, is_tls) in [(running.addr, true), (addr, false)] {
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(TcpStream::connect(at).await.unwrap());
        }
        if is_tls {
            let join = client(&running, pki.client(None, &["exarch-join/1"])).await.unwrap();
            assert!(text(&join, "/whoami").await.is_ok());
        } else {
            assert!(exchange(at, ASK).await.starts_with(b"HTTP/1.1 200"));
        }
        let mut byte = [0; 1];
        for oldest in &mut silent[..2] {
            let ended = timeout(SECOND, oldest.read(&mut byte)).await.expect("it is dropped");
            assert!(!matches!(ended, Ok(n) if n > 0));
        }
        let newest = timeout(Duration::from_millis(100), silent[3].read(&mut byte)).await;
        assert!(newest.is_err(), "the newest is still there");
    }
    stop.cancel();
}

#[tokio::test]
async fn too_many_connections_are_closed_and_the_others_served() {
    let pki = Pki::new();
    let options = ServeOptions {
        max_connections: 1,
        ..ServeOptions::default()
    };
    let (running, _live) = listener(&pki, options).await;
    let first = client(&running, pki.client(None, &["exarch-join/1"])).await.unwrap();
    assert!(client(&running, pki.client(None, &["exarch-join/1"])).await.is_err());
    assert!(text(&first, "/whoami").await.is_ok());
}
