package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is a RoundTripper that answers as the test says, and checks each request by its own means.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	answer func(attempt int) (*http.Response, error) // nil, nil: never answers
	tries  int
	got    []string // types of the events that were taken
	ids    []string // of every attempt
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	eventType := r.check(request.Header, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	r.ids = append(r.ids, request.Header.Get("webhook-id"))
	response, err := r.answer(r.tries)
	switch {
	case response == nil && err == nil:
		r.mu.Unlock()
		<-request.Context().Done()
		r.mu.Lock()
		return nil, request.Context().Err()
	case err == nil && response.StatusCode/100 == 2:
		r.got = append(r.got, eventType)
	}
	return response, err
}

// check verifies headers and body, and gives the event's type.
func (r *receiver) check(h http.Header, body []byte) string {
	mac := hmac.New(sha256.New, []byte(testKey))
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("webhook-id"), time.Now().Unix(), body)
	if got, want := h.Get("webhook-signature"), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)); got != want {
		r.t.Errorf("signature %s, want %s", got, want)
	}
	if got := h.Get("Content-Type"); got != "application/cloudevents+json; charset=UTF-8" {
		r.t.Errorf("content type %s", got)
	}
	var e struct{ SpecVersion, ID, Type, Source, Subject, Sequence, Epoch string }
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("body %s: %v", body, err)
	}
	if e.SpecVersion != "1.0" || e.ID != h.Get("webhook-id") || !strings.HasPrefix(e.ID, "c-") || !strings.HasPrefix(e.Source, "/clusters/c") {
		r.t.Errorf("event %+v", e)
	}
	return strings.TrimSuffix(strings.TrimPrefix(e.Type, "io.picket."), ".v1")
}

func (r *receiver) taken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.got, " ")
}

func (r *receiver) tried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tries
}

func (r *receiver) set(answer func(int) (*http.Response, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: code, Status: fmt.Sprint(code), Header: h, Body: io.NopCloser(strings.NewReader("answer"))}
}

func ok(int) (*http.Response, error)     { return status(http.StatusOK), nil }
func refuse(int) (*http.Response, error) { return nil, errors.New("connection refused") }
func hang(int) (*http.Response, error)   { return nil, nil }

func answer(code int, headers ...string) func(int) (*http.Response, error) {
	return func(int) (*http.Response, error) { return status(code, headers...), nil }
}

// byMaster answers for each master as the test says.
func byMaster(t *testing.T, answers map[string]func(int) (*http.Response, error)) http.RoundTripper {
	return sorted{t: t, answers: answers, receiver: &receiver{t: t}}
}

type sorted struct {
	t        *testing.T
	answers  map[string]func(int) (*http.Response, error)
	receiver *receiver
}

func (s sorted) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	var e struct{ Subject string }
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	response, err := s.answers[e.Subject](0)
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	if err == nil && response.StatusCode/100 == 2 {
		s.receiver.got = append(s.receiver.got, e.Subject)
		s.receiver.ids = append(s.receiver.ids, request.Header.Get("webhook-id"))
	}
	return response, err
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(request *http.Request) (*http.Response, error) {
	return b[request.URL.Host].RoundTrip(request)
}
