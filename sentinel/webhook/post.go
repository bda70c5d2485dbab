package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"picket/sentinel/events"
	"picket/sentinel/state"
)

// errGone is a receiver's 410: it wants nothing more.
var errGone = errors.New("the receiver is gone (410)")

// maxResponse is read of an answer, so that the connection can be used again.
const maxResponse = 4 << 10

// errBody is an event of which no body can be made: trying again is of no use.
var errBody = errors.New("no body can be made of the event")

// post sends an event once. An error may come with the time that the receiver asks to be left alone.
func (d *Dispatcher) post(ctx context.Context, to *endpoint, e state.Event) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, to.Timeout)
	defer cancel()
	request, err := d.request(ctx, to, e)
	if err != nil {
		return 0, err
	}
	response, err := to.client.Do(request)
	if err != nil {
		if outer := (*url.Error)(nil); errors.As(err, &outer) {
			err = outer.Err // the outer one quotes the URL
		}
		return 0, fmt.Errorf("post to %s: %w", to.shown, err)
	}
	defer func() { _ = response.Body.Close() }() // what the receiver says beyond the status does not count
	_, _ = io.CopyN(io.Discard, response.Body, maxResponse)
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return 0, nil
	case code == http.StatusGone:
		return 0, errGone
	case code >= 300 && code < 400:
		return 0, fmt.Errorf("post to %s: the answer is %s, and redirects are not followed: configure the url that it leads to", to.shown, response.Status)
	}
	return retryAfter(response.Header.Get("Retry-After"), d.cfg.Now()), fmt.Errorf("post to %s: the answer is %s", to.shown, response.Status)
}

func (d *Dispatcher) request(ctx context.Context, to *endpoint, e state.Event) (*http.Request, error) {
	body, err := to.form.body(&e, d.cfg.Source.State().Event(e.Data.Failover))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBody, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("post to %s: the url is not valid", to.shown) // the reason would quote it
	}
	for _, h := range to.Headers {
		request.Header.Set(h.Name, string(h.Value))
	}
	request.Header.Set("Content-Type", to.form.contentType())
	request.Header.Set("User-Agent", "picket")
	sign(request.Header, to.keys, events.ID(d.cfg.Cluster, e), d.cfg.Now(), body)
	return request, nil
}

// longestWait is the longest that a receiver may ask for.
const longestWait = time.Hour

// retryAfter reads seconds or a date, at most longestWait; 0 if it is neither.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(longestWait/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), longestWait)
}

// pauses follow the first failed attempts. The head is dense: most receivers that fail are being restarted.
var pauses = []time.Duration{
	200 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute,
}

// pauseAfter is the pause after so many failed attempts, an eighth more or less, so that receivers are not
// hit in step.
func pauseAfter(attempts int) time.Duration {
	p := pauses[min(attempts, len(pauses))-1]
	return p - p/8 + rand.N(p/4)
}
