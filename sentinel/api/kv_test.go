package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/sentinel/state"
)

// store is a map without a group. While err is set, the group can't be reached.
type store struct {
	machine *state.Machine
	index   consensus.Index
	err     error
}

func (s *store) Latest(context.Context) (*state.Map, error) { return &s.machine.State().Map, s.err }

func (s *store) Present() (*state.Map, <-chan struct{}) {
	changed := s.machine.Changed()
	return &s.machine.State().Map, changed
}

func (s *store) Write(_ context.Context, w state.Write) (uint64, error) {
	if s.err != nil {
		return 0, s.err
	}
	c := state.Command{Write: &w}
	data, err := c.Encode()
	if err != nil {
		return 0, err
	}
	s.index++
	return state.DecodeResult(s.machine.EncodeResult(s.machine.Apply(consensus.Entry{Index: s.index, Term: 1, Data: data})))
}

func serveStore(t *testing.T) (*store, string) {
	t.Helper()
	st := &store{machine: state.NewMachine()}
	s, err := Listen(Config{Addr: "127.0.0.1:0", Backend: &fake{}, Store: st})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return st, "http://" + s.Addr().String() + "/v1/kv/"
}

// call sends one request: "METHOD target [Header: value]... [body]", the words separated by " | ".
func call(t *testing.T, base, what string) *http.Response {
	t.Helper()
	words := strings.Split(what, " | ")
	method, target, _ := strings.Cut(words[0], " ")
	var body string
	header := http.Header{}
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, ": "); ok {
			header.Set(name, value)
		} else {
			body = w
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header, r.Host = header, header.Get("Host")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

func TestKV(t *testing.T) {
	_, base := serveStore(t)
	// In this order, on one map.
	for _, tc := range []struct {
		request string
		code    int
		body    string // whole if JSON, else a part of the problem's detail
		etag    string
	}{
		{"GET a", 404, "there is no such key: a", ""},
		{"PUT a | 1", 200, `{"key":"a","revision":1}`, `"1"`},
		{"GET a", 200, `{"key":"a","value":"1","revision":1}`, `"1"`},
		{"GET a?stale", 200, `{"key":"a","value":"1","revision":1,"stale":true}`, `"1"`},
		{`PUT a | If-Match: "1" | 2`, 200, `{"key":"a","revision":2}`, `"2"`},
		{`PUT a | If-Match: "1" | 3`, 412, "it was written at revision 2", ""},
		{"PUT a | If-Match: 2 | 3", 200, `{"key":"a","revision":4}`, `"4"`},
		{"PUT a | If-None-Match: * | 4", 412, "it was written at revision 4", ""},
		{"PUT b/c | If-None-Match: * | x<&>y", 200, `{"key":"b/c","revision":6}`, `"6"`},
		{"PUT a?expect=2 | 4", 412, "it was written at revision 4", ""},
		{"PUT a?expect=3 | 4", 200, `{"key":"a","revision":8}`, `"8"`},
		{"PUT a?expect=4 | If-Match: 8 | 5", 400, "more than one condition", ""},
		{"PUT a | If-Match: x | 5", 400, "is not a revision", ""},
		{"PUT a | If-None-Match: 8 | 5", 400, "only * is known", ""},
		{"PUT a%2F%2Fb | 1", 400, "has an empty part", ""},
		{"PUT " + strings.Repeat("k", state.MaxKey+1) + " | 1", 400, "a key has 1 to 512 bytes", ""},
		{"PUT a | \xff", 400, "not UTF-8", ""},
		{"PUT a | " + strings.Repeat("v", state.MaxValue+1), 413, "too large", ""},
		{"GET ?prefix", 200, `{"prefix":"","revision":8,"items":[{"key":"a","value":"4","revision":8},` +
			`{"key":"b/c","value":"x\u003c\u0026\u003ey","revision":6}]}`, ""},
		{"GET b/?prefix&stale", 200, `{"prefix":"b/","revision":8,"stale":true,"items":[{"key":"b/c","value":"x\u003c\u0026\u003ey","revision":6}]}`, ""},
		{"GET x?prefix", 200, `{"prefix":"x","revision":8,"items":[]}`, ""},
		{"GET ", 400, "a key has 1 to", ""},
		{"DELETE b%2Fc | If-Match: 5", 412, "it was written at revision 6", ""},
		{"DELETE b%2Fc | If-Match: 6", 200, "", ""},
		{"DELETE b/c", 404, "there is no such key", ""},
		{"POST a | 1", 405, "", ""},
	} {
		r := call(t, base, tc.request)
		body := read(t, r.Body)
		if r.StatusCode != tc.code || r.Header.Get("ETag") != tc.etag {
			t.Errorf("%.60s: %d, ETag %s; want %d, %s\n%s", tc.request, r.StatusCode, r.Header.Get("ETag"), tc.code, tc.etag, body)
		}
		switch {
		case tc.code == 405 || tc.body == "":
		case tc.code == 200:
			if body != tc.body {
				t.Errorf("%.60s: %s, want %s", tc.request, body, tc.body)
			}
		default:
			var p Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != tc.code || !strings.Contains(p.Detail, tc.body) ||
				r.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%.60s: %s, want a problem with %q", tc.request, body, tc.body)
			}
		}
	}
}

func TestKV_WithoutTheGroup(t *testing.T) {
	st, base := serveStore(t)
	call(t, base, "PUT a | 1")
	for _, tc := range []struct {
		err     error
		request string
		code    int
		detail  string
	}{
		{fmt.Errorf("%w: %w", consensus.ErrNoLeader, context.DeadlineExceeded), "PUT a | 2", 503, "nothing was changed"},
		{fmt.Errorf("%w: %w", consensus.ErrNoLeader, context.DeadlineExceeded), "GET a", 503, "no leader"},
		{consensus.ErrBusy, "PUT a | 2", 503, "nothing was changed"},
		{consensus.ErrStopped, "GET a", 503, "stopped"},
		{fmt.Errorf("%w: %w", consensus.ErrUnknown, consensus.ErrNoLeader), "PUT a | 2", 504, "read the key before trying again"},
		{context.DeadlineExceeded, "GET a", 504, "deadline"},
		{state.ErrFull, "PUT a | 2", 507, "delete keys"},
		{io.ErrUnexpectedEOF, "PUT a | 2", 500, "EOF"},
		{consensus.ErrNoLeader, "GET a?stale", 200, ""},
		{consensus.ErrNoLeader, "GET a?watch", 503, "no leader"},
	} {
		st.err = tc.err
		r := call(t, base, tc.request)
		if body := read(t, r.Body); r.StatusCode != tc.code || !strings.Contains(body, tc.detail) {
			t.Errorf("%s with %v: %d %s, want %d, %q", tc.request, tc.err, r.StatusCode, body, tc.code, tc.detail)
		}
	}
}

func TestKV_WritesComeFromThisHostOnly(t *testing.T) {
	const ours = "127.0.0.1:999"
	for _, tc := range []struct {
		name, method, listen, remote, host, origin string
		code                                       int
	}{
		{"from here", "PUT", "", ours, "127.0.0.1:1", "", 200},
		{"by name", "PUT", "", ours, "localhost:1", "", 200},
		{"by IPv6", "PUT", "", "[::1]:999", "[::1]:1", "", 200},
		{"by IPv6 without a port", "PUT", "", "[::1]:999", "::1", "", 200},
		{"open to all", "PUT", "0.0.0.0:1", ours, "127.0.0.1:1", "", 403},
		{"from elsewhere", "PUT", "", "10.0.0.1:999", "127.0.0.1:1", "", 403},
		{"a name that points here", "PUT", "", ours, "evil.example:1", "", 403},
		{"a name that begins like here", "DELETE", "", ours, "localhost.evil.example", "", 403},
		{"a web page", "PUT", "", ours, "127.0.0.1:1", "http://evil.example", 403},
		{"a web page of ours", "DELETE", "", ours, "127.0.0.1:1", "http://127.0.0.1:1", 200},
		{"a web page of another port", "DELETE", "", ours, "127.0.0.1:1", "http://127.0.0.1:2", 403},
		{"no host", "PUT", "", ours, "", "", 403},
		{"a read from elsewhere", "GET", "0.0.0.0:1", "10.0.0.1:999", "agent.example", "", 401},
		{"a read from here", "GET", "0.0.0.0:1", ours, "localhost", "", 200},
		{"a read by a name that points here", "GET", "", ours, "evil.example", "", 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st := &store{machine: state.NewMachine()}
			if _, err := st.Write(t.Context(), state.Write{Key: "a", Value: "1"}); err != nil {
				t.Fatal(err)
			}
			listen := tc.listen
			if listen == "" {
				listen = "127.0.0.1:1"
			}
			r := httptest.NewRequest(tc.method, "/v1/kv/a", nil)
			r.RemoteAddr, r.Host = tc.remote, tc.host
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			w := httptest.NewRecorder()
			kvDoor(t, &kv{store: st}, listen).ServeHTTP(w, r)
			if w.Code != tc.code {
				t.Errorf("%d, want %d: %s", w.Code, tc.code, w.Body)
			}
			if changed := st.index != 1; changed != (tc.code == 200 && tc.method != "GET") {
				t.Errorf("changed: %t", changed)
			}
		})
	}
}

// kvDoor has the map's routes, of a server that listens there.
func kvDoor(t *testing.T, k *kv, listen string) http.Handler {
	t.Helper()
	a := newAccess(config.HTTP{}, loopback(listen), nil)
	d := newDoor(a)
	k.route(d)
	return d
}

// local is a request from this host.
func local(method, target string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:26381"+target, nil)
	r.RemoteAddr = "127.0.0.1:999"
	return r
}

// lines reads a watch in the background until the response's body is closed.
func lines(t *testing.T, r *http.Response) func() string {
	t.Helper()
	lines := make(chan string, 100)
	go func() { // ends with the body
		defer close(lines)
		in := bufio.NewScanner(r.Body)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		_ = r.Body.Close()
		for range lines {
		}
	})
	return func() string {
		t.Helper()
		var event []string
		for {
			select {
			case line, ok := <-lines:
				if !ok || line == "" {
					return strings.Join(event, " | ")
				}
				event = append(event, line)
			case <-time.After(10 * time.Second):
				t.Fatalf("no event; so far %q", event)
			}
		}
	}
}

func TestWatch(t *testing.T) {
	for _, tc := range []struct {
		request string // after three writes: a=1, a deleted, b/c=2
		want    []string
	}{
		{"GET a?watch&from=1", []string{": from 1 | id: 0", `event: put | id: 1 | data: {"key":"a","value":"1","revision":1}`,
			`event: delete | id: 2 | data: {"key":"a","value":"","revision":2}`, `event: put | id: 4 | data: {"key":"a","value":"3","revision":4}`}},
		{"GET ?watch&prefix&from=2", []string{": from 2 | id: 1", `event: delete | id: 2 | data: {"key":"a","value":"","revision":2}`,
			`event: put | id: 3 | data: {"key":"b/c","value":"2","revision":3}`, `event: put | id: 4 | data: {"key":"a","value":"3","revision":4}`}},
		{"GET a?watch", []string{": from 4 | id: 3", `event: put | id: 4 | data: {"key":"a","value":"3","revision":4}`}},
		{"GET a?watch&from=1 | Last-Event-ID: 1", []string{": from 2 | id: 1", `event: delete | id: 2 | data: {"key":"a","value":"","revision":2}`}},
		{"GET b?watch&from=1", []string{": from 1 | id: 0", `event: put | id: 5 | data: {"key":"b","value":"4","revision":5}`}},
		{"GET a?watch&from=0", []string{": from 0 | id: 0", `event: compacted | id: 3 | data: {"prefix":"a","revision":3,"items":[]}`,
			`event: put | id: 4 | data: {"key":"a","value":"3","revision":4}`}},
		{"GET b/?watch&prefix&from=0", []string{": from 0 | id: 0",
			`event: compacted | id: 3 | data: {"prefix":"b/","revision":3,"items":[{"key":"b/c","value":"2","revision":3}]}`}},
		{"GET b/c?watch&from=0", []string{": from 0 | id: 0",
			`event: compacted | id: 3 | data: {"prefix":"b/c","revision":3,"items":[{"key":"b/c","value":"2","revision":3}]}`}},
		{"GET a?watch&from=5", []string{": from 5 | id: 4", `event: put | id: 6 | data: {"key":"a","value":"5","revision":6}`}},
	} {
		t.Run(tc.request, func(t *testing.T) {
			_, base := serveStore(t)
			for _, w := range []string{"PUT a | 1", "DELETE a", "PUT b/c | 2"} {
				call(t, base, w)
			}
			next := lines(t, call(t, base, tc.request))
			expect := func(events []string) {
				for _, want := range events {
					if got := next(); got != want {
						t.Errorf("%s, want %s", got, want)
					}
				}
			}
			began := 1 // where changes were forgotten, what holds now follows at once
			if len(tc.want) > 1 && strings.Contains(tc.want[1], EventCompacted) {
				began = 2
			}
			expect(tc.want[:began])
			for _, w := range []string{"PUT a | 3", "PUT b | 4", "PUT a | 5"} {
				call(t, base, w)
			}
			expect(tc.want[began:])
		})
	}
}

func TestClose_EndsWatches(t *testing.T) {
	s, err := Listen(Config{Addr: "127.0.0.1:0", Store: &store{machine: state.NewMachine()}})
	if err != nil {
		t.Fatal(err)
	}
	next := lines(t, call(t, "http://"+s.Addr().String()+"/v1/kv/", "GET a?watch"))
	if got := next(); got != ": from 1 | id: 0" {
		t.Errorf("%q", got)
	}
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took >= closeTimeout {
		t.Errorf("it took %s to close", took)
	}
	if got := next(); got != "" {
		t.Errorf("after the end: %q", got)
	}
}

func TestWatch_ManyAreRefused(t *testing.T) {
	st := &store{machine: state.NewMachine()}
	k := &kv{store: st, streams: &streams{open: make(chan struct{}, 1)}}
	k.streams.open <- struct{}{}
	w := httptest.NewRecorder()
	door := kvDoor(t, k, "127.0.0.1:1")
	door.ServeHTTP(w, local(http.MethodGet, "/v1/kv/a?watch"))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, from := range []string{"x", "-1"} {
		k.streams.open = make(chan struct{}, 1)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, local(http.MethodGet, "/v1/kv/a?watch&from="+from))
		if w.Code != http.StatusBadRequest || len(k.streams.open) != 0 {
			t.Errorf("from %s: %d %s", from, w.Code, w.Body)
		}
	}
}
