package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"picket/consensus"
	"picket/failover"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// Problem is the body of an answer that says what went wrong (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func (p Problem) Error() string { return p.Detail }

func problem(w http.ResponseWriter, p Problem) {
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	p := Problem{Status: status(err), Detail: err.Error()}
	switch {
	case errors.Is(err, consensus.ErrUnknown):
		p.Detail += "; the write may have taken effect, or still may: read the key before trying again"
	case p.Status == http.StatusServiceUnavailable:
		p.Detail += "; nothing was changed: try again, here or at another agent"
	}
	problem(w, p)
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
		{errors.Is(err, state.ErrAbsent), http.StatusNotFound},
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
