package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"picket/consensus"
	"picket/failover"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// Problem is the body of an answer that says what went wrong (RFC 9457), and what would help.
type Problem struct {
	Type     string `json:"type"` // about:blank, or urn:picket:blocked: and the reason of a blocker
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"` // the path that was asked for
	Remedy   string `json:"remedy,omitempty"`
}

func (p Problem) Error() string {
	if p.Remedy == "" {
		return p.Detail
	}
	return p.Detail + ": " + p.Remedy
}

func problem(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Type == "" {
		p.Type = "about:blank"
	}
	p.Title, p.Instance = http.StatusText(p.Status), r.URL.EscapedPath()
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone
}

// bad answers a request that makes no sense.
func bad(w http.ResponseWriter, r *http.Request, detail, remedy string) {
	problem(w, r, Problem{Status: http.StatusBadRequest, Detail: detail, Remedy: remedy})
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := Problem{Status: status(err), Detail: err.Error()}
	var blocked interface{ Blocked() failover.Blocker }
	switch {
	case errors.Is(err, consensus.ErrUnknown):
		p.Remedy = "the write may have taken effect, or still may: read the key before trying again"
	case errors.As(err, &blocked):
		b := blocked.Blocked()
		p.Type, p.Detail, p.Remedy = "urn:picket:blocked:"+b.Reason, b.Text, b.Remedy
	case p.Status == http.StatusServiceUnavailable:
		p.Remedy = "nothing was changed: try again, here or at another agent"
	}
	problem(w, r, p)
}

// decode reads a request's JSON; it answers one that can't be read. A field that is not known may be one that is misspelt, or that a newer client relies
// on: whoever orders something else than is understood is told so.
func decode(w http.ResponseWriter, r *http.Request, into any, remedy string) bool {
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	err := in.Decode(into)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		problem(w, r, Problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit), Remedy: remedy})
		return false
	}
	if err != nil {
		bad(w, r, "the body can't be read: "+err.Error(), remedy)
	}
	return err == nil
}

func status(err error) int {
	var tooLarge *http.MaxBytesError
	var blocked interface{ Blocked() failover.Blocker }
	for _, known := range []struct {
		is   bool
		code int
	}{
		{errors.Is(err, consensus.ErrUnknown), http.StatusGatewayTimeout}, // first: it may wrap others
		{errors.Is(err, state.ErrInvalid), http.StatusBadRequest},
		{errors.Is(err, state.ErrConflict), http.StatusPreconditionFailed},
		{errors.Is(err, state.ErrAbsent) || errors.Is(err, state.ErrUnknown), http.StatusNotFound},
		{errors.Is(err, state.ErrFull), http.StatusInsufficientStorage},
		{errors.Is(err, picture.ErrUnknownMaster), http.StatusNotFound},
		{errors.Is(err, consensus.ErrRefused) || errors.Is(err, state.ErrStale), http.StatusConflict},
		{errors.Is(err, picture.ErrInProgress) || errors.Is(err, picture.ErrNoReplica) || errors.As(err, &blocked), http.StatusConflict},
		{errors.Is(err, picture.ErrNoMajority), http.StatusServiceUnavailable},
		{errors.As(err, &tooLarge), http.StatusRequestEntityTooLarge},
		{errors.Is(err, consensus.ErrNoLeader) || errors.Is(err, consensus.ErrBusy), http.StatusServiceUnavailable},
		{errors.Is(err, consensus.ErrStopped), http.StatusServiceUnavailable},
		{errors.Is(err, context.DeadlineExceeded), http.StatusGatewayTimeout},
	} {
		if known.is {
			return known.code
		}
	}
	return http.StatusInternalServerError
}
