package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"picket/config"
	"picket/sentinel/state"
)

// errGone is a receiver's 410: it wants nothing more.
var errGone = errors.New("the receiver is gone (410); it gets nothing more until an agent that leads is restarted")

const (
	maxResponse    = 4 << 10 // read, so that the connection can be used again
	defaultTimeout = 10 * time.Second
)

// attempt sends an event once. An error may come with the time that the receiver asks to be left alone.
func (d *Dispatcher) attempt(ctx context.Context, hook config.Webhook, e state.Event) (time.Duration, error) {
	body, err := encode(d.cfg.Cluster, e)
	if err != nil {
		return 0, err
	}
	timeout := hook.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make a request to %s: %w", redact(hook.URL), err)
	}
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=UTF-8")
	request.Header.Set("User-Agent", "picket")
	sign(request.Header, d.keys[hook.Name], eventID(d.cfg.Cluster, e), time.Now(), body)
	response, err := d.client.Do(request)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // the outer one quotes the URL, which may hold a secret
		}
		return 0, fmt.Errorf("post to %s: %w", redact(hook.URL), err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, maxResponse) // only the status counts
	switch {
	case response.StatusCode >= 200 && response.StatusCode < 300:
		return 0, nil
	case response.StatusCode == http.StatusGone:
		return 0, errGone
	}
	return retryAfter(response.Header.Get("Retry-After"), time.Now()), fmt.Errorf("%s answers %s", redact(hook.URL), response.Status)
}

// retryAfter reads seconds or a date, at most longestWait.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return min(max(0, time.Duration(min(seconds, int(longestWait/time.Second)))*time.Second), longestWait)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), longestWait)
}

// redact leaves out what may be secret in a URL.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the receiver"
	}
	return u.Scheme + "://" + u.Host
}
