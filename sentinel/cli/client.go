package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"picket/config"
	"picket/sentinel/api"
)

// Access is how agents are reached over HTTP.
type Access struct {
	Agents []config.Addr // of their HTTP ports, in the order in which they are tried
	Token  config.Secret // empty: none
	// TLS is how an agent is spoken to; nil: plain HTTP.
	TLS   func(agent config.Addr) *tls.Config
	Notes io.Writer // is told what takes long; nil: nobody is
}

// Client talks to the first agent that answers. Each agent passes on to the leader what only that can do.
type Client struct {
	Access
	http *http.Client
	last atomic.Int32 // index of the agent that answered last
	told sync.Map     // the notes since one answered
}

// Times of one attempt.
const (
	dialTimeout   = 2 * time.Second
	answerTimeout = 5 * time.Second // of a question, while there is another agent to ask
	noteAfter     = time.Second     // whoever waits is told why
	// silence is how long a stream may say nothing: some seconds longer than an agent does that has nothing to tell.
	silence = 20 * time.Second
)

// maxBody bounds what is read of an answer; JSON may make several bytes of one of the map's.
const maxBody = 128 << 20

// New makes a client.
func New(a Access) *Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: time.Minute}
	if a.TLS != nil {
		transport.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			conn, err := (&tls.Dialer{NetDialer: dialer, Config: a.TLS(config.Addr(addr))}).DialContext(ctx, network, addr)
			var plain tls.RecordHeaderError // net/http looks for it
			if err != nil && !errors.As(err, &plain) {
				err = unsentError{err}
			}
			return conn, err
		}
	}
	return &Client{Access: a, http: &http.Client{Transport: transport, CheckRedirect: noRedirects}}
}

// At is a client of agents that ask for nothing.
func At(agents ...config.Addr) *Client { return New(Access{Agents: agents}) }

// Close gives up connections that are kept for further requests.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// noRedirects keeps a token from going where nobody has sent it.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Only is a client of the first of the agents: of the one beside a server, say.
func (c *Client) Only() *Client {
	one := &Client{Access: c.Access, http: c.http}
	one.Agents = c.Agents[:1]
	return one
}

// request is what an agent is asked.
type request struct {
	method, path string
	header       http.Header
	body         string
	silence      time.Duration // that a stream is allowed; 0: it is no stream
}

// unsentError says that a connection has not come about, so that nothing was sent on it.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

// UnreachedError says that no agent answers.
type UnreachedError struct{ Err error }

func (e *UnreachedError) Error() string {
	return fmt.Sprintf("ask the agent: %v; is it running, and is listen.http its address? --agent HOST:PORT names another", e.Err)
}

func (e *UnreachedError) Unwrap() error { return e.Err }

// LostError says that an agent was asked to change something, and that nobody said how it ended: it may have done so, or not.
type LostError struct{ Err error }

func (e *LostError) Error() string {
	return fmt.Sprintf("%v; what was asked for may have been done, or still may: look, with `picket status`, before trying again", e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }

// send asks one agent after another until one answers; the answer is one of success, with its body still to be read.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	var failed []error
	var refusal error // of an agent that can't at the moment, while another may
	first := int(c.last.Load())
	for i := range c.Agents {
		at := (first + i) % len(c.Agents)
		response, err := c.ask(ctx, c.Agents[at], r, i+1 < len(c.Agents))
		switch p := (api.Problem{}); {
		case err == nil:
			c.last.Store(int32(at)) //nolint:gosec // there are few
			c.told.Clear()
			return response, nil
		case errors.As(err, &p) && p.Status == http.StatusServiceUnavailable:
			refusal = err
		case unsaid(err) && ctx.Err() == nil:
			failed = append(failed, err)
		default:
			return nil, err
		}
		if i+1 < len(c.Agents) {
			c.note("%v: asking %s\n", err, c.Agents[(at+1)%len(c.Agents)])
		}
	}
	if refusal != nil {
		return nil, refusal
	}
	return nil, &UnreachedError{errors.Join(failed...)}
}

// unsaid says whether another agent may be asked after an error: not after an answer, and what changes something is not said twice.
func unsaid(err error) bool {
	var p api.Problem
	var lost *LostError
	return !errors.As(err, &p) && !errors.As(err, &lost)
}

// note tells everything once until an agent answers: who follows agents that are gone is not told of it each second.
func (c *Client) note(format string, args ...any) {
	if c.Notes == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	if _, told := c.told.LoadOrStore(text, true); !told {
		_, _ = io.WriteString(c.Notes, text) // what is asked for does not depend on it
	}
}

// ask asks one agent.
func (c *Client) ask(ctx context.Context, agent config.Addr, r request, others bool) (*http.Response, error) {
	scheme := "http://"
	if c.TLS != nil {
		scheme = "https://"
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if (others || r.silence > 0) && r.method == http.MethodGet {
		// Once it answers, it has as long as it wants: an answer may be a stream.
		defer time.AfterFunc(answerTimeout, func() { cancel(fmt.Errorf("%s is silent for %v", agent, answerTimeout)) }).Stop()
	}
	defer time.AfterFunc(noteAfter, func() { c.note("waiting for %s …\n", agent) }).Stop()
	asked, err := http.NewRequestWithContext(ctx, r.method, scheme+string(agent)+r.path, strings.NewReader(r.body))
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("ask the agent: %w", err)
	}
	for name, values := range r.header {
		asked.Header[name] = values
	}
	if c.Token != "" {
		asked.Header.Set("Authorization", "Bearer "+string(c.Token))
	}
	response, err := c.http.Do(asked)
	if err != nil {
		cause := context.Cause(ctx)
		cancel(nil)
		if cause == nil {
			cause = err
		}
		return nil, unanswered(r, err, cause)
	}
	b := &body{ReadCloser: response.Body, cancel: cancel}
	if r.silence > 0 {
		b.silence, b.quiet = r.silence, time.AfterFunc(r.silence, func() { cancel(fmt.Errorf("%s is silent for %v", agent, r.silence)) })
	}
	response.Body = b
	if response.StatusCode != http.StatusOK {
		return nil, refused(response)
	}
	return response, nil
}

// body ends its request's context when it is closed, or silent for too long.
type body struct {
	io.ReadCloser
	cancel  context.CancelCauseFunc
	silence time.Duration
	quiet   *time.Timer // nil: it may be silent
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.quiet != nil && n > 0 {
		b.quiet.Reset(b.silence)
	}
	return n, err
}

func (b *body) Close() error {
	if b.quiet != nil {
		b.quiet.Stop()
	}
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// unanswered tells a request that was never sent from one that may have been understood.
func unanswered(r request, err, cause error) error {
	var dial *net.OpError
	var unsent unsentError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w: the agent's port has no TLS: take --ca, --cert and --key away", err)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%w: give the certificate that signs the agents' with --ca", err)
	case errors.As(err, &dial) && dial.Op == "remote error": // an alert of TLS: nothing was understood
		return fmt.Errorf("%w: show a certificate that its http.tls.ca signs, with --cert and --key", err)
	case errors.As(err, &unsent), errors.As(err, &dial) && dial.Op == "dial", r.method == http.MethodGet:
		if errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, context.Canceled) {
			return fmt.Errorf("ask the agent: %w", cause)
		}
		return cause
	}
	return &LostError{fmt.Errorf("wait for the agent's answer: %w", cause)}
}

// call asks for something, and reads the answer into a value.
func (c *Client) call(ctx context.Context, method, path string, order, into any) error {
	r := request{method: method, path: path}
	if order != nil {
		body, err := json.Marshal(order)
		if err != nil {
			return fmt.Errorf("ask the agent: %w", err)
		}
		r.body, r.header = string(body), http.Header{"Content-Type": {"application/json"}}
	}
	response, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	return receive(response, into)
}

// hints say what to do about answers that can't know how this command line is spoken to.
var hints = map[int]string{
	http.StatusUnauthorized: "; --token-file FILE gives a token, --cert and --key a certificate",
}

// refused gives the api.Problem that an agent answers with.
func refused(response *http.Response) error {
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	var p api.Problem
	switch {
	case err == nil && json.Unmarshal(text, &p) == nil && p.Detail != "":
		p.Detail += hints[response.StatusCode]
		return p
	case strings.Contains(string(text), "HTTP request to an HTTPS server"):
		return errors.New("the agent's port speaks TLS: give the certificate that signs the agents' with --ca FILE")
	}
	return api.Problem{Status: response.StatusCode, Detail: fmt.Sprintf("the agent answers %s: is listen.http its address, and are picket and the agent of one version?", response.Status)}
}

// maxProblem bounds what is read of an answer that says what went wrong.
const maxProblem = 64 << 10

func receive(response *http.Response, into any) error {
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(into); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}
