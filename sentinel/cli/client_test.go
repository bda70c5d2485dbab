package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
)

func addrOf(s *httptest.Server) config.Addr { return config.Addr(s.Listener.Addr().String()) }

// TestClient_AnAgentThatShakesNoHand has accepted a connection and speaks no TLS: nothing was sent to it, so that the next agent may be told, also what changes something.
func TestClient_AnAgentThatShakesNoHand(t *testing.T) {
	t.Parallel()
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	next := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `"done"`) }))
	trusted := x509.NewCertPool()
	trusted.AddCert(next.Certificate())
	c := New(Access{Agents: []config.Addr{config.Addr(frozen.Addr().String()), addrOf(next)}, TLS: func(config.Addr) *tls.Config {
		return &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12, ServerName: "127.0.0.1"}
	}})
	t.Cleanup(func() { c.Close(); _ = frozen.Close(); next.Close() })
	var said string
	if err := c.call(t.Context(), http.MethodPost, "/", nil, &said); err != nil || said != "done" {
		t.Errorf("%q, %v", said, err)
	}
}

// TestClient_NobodyCan: the reason of an agent that can't at the moment outranks that another is not there. It is told who was asked after it: again only when an agent has answered since.
func TestClient_NobodyCan(t *testing.T) {
	t.Parallel()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `"done"`)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"status": 503, "detail": "there is no leader"}`)
	}))
	gone := httptest.NewServer(nil)
	gone.Close()
	notes, err := os.Create(filepath.Join(t.TempDir(), "notes")) // more than one may write to it at a time
	if err != nil {
		t.Fatal(err)
	}
	c := New(Access{Agents: []config.Addr{addrOf(busy), addrOf(gone)}, Notes: notes})
	t.Cleanup(func() { c.Close(); busy.Close(); _ = notes.Close() })
	for i, told := range []int{1, 1, 2} {
		if err := c.call(t.Context(), http.MethodPost, "/", nil, new(string)); err == nil || err.Error() != "there is no leader" {
			t.Error(err)
		}
		text, err := os.ReadFile(notes.Name())
		if want := fmt.Sprintf("there is no leader: asking %s\n", addrOf(gone)); err != nil || strings.Count(string(text), want) != told {
			t.Errorf("%q (%v) has %q not %d times", text, err, want, told)
		}
		if i == 1 {
			if err := c.call(t.Context(), http.MethodGet, "/", nil, new(string)); err != nil {
				t.Error(err)
			}
		}
	}
}

// transport answers requests without a network, so that time may be a bubble's.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// bubble is a client of two agents that are played.
func bubble(play transport) *Client {
	c := At("a:1", "b:1")
	c.http = &http.Client{Transport: play}
	return c
}

// played has a handler answer, up to its end.
func played(h http.HandlerFunc) transport {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		h(w, r)
		return w.Result(), nil
	}
}

// TestClient_HowLongAnAgentMayBeSilent: a question is put to the next one; what changes something is not, as the first may have understood it.
func TestClient_HowLongAnAgentMayBeSilent(t *testing.T) {
	t.Parallel()
	const most = time.Minute // of whoever asks
	for name, tc := range map[string]struct {
		do    func(context.Context, *Client) error
		asked string
		took  time.Duration
		says  string
	}{
		"a question":              {func(ctx context.Context, c *Client) error { return c.call(ctx, http.MethodGet, "/", nil, nil) }, "a:1 b:1", most, "ask the agent: context deadline exceeded"},
		"with nobody else to ask": {func(ctx context.Context, c *Client) error { return c.Only().call(ctx, http.MethodGet, "/", nil, nil) }, "a:1", most, "ask the agent: context deadline exceeded"},
		"an order":                {func(ctx context.Context, c *Client) error { return c.call(ctx, http.MethodPost, "/", nil, nil) }, "a:1", most, "may have been done"},
		"a watch, with nobody else to ask": {func(ctx context.Context, c *Client) error {
			return KV{Client: c.Only()}.Watch(ctx, "k", false, 0, nil)
		}, "a:1", answerTimeout, "a:1 is silent for 5s; is it running"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []string
				c := bubble(func(r *http.Request) (*http.Response, error) {
					asked = append(asked, r.URL.Host)
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
				ctx, cancel := context.WithTimeout(t.Context(), most)
				defer cancel()
				began := time.Now()
				err := tc.do(ctx, c)
				if got := strings.Join(asked, " "); got != tc.asked || time.Since(began) != tc.took || err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%q are asked for %v: %v", got, time.Since(began), err)
				}
			})
		})
	}
}

// TestClient_AnOrderIsGivenOnce: an agent that is gone after it was asked may have done what it was asked for.
func TestClient_AnOrderIsGivenOnce(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{http.MethodGet: "a:1 b:1", http.MethodPost: "a:1"} {
		var asked []string
		c := bubble(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Host)
			return nil, io.ErrUnexpectedEOF
		})
		err := c.call(t.Context(), method, "/", nil, nil)
		var lost *LostError
		if got := strings.Join(asked, " "); got != want || !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &lost) != (method == http.MethodPost) {
			t.Errorf("%s: %q are asked: %v", method, got, err)
		}
	}
}

// TestClient_AStreamThatSaysNothing ends, whether its agent says nothing at all or nothing more.
func TestClient_AStreamThatSaysNothing(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 5 { // longer than it may be silent
			fmt.Fprint(w, ": quiet\n\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
		}
		<-r.Context().Done()
	}))
	c := At(addrOf(s))
	t.Cleanup(func() { c.Close(); s.CloseClientConnections(); s.Close() })
	response, err := c.send(t.Context(), request{method: http.MethodGet, path: "/", silence: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil || !strings.Contains(err.Error(), "is silent for 200ms") || strings.Count(string(text), "quiet") != 5 {
		t.Errorf("%q, %v", text, err)
	}
}

// TestClient_ATokenGoesNowhereElse, whatever an agent's answer says: not to another port of its host, either.
func TestClient_ATokenGoesNowhereElse(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("it was asked, with %q", r.Header.Get("Authorization"))
	}))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer let-me-in-let-me-in" {
			t.Errorf("the agent is shown %q", got)
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	c := New(Access{Agents: []config.Addr{addrOf(s)}, Token: "let-me-in-let-me-in"})
	t.Cleanup(func() { c.Close(); s.Close(); elsewhere.Close() })
	if err := c.call(t.Context(), http.MethodGet, "/", nil, new(string)); err == nil || !strings.Contains(err.Error(), "307") {
		t.Error(err)
	}
}
